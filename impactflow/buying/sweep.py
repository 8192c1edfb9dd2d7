"""
Send planned placements: claim, call, record; one sweep over the placements that are due at one provider.

1. A claim makes the intent durable, with a lease, before anything is sent.
2. The provider is called with no transaction open, well inside the lease.
3. The outcome is made durable; ``Ledger.record_and_claim`` does this for some placements, and 1. for the next, in one
   commit.

A sweep may die between any two lines: its claimed placements are in doubt once the lease is over, and ``reconcile``
finds out what happened. A sweep that is cancelled claims nothing more and records its claims first (see ``stopping``).
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from impactflow.accounts import NOT_HALTED, Halt, StoreAccount, check_account
from impactflow.errors import (
    Contradiction,
    Forbidden,
    IdempotencyConflict,
    NotSent,
    OutcomeUnknown,
    ProviderError,
    RateLimited,
    Refused,
    TransitionRefused,
    Unauthorized,
    Unavailable,
)
from impactflow.ledger import Claim, Claiming, Fresh, Move, Status, Turns
from impactflow.models import Cap, Placement, ProviderName, Receipt, Unexplained
from impactflow.providers import KeepsRecords, Lease
from impactflow.stopping import InFlight, to_its_end
from impactflow.taskgroup import together

log = logging.getLogger(__name__)

#: A provider that cannot be reached this often in a row is left alone for the rest of the sweep.
_UNREACHABLE = 5
#: The same for a provider that forbids this many in a row: more than one rule of the policy is concerned.
_FORBIDDEN = 5
#: How long nothing is sent after a 429 without a waiting time, and the longest that a sweep waits, in seconds.
_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 300.0
_PAYMENT_REQUIRED = 402
#: The longest wait before a placement that was certainly not sent is tried again, in seconds.
_LONGEST_RETRY_S = 3600.0
#: The reason why nothing more is sent once a signal came.
_STOPPED = "the run was stopped"
#: The longest that an answer waits for others to share its commit, in seconds.
_LINGER_S = 0.05


@dataclass(frozen=True, slots=True)
class Swept:
    """
    The result of one sweep.

    Args:
        placed: Purchases that took effect.
        failed: Refused for good.
        in_doubt: Perhaps bought.
        again: Certainly not bought, to be tried again.
        halted: Why the sweep ended early, if it did.
    """

    placed: int = 0
    failed: int = 0
    in_doubt: int = 0
    again: int = 0
    halted: Halt = NOT_HALTED

    @property
    def sent(self) -> int:
        """The number of attempts that the sweep made."""
        return self.placed + self.failed + self.in_doubt + self.again


def retry_delay_s(tries: int) -> float:
    """Seconds until the next try after this many failed ones: 1, 2, 4, 8, ... up to an hour."""
    return min(_LONGEST_RETRY_S, 2.0 ** min(tries - 1, 12))


@dataclass(frozen=True, slots=True)
class FailedSends:
    """
    The sends of one run that had no effect, over all its sweeps.

    Args:
        tries: How often the run tried each placement that was not sent, by the placement's id.
        forbidden: How many purchases in a row each provider has forbidden.
    """

    tries: Counter[int] = field(default_factory=Counter)
    forbidden: Counter[ProviderName] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class PlacementLease:
    """A run's lease on one placement, until a time."""

    account: StoreAccount
    placement: Placement
    until: datetime
    operation: str = "place"

    def check(self) -> None:
        """
        Check that a request fits into the rest of the lease.

        Raises:
            NotSent: It does not.
        """
        if (self.until - self.account.clock.now()).total_seconds() <= self.account.config.request_timeout_s:
            msg = "too little of the lease was left to send it"
            raise NotSent(msg, provider=self.placement.provider, operation=self.operation)

    async def remember(self, handle: str | None) -> None:
        """
        Make the provider's name for the purchase durable before it takes effect.

        Raises:
            NotSent: Another run has the placement by now.
        """
        try:
            await self.account.ledger.remember_handle(self.placement, handle)
        except TransitionRefused:
            msg = "the lease ran out before the provider's name for it was on disk"
            raise NotSent(msg, provider=self.placement.provider, operation=self.operation) from None

    async def unexplained(self, refs: Sequence[str]) -> Unexplained:
        """Return the purchases that no placement holds, and how many other placements may have made them."""
        return await self.account.ledger.unexplained(self.placement, refs)


