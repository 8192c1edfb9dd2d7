"""
Cancel at the sellers what orders have bought that were given back.

A pass takes such purchases, the intent durable before anything is sent. Each is looked up before it is touched and once
more afterwards: it counts as cancelled only once its seller shows it so. Where that is not known it stays
``cancelling``, and the next run finds out; to ask twice to cancel changes nothing. A no counts the second time. What
is cancelled cannot be had back, so that in every doubt the purchase stands.
"""

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta

from impactflow.accounts import NOT_HALTED, Halt, StoreAccount, check_account
from impactflow.buying.sweep import PlacementLease
from impactflow.clock import Clock
from impactflow.errors import (
    IdempotencyConflict,
    NotSent,
    ProviderError,
    RateLimited,
    Refused,
    Unauthorized,
    Unavailable,
)
from impactflow.intake.planning import WATCH_DAYS
from impactflow.ledger import Ask, Ended, Ledger, Status, Taken, Taking, Undoing
from impactflow.models import Placement, ProviderName
from impactflow.policy import Policy
from impactflow.providers import Record
from impactflow.stopping import InFlight, to_its_end
from impactflow.taskgroup import together

log = logging.getLogger(__name__)

#: The most purchases to cancel at one provider unless a person gives a number: more refunds at once are no accident.
CANCELLED_UNASKED = 100
#: This many requests in a row that could not be sent end the pass.
_UNREACHABLE = 5
#: The most purchases that a result lists.
_LISTED = 100
_STOPPED = "the run was stopped"
_NOT_FOUND = "not found there as the purchase that the ledger holds"
_NO, _NOT_SHOWN = "its provider said no", "its provider does not show it as cancelled"
_KEPT, _TOO_MANY = "it is kept", "more were to be cancelled than may be"
_SHARED = "it shares its name there with another purchase: cancel by hand the one that is meant"
_DONE = "cancelled, since its order was given back"


@dataclass(frozen=True, slots=True)
class CancelPass:
    """
    The result of one pass at one provider.

    Args:
        cancelled: The number of purchases that are cancelled now.
        refused: The number of those that the provider does not cancel.
        beyond: How many purchases were to be cancelled, where they were more than may be: none of them was.
        halted: Why the pass ended early, if it did.
        first: The first of those that are cancelled: order, slot, provider, ref, price in USD cents where it is known.
    """

    cancelled: int = 0
    refused: int = 0
    beyond: int = 0
    halted: Halt = NOT_HALTED
    first: tuple[tuple[str, str, ProviderName, str, int | None], ...] = ()


async def undoing(
    ledger: Ledger,
    policy: Policy,
    clock: Clock,
    settle_s: float,
    *,
    listed_since: datetime | None = None,
    again: bool = False,
) -> Undoing:
    """
    The purchases of a store that refunds undo under a policy, as things are now.

    Args:
        ledger: The ledger.
        policy: The policy.
        clock: The clock.
        settle_s: How long after it was sent a purchase may not be shown yet, in seconds.
        listed_since: The time since when an order must have been listed as given back; by default 60 days ago.
        again: Whether also what a provider has refused to cancel.

    Raises:
        LedgerError: The ledger cannot be read.
    """
    now, slots = clock.now(), (await ledger.slots()).get(policy.store, {})
    watched = datetime.combine(now.date() - timedelta(days=WATCH_DAYS), time.min, UTC)
    undone = frozenset(slot for slot in slots if policy.undoes(slot))
    sent_before = now - timedelta(seconds=settle_s)
    return Undoing(policy.store, undone, now, listed_since or watched, sent_before, again=again)


