"""
Place what is planned: claim, call, record; one sweep over what is due at one provider.

1. ``Ledger.claim`` makes the intent durable, with a lease, before anything is sent.
2. The provider is called with no transaction open, well inside the lease.
3. ``Ledger.record_answer`` makes the outcome durable.

A sweep may die between any two lines: what it held is in doubt once the lease is over, and ``reconcile`` settles that.
Called by the task ``place_batch``; leaves what is bought to ``policy`` and how it is said to ``providers``.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from impactflow.clock import Clock
from impactflow.errors import (
    IdempotencyConflict,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Refused,
    Unauthorized,
    Unavailable,
)
from impactflow.ledger import Claim, Ledger, Move, Status
from impactflow.models import Placement
from impactflow.providers import Hold, Provider
from impactflow.together import together

log = logging.getLogger(__name__)

#: A provider that cannot be reached this often in a row is left alone for the rest of the sweep.
_UNREACHABLE = 5
#: How long nothing is sent after a 429 that does not say, and the longest that a sweep waits, in seconds.
_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 300.0
#: The longest wait before a placement that was certainly not sent is tried again, in seconds.
_LONGEST_RETRY_S = 3600.0


@dataclass(frozen=True, slots=True)
class Terms:
    """
    How a run works, from the settings.

    Args:
        lease_s: How long a placement belongs to the run that sends it.
        request_timeout_s: How long one request may take; a request and the wait before it end within twice that.
        settle_s: How long after an attempt "not in their records" means "not placed".
        concurrency: Requests in flight per provider.
        track_s: How long after the first look a placement is tracked again.
    """

    lease_s: float
    request_timeout_s: float
    settle_s: float
    concurrency: int
    track_s: float


@dataclass(frozen=True, slots=True)
class Swept:
    """
    What one sweep did.

    Args:
        placed: Purchases that took effect.
        failed: Refused for good.
        in_doubt: Perhaps bought.
        again: Certainly not bought, to be tried again.
        halted: Why the sweep ended early, for a person; None where it did not.
        unauthorized: Whether it was the key that the provider did not accept.
    """

    placed: int = 0
    failed: int = 0
    in_doubt: int = 0
    again: int = 0
    halted: str | None = None
    unauthorized: bool = False

    @property
    def sent(self) -> int:
        """How many attempts the sweep made."""
        return self.placed + self.failed + self.in_doubt + self.again


def retry_delay_s(attempt: int) -> float:
    """Seconds until the next attempt: 2, 4, 8, ... up to an hour."""
    return min(_LONGEST_RETRY_S, 2.0 ** min(attempt, 12))


@dataclass(frozen=True, slots=True)
class Held:
    """This run's hold on one placement."""

    ledger: Ledger
    clock: Clock
    placement: Placement
    until: datetime
    request_timeout_s: float

    def check(self) -> None:
        """
        See that a request and the wait before it fit into what is left of the lease.

        Raises:
            NotSent: They do not.
        """
        if (self.until - self.clock.now()).total_seconds() <= 2 * self.request_timeout_s:
            msg = "too little of the lease was left to send it"
            raise NotSent(msg, provider=self.placement.provider, operation="place")

    async def remember(self, handle: str | None) -> None:
        """Make the provider's name for the purchase durable before it takes effect."""
        await self.ledger.remember_handle(self.placement, handle)