class Sweep:
    """
    One sweep over what is due at one provider, with a bounded number of requests in flight.

    Senders, one for each request that may be in flight, take claimed placements and leave the outcomes. One committer
    records the outcomes and claims ahead of the senders, both in one commit, so that no request waits for its own
    commit. A crash needlessly puts claimed but unsent placements in doubt: at most half as many as are in flight.

    Args:
        account: The store's account at the provider.
        policy: Digest of the sweep's policy; placements planned under another policy, or long ago, are not sent.
        limit: The most placements to send.
        caps: The policy's caps at a time; what does not fit into them is not claimed.
        left_alone: The providers for which no room of a cap is kept.
        failed_sends: Sends of this run that had no effect, over all its sweeps. The attempts that kills, checks and
            earlier runs counted say nothing about the provider's state now.
        report: Called whenever outcomes were recorded.
    """

    def __init__(
        self,
        account: StoreAccount,
        *,
        policy: str,
        limit: int,
        caps: Callable[[datetime], Sequence[Cap]] = lambda _: (),
        left_alone: Collection[ProviderName] = (),
        failed_sends: FailedSends | None = None,
        report: Callable[[Swept], None] = lambda _: None,
    ) -> None:
        self._account = account
        self._ledger = account.ledger
        self._provider = account.provider
        self._clock = account.clock
        self._config = account.config
        self._policy = policy
        self._left = limit
        self._caps = caps
        self._left_alone = left_alone
        self._turns = Turns()
        self._failed_sends = FailedSends() if failed_sends is None else failed_sends
        self._report = report
        self._swept = Swept()
        self._ahead = self._config.concurrency // 2
        self._claimed: asyncio.Queue[PlacementLease | None] = asyncio.Queue()
        self._answers: list[Move] = []
        self._open = 0  # claimed, and the outcome not recorded yet
        self._drained = False  # nothing more is due
        self._blocked = False  # what is due waits until the outcome of a look-alike is recorded
        self._commit_wanted = asyncio.Event()
        self._in_flight = InFlight()
        self._unreachable = 0
        self._resume_at = self._clock.now()

    async def run(self) -> Swept:
        """
        Send placements until nothing is due, the limit is reached or the provider has to be left alone.

        Raises:
            LedgerError: The ledger failed. Placements in flight are in doubt once their leases are over.
            asyncio.CancelledError: The sweep was cancelled; requests in flight are recorded, other claims given back.
        """
        try:
            await self._provider.prepare()
            await check_account(self._account)
        except (NotSent, Refused) as error:
            self._halt(Halt.after(error))
        await to_its_end(self._place_due(), self._stop)
        return self._swept

    async def _place_due(self) -> None:
        async with together() as group:
            for _ in range(min(self._config.concurrency, self._left)):
                group.create_task(self._send_claimed())
            await self._commit_outcomes()

    def _stop(self) -> None:
        self._halt(Halt(_STOPPED))
        self._in_flight.stop()

    async def _commit_outcomes(self) -> None:
        """Record and claim until there is nothing more to record or claim; then let the senders end."""
        while True:
            count = await self._claimable()
            if count or self._answers:
                await self._record_and_claim(count)
            if not self._open:
                break
            await self._next_answers()
        for _ in range(self._config.concurrency):
            self._claimed.put_nowait(None)

    async def _claimable(self) -> int:
        """The number of placements to claim now: none while the provider asks to wait, for leases are for sending."""
        if self._swept.halted or self._drained or (self._blocked and not self._answers):
            return 0
        pause_s = (self._resume_at - self._clock.now()).total_seconds()
        if pause_s > 0 and self._open:
            return 0
        if pause_s > 0:
            await self._in_flight.sleep(self._clock, pause_s)
        if self._in_flight.stopped:
            return 0
        unanswered = self._open - len(self._answers)
        return min(self._left, self._config.concurrency + self._ahead - unanswered)

    async def _record_and_claim(self, count: int) -> None:
        """Record the answers and claim this many more, in one commit."""
        answers, self._answers = self._answers, []
        now = self._clock.now()
        until = now + timedelta(seconds=self._config.lease_s)
        alone = self._provider.serialize_look_alikes
        fresh = Fresh.at(self._policy, now)
        whose = self._provider.name, self._account.store, self._account.run_id
        capped = Claiming(self._caps_between(now, until), self._left_alone, self._turns)
        claim = Claim(*whose, now, until, alone, fresh=fresh, capped=capped)
        claimed = await self._ledger.record_and_claim(answers, claim, count)
        self._open += len(claimed) - len(answers)
        self._left -= len(claimed)
        self._drained = self._drained or (len(claimed) < count and not alone)
        self._blocked = len(claimed) < count and alone
        for placement in claimed:
            self._claimed.put_nowait(PlacementLease(self._account, placement, until))
        if answers:
            self._count(answers)

    def _caps_between(self, now: datetime, until: datetime) -> Sequence[Cap]:
        """The caps in each period in which what is claimed may be sent."""
        present = self._caps(now)
        return [*present, *(cap for cap in self._caps(until) if cap not in present)]

    async def _next_answers(self) -> None:
        """Wait for an answer, then until the senders run short of claims, but never long: answers belong on disk."""
        self._commit_wanted.clear()
        if not self._answers and self._resume_at <= self._clock.now():
            await self._commit_wanted.wait()
            self._commit_wanted.clear()
        if self._answers and self._runs_short:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_S):
                await self._commit_wanted.wait()

    @property
    def _runs_short(self) -> bool:
        return self._claimed.qsize() <= self._ahead * 3 // 4

    async def _send_claimed(self) -> None:
        while (lease := await self._claimed.get()) is not None:
            if not self._swept.halted:
                move = await self._send(lease.placement, lease)
            else:
                why = _STOPPED if self._in_flight.stopped else "the provider was left alone"
                move = self._move(lease.placement, Status.PLANNED, f"not sent: {why}")
            self._answers.append(move)
            if self._runs_short or len(self._answers) == 1:
                self._commit_wanted.set()

    async def _send(self, placement: Placement, lease: Lease) -> Move:  # noqa: PLR0911 - one for each answer there is
        try:
            receipt = await self._in_flight.answer(self._provider.place(placement, lease))
        except TimeoutError:
            return self._move(placement, Status.IN_DOUBT, f"{_STOPPED} before an answer came")
        except Unauthorized as error:
            return self._unauthorized(placement, error)
        except IdempotencyConflict as error:  # some purchase stands under this key; ``reconcile`` finds out which
            return self._move(placement, Status.IN_DOUBT, str(error))
        except Refused as error:
            log.warning(
                "refused: order %s, slot %s: %s", placement.order_id, placement.slot, error,
                extra={"action": "placement_failed"},
            )  # fmt: skip
            forbidden = self._failed_sends.forbidden
            forbidden[self._provider.name] = forbidden[self._provider.name] + 1 if isinstance(error, Forbidden) else 0
            if forbidden[self._provider.name] >= _FORBIDDEN:
                self._halt(Halt.after(error))
            if error.status is not None:  # gateways say no to what was done, too: one look before it counts
                return self._doubted(placement, error, if_absent=Status.FAILED)
            return self._move(placement, Status.FAILED, str(error), due_in_s=None)
        except NotSent as error:
            return self._again(placement, error)
        except Contradiction as error:
            return self._doubted(placement, error, if_absent=Status.PARKED)
        except OutcomeUnknown as error:
            self._unreachable = 0
            return self._move(placement, Status.IN_DOUBT, str(error))
        self._unreachable = self._failed_sends.forbidden[self._provider.name] = 0
        return self._move(placement, Status.PLACED, None, receipt=receipt)

    def _unauthorized(self, placement: Placement, error: Unauthorized) -> Move:
        """Leave the provider alone; a gateway may say of a purchase that was made that the account cannot pay."""
        self._halt(Halt.after(error))
        if error.status == _PAYMENT_REQUIRED and isinstance(self._provider, KeepsRecords):
            return self._doubted(placement, error, if_absent=Status.PLANNED)
        move = self._move(placement, Status.PLANNED, error.message)
        return replace(move, denied_at=move.at) if error.status == _PAYMENT_REQUIRED else move

    def _again(self, placement: Placement, error: NotSent) -> Move:
        self._failed_sends.tries[placement.id] += 1
        delay_s = retry_delay_s(self._failed_sends.tries[placement.id])
        match error:
            case RateLimited():
                delay_s = _PAUSE_S if error.retry_after_s is None else error.retry_after_s
                self._resume_at = max(self._resume_at, self._clock.now() + timedelta(seconds=delay_s))
                if delay_s > _LONGEST_PAUSE_S:
                    self._halt(Halt.after(error))
            case Unavailable():
                self._unreachable += 1
                if self._unreachable >= _UNREACHABLE:
                    self._halt(Halt.after(error))
        if error.status is not None and isinstance(self._provider, KeepsRecords):  # what may be done is not repeated
            return self._doubted(placement, error, if_absent=Status.PLANNED, due_in_s=delay_s)
        move = self._move(placement, Status.PLANNED, str(error), due_in_s=delay_s)
        return move if error.status is None else replace(move, denied_at=move.at)

    def _doubted(self, placement: Placement, error: ProviderError, *, if_absent: Status, due_in_s: float = 0.0) -> Move:
        move = self._move(placement, Status.IN_DOUBT, str(error), due_in_s=due_in_s)
        return replace(move, if_absent=if_absent)

    def _move(
        self,
        placement: Placement,
        to: Status,
        detail: str | None,
        *,
        due_in_s: float | None = 0.0,
        receipt: Receipt | None = None,
    ) -> Move:
        now = self._clock.now()
        due_at = None if due_in_s is None else now + timedelta(seconds=due_in_s) if due_in_s else now
        return Move(placement, Status.PLACING, to, now, self._account.run_id, detail, due_at, receipt)

    def _halt(self, halt: Halt) -> None:
        if (halted := self._swept.halted + halt) != self._swept.halted:
            self._swept = replace(self._swept, halted=halted)
            log.warning("%s is left alone: %s", self._provider.name, halt, extra={"action": "provider_halted"})

    def _count(self, recorded: Sequence[Move]) -> None:
        tally = Counter(move.to for move in recorded)
        placed, failed, in_doubt = (tally[to] for to in (Status.PLACED, Status.FAILED, Status.IN_DOUBT))
        swept = self._swept
        self._swept = replace(
            swept,
            placed=swept.placed + placed,
            failed=swept.failed + failed,
            in_doubt=swept.in_doubt + in_doubt,
            again=swept.again + len(recorded) - placed - failed - in_doubt,
        )
        self._report(self._swept)