class Cancelling:
    """
    One pass at one provider over the purchases of orders that were given back.

    Args:
        account: The store's account at the provider.
        undoing: The purchases that come into question.
        up_to: The most purchases to cancel; where there are more, none is cancelled.
    """

    def __init__(self, account: StoreAccount, undoing: Undoing, up_to: int) -> None:
        self._account = account
        self._ledger = account.ledger
        self._provider = account.provider
        self._clock = account.clock
        self._config = account.config
        self._undoing = undoing
        self._left = up_to
        self._began_at = account.clock.now()
        self._done = CancelPass()
        self._unreachable = 0
        self._may_ask = True
        self._seen: set[int] = set()
        self._in_flight = InFlight()

    async def run(self) -> CancelPass:
        """
        Cancel what is to be cancelled, and find out what became of what earlier runs have taken.

        Raises:
            LedgerError: The ledger failed. What was taken is looked up by the next run once its lease is over.
            asyncio.CancelledError: The pass was cancelled; what is in flight is recorded first.
        """
        number = await self._ledger.count_to_cancel(replace(self._undoing, at=self._began_at), self._provider.name)
        self._may_ask = 0 < self._left >= number
        if number > self._left:
            self._done, self._left = replace(self._done, beyond=number), 0
        try:
            await check_account(self._account)
        except (NotSent, Refused) as error:
            self._halt(Halt.after(error))
        await to_its_end(self._work_off(), self._stop)
        return self._done

    async def _work_off(self) -> None:
        while not self._done.halted:
            taken = await self._ledger.take_to_cancel(self._taking())
            self._left -= sum(each.is_new for each in taken)
            self._seen.update(each.placement.id for each in taken)
            if not taken:
                return
            async with together() as group:
                for each in taken:
                    group.create_task(self._undo(each))

    def _taking(self) -> Taking:
        """A lease includes the time in which a request of a run that is killed may still take effect."""
        now, most = self._clock.now(), self._config.concurrency
        until = now + timedelta(seconds=self._config.lease_s + self._config.settle_s)
        whose = self._provider.name, replace(self._undoing, at=now)
        seen = frozenset(self._seen)
        return Taking(*whose, self._left, most, self._began_at, until, self._account.run_id, seen)

    def _stop(self) -> None:
        self._halt(Halt(_STOPPED))
        self._in_flight.stop()

    def _halt(self, halt: Halt) -> None:
        self._done = replace(self._done, halted=self._done.halted + halt)

    async def _undo(self, taken: Taken) -> None:
        placement, price = taken.placement, None
        try:
            ended, price = await self._in_flight.answer(self._find_out(taken))
        except TimeoutError:
            ended = self._unknown(taken, _STOPPED)
        except ProviderError as error:
            self._unreachable += isinstance(error, Unavailable) and taken.is_new
            if isinstance(error, Unauthorized | RateLimited) or self._unreachable >= _UNREACHABLE:
                self._halt(Halt.after(error))
            ended = self._unknown(taken, str(error))
        else:
            self._unreachable = 0
        if not await self._ledger.end_cancellation(ended):
            return  # another run has it by now
        if ended.to is Status.CANCELLED:
            row = placement.order_id, placement.slot, placement.provider, placement.provider_ref, price
            first = (*self._done.first, row)[:_LISTED]
            self._done = replace(self._done, cancelled=self._done.cancelled + 1, first=first)
        elif ended.to is Status.PLACED and ended.refused is not None:
            self._done = replace(self._done, refused=self._done.refused + 1)
            log.warning(
                "not cancelled: order %s, slot %s: %s", placement.order_id, placement.slot, ended.refused,
                extra={"action": "cancellation_refused"},
            )  # fmt: skip

    async def _find_out(self, taken: Taken) -> tuple[Ended, int | None]:
        """
        Look at one purchase, and cancel it if it stands and its order is given back; return its price, too.

        Raises:
            ProviderError: What became of it is not known.
        """
        placement = taken.placement
        holders = await self._ledger.holders(self._provider.name, refs=[placement.provider_ref], keys=[])
        is_shared = len(holders) > 1
        # One answer that there is no purchase may be temporary.
        record = await self._look_up(placement, shared=is_shared) or await self._look_up(placement, shared=is_shared)
        if record is None:
            return self._not_found(taken), None
        if record.cancelled:
            return self._cancelled(taken), record.price_usd_cents
        if is_shared or record.shares_name:
            for_good = not taken.was_asked or taken.refused == _SHARED
            return self._let_stand(taken, _SHARED, for_good=for_good, refused=_SHARED), None
        if not self._may_ask:
            return self._kept(taken, _TOO_MANY, is_whole=not record.differs(placement)), None
        if (why := await self._ledger.ask_to_cancel(Ask(taken, replace(self._undoing, at=self._clock.now())))) is None:
            return await self._cancel(taken)
        return self._kept(taken, why, is_whole=not record.differs(placement)), None

    async def _cancel(self, taken: Taken) -> tuple[Ended, int | None]:
        """
        Cancel one purchase, and look whether it is cancelled.

        Raises:
            ProviderError: What became of it is not known.
        """
        placement, kind, no = taken.placement, _NOT_SHOWN, _NOT_SHOWN
        lease_until = taken.until - timedelta(seconds=self._config.settle_s)
        lease = PlacementLease(self._account, placement, lease_until, operation="cancel")
        lease.check()
        try:
            await self._provider.cancel(placement.provider_ref, placement.parts, lease)
        except (Unauthorized, IdempotencyConflict):
            raise
        except Refused as error:  # a gateway may say no to what was done, too
            kind, no = _NO, f"{_NO}: {error}"
        if (record := await self._look_up(placement, shared=False)) is None:
            return self._unknown(taken, _NOT_FOUND), None
        if record.cancelled:
            return self._cancelled(taken), record.price_usd_cents
        is_same = taken.was_asked and (taken.refused or "").startswith(kind)
        return replace(self._let_stand(taken, no, for_good=is_same, refused=no), is_credit=is_same), None

    async def _look_up(self, placement: Placement, *, shared: bool) -> Record | None:
        """
        The purchase as its provider shows it; None where it does not show it as the one that the ledger holds.

        Raises:
            ProviderError: The provider did not say.
        """
        record = await self._provider.fetch(placement.provider_ref, placement.parts)
        return record if record is not None and _is_of(record, placement, shared=shared) else None

    def _cancelled(self, taken: Taken) -> Ended:
        return Ended(taken, Status.CANCELLED, self._clock.now(), self._account.run_id, _DONE)

    def _not_found(self, taken: Taken) -> Ended:
        """A purchase that its provider does not show: it may be cancelled only if that was asked for."""
        if taken.was_asked:
            return self._unknown(taken, _NOT_FOUND)
        return self._let_stand(taken, _NOT_FOUND, for_good=taken.refused == _NOT_FOUND, refused=_NOT_FOUND)

    def _kept(self, taken: Taken, why: str, *, is_whole: bool) -> Ended:
        """A purchase that is not to be cancelled now; what was asked for before may show late, or in part."""
        why = f"{_KEPT}: {why}"
        part = None if is_whole else f"{why}, but a part of it was cancelled: compare it with the provider's own pages"
        for_good = not taken.was_asked or (taken.refused or "").startswith(_KEPT)
        return self._let_stand(taken, part or why, for_good=for_good, refused=part)

    def _let_stand(self, taken: Taken, why: str, *, for_good: bool, refused: str | None) -> Ended:
        """The purchase stands; where that may not be the last word, the next run looks once more."""
        if not for_good:
            return replace(self._unknown(taken, why), refused=why)
        now, run_id = self._clock.now(), self._account.run_id
        return Ended(taken, Status.PLACED, now, run_id, f"not cancelled: {why}", due_at=now, refused=refused)

    def _unknown(self, taken: Taken, why: str) -> Ended:
        """Found out by the next run, after a request of this one has had time to take effect."""
        now = self._clock.now()
        due_at = now + timedelta(seconds=self._config.settle_s)
        return Ended(taken, Status.CANCELLING, now, self._account.run_id, why, due_at)


def _is_of(record: Record, placement: Placement, *, shared: bool) -> bool:
    """Whether a purchase of a placement's name is the placement's; what is left of a cancelled one may be less."""
    if shared or record.key is not None:
        return record.key == placement.key
    return not record.is_somebodys and (record.cancelled or not record.differs(placement))