class Sweep:
    """
    One sweep over what is due at one provider, with a bounded number of requests in flight.

    Args:
        ledger: Where placements are claimed and recorded.
        provider: Who sells them.
        clock: Tells the time.
        terms: How to work.
        run_id: Which run does it.
        limit: At most so many placements.
        report: Called with each outcome.
    """

    def __init__(
        self,
        ledger: Ledger,
        provider: Provider,
        clock: Clock,
        terms: Terms,
        run_id: str,
        *,
        limit: int,
        report: Callable[[Swept], None] = lambda _: None,
    ) -> None:
        self._ledger = ledger
        self._provider = provider
        self._clock = clock
        self._terms = terms
        self._run_id = run_id
        self._left = limit
        self._report = report
        self._swept = Swept()
        self._slots = asyncio.Semaphore(terms.concurrency)
        self._claimed = 0
        self._answered = asyncio.Condition()
        self._unreachable = 0
        self._resume_at = clock.now()

    async def run(self) -> Swept:
        """
        Place until nothing is due, the limit is reached or the provider has to be left alone.

        Raises:
            LedgerError: The ledger failed. What was in flight is in doubt once its lease is over.
        """
        try:
            await self._provider.prepare()
        except Unauthorized as refused:
            self._halt(str(refused), unauthorized=True)
        except (NotSent, Refused) as error:
            self._halt(str(error))
        # A quarter more workers than requests in flight: while some wait for a commit, the others keep the line busy.
        # What they have claimed and not sent is what a crash puts in doubt for nothing, so it is not more.
        workers = self._terms.concurrency + max(1, self._terms.concurrency // 4)
        async with together() as group:
            for _ in range(min(workers, self._left)):
                group.create_task(self._work())
        return self._swept

    async def _work(self) -> None:
        while self._swept.halted is None and self._left > 0:
            self._left -= 1
            now = self._clock.now()
            if now < self._resume_at:  # nothing is claimed while the provider asks to wait: leases are for sending
                await self._clock.sleep((self._resume_at - now).total_seconds())
                now = self._clock.now()
            until = now + timedelta(seconds=self._terms.lease_s)
            alone = self._provider.one_twin_at_a_time
            placement = await self._ledger.claim(Claim(self._provider.name, self._run_id, now, until, alone))
            if placement is not None:
                await self._place(placement, until)
                continue
            self._left += 1
            if not (alone and await self._another_is_answered()):
                return

    async def _another_is_answered(self) -> bool:
        """Wait for an outcome, where any is awaited: what is due may be waiting for that of its twin."""
        async with self._answered:
            if not self._claimed:
                return False
            await self._answered.wait()
            return True

    async def _place(self, placement: Placement, until: datetime) -> None:
        self._claimed += 1
        hold = Held(self._ledger, self._clock, placement, until, self._terms.request_timeout_s)
        try:
            async with self._slots:
                move = await self._send(placement, hold)
            await self._ledger.record_answer(move)
        finally:
            self._claimed -= 1
            async with self._answered:
                if self._claimed:
                    self._answered.notify()
                else:
                    self._answered.notify_all()
        self._count(move.to)

    async def _send(self, placement: Placement, hold: Hold) -> Move:
        try:
            receipt = await self._provider.place(placement, hold)
        except Unauthorized as error:
            self._halt(str(error), unauthorized=True)
            return self._move(placement, Status.PLANNED, error.message)
        except IdempotencyConflict as error:  # some purchase stands under this key; settling it finds out which
            return self._move(placement, Status.IN_DOUBT, str(error))
        except Refused as error:
            log.warning(
                "refused: order %s, slot %s: %s", placement.order_id, placement.slot, error,
                extra={"action": "placement_failed"},
            )  # fmt: skip
            return self._move(placement, Status.FAILED, str(error), due_in_s=None)
        except NotSent as error:
            return self._again(placement, error)
        except OutcomeUnknown as error:
            self._unreachable = 0
            return self._move(placement, Status.IN_DOUBT, str(error))
        self._unreachable = 0
        return replace(self._move(placement, Status.PLACED, None), receipt=receipt)

    def _again(self, placement: Placement, error: NotSent) -> Move:
        delay_s = retry_delay_s(placement.attempt)
        match error:
            case RateLimited():
                delay_s = _PAUSE_S if error.retry_after_s is None else error.retry_after_s
                self._resume_at = max(self._resume_at, self._clock.now() + timedelta(seconds=delay_s))
                if delay_s > _LONGEST_PAUSE_S:
                    self._halt(str(error))
            case Unavailable():
                self._unreachable += 1
                if self._unreachable >= _UNREACHABLE:
                    self._halt(str(error))
        return self._move(placement, Status.PLANNED, str(error), due_in_s=delay_s)

    def _move(self, placement: Placement, to: Status, detail: str | None, *, due_in_s: float | None = 0.0) -> Move:
        now = self._clock.now()
        due_at = None if due_in_s is None else now + timedelta(seconds=due_in_s)
        return Move(placement, Status.PLACING, to, now, self._run_id, detail, due_at)

    def _halt(self, why: str, *, unauthorized: bool = False) -> None:
        if self._swept.halted is None:
            self._swept = replace(self._swept, halted=why, unauthorized=unauthorized)
            log.warning("%s is left alone: %s", self._provider.name, why, extra={"action": "provider_halted"})

    def _count(self, outcome: Status) -> None:
        field = {Status.PLACED: "placed", Status.FAILED: "failed", Status.IN_DOUBT: "in_doubt"}.get(outcome, "again")
        self._swept = replace(self._swept, **{field: getattr(self._swept, field) + 1})
        self._report(self._swept)
