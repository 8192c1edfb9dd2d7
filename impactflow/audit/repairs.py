"""
The repairs that an audit may make by itself, where a person asked for repairs: only those proven to be right.

Every purchase is looked up once more before it is touched, and a purchase that the ledger holds is never cancelled.
Nothing is ever bought here.
"""

from dataclasses import replace
from typing import assert_never

from impactflow.accounts import StoreAccount
from impactflow.audit.findings import Disagreement, Suspect
from impactflow.errors import AlreadyRecorded, ImpactError, ProviderError, TransitionRefused
from impactflow.ledger import STANDING, Entry, Move, Status, Step
from impactflow.models import Placement, Receipt
from impactflow.providers import Record
from impactflow.units import in_words

#: The most duplicates to cancel at one provider unless a person gives a number: more of them are no accident.
CANCELLED_UNASKED = 5
#: Statuses in which no request is being sent, so that a purchase may be recorded. Doubts are left to ``reconcile``.
_WITHOUT_PURCHASE = frozenset(
    {Status.AWAITING_APPROVAL, Status.PLANNED, Status.FAILED, Status.PARKED, Status.CANCELLED, Status.COVERED}
)


class Repairs:
    """
    Repairs at one provider.

    Args:
        account: The account where duplicates are cancelled, with the ledger that records the cancellations.
    """

    def __init__(self, account: StoreAccount) -> None:
        self._ledger = account.ledger
        self._provider = account.provider
        self._clock = account.clock
        self._run_id = account.run_id

    async def attempt(self, suspect: Suspect) -> tuple[str | None, str | None]:
        """
        Repair a suspect if the repair is proven to be right.

        Returns:
            The repair, or else the obstacle; neither where the case is for a person anyway.

        Raises:
            LedgerError: The ledger failed; a cancellation that was begun is finished by the next audit that repairs.
        """
        try:
            return await self._repair(suspect), None
        except (_UnprovenError, TransitionRefused, AlreadyRecorded, ProviderError) as error:
            return None, f"Not repaired: {error}."

    async def _repair(self, suspect: Suspect) -> str | None:
        if suspect.entry is None:
            return None
        [entry] = await self._ledger.holders(self._provider.name, refs=[], keys=[suspect.entry.placement.key])
        if entry.placement.provider is not self._provider.name:
            raise _UnprovenError(f"the placement is one at {entry.placement.provider}")
        match suspect.what:
            case Disagreement.CANCELLED_THERE:
                return await self._record_cancellation(entry)
            case Disagreement.DUPLICATE:
                return await self._cancel(entry, suspect.ref)
            case Disagreement.EXTRA:
                return await self._record(entry, suspect.ref) if suspect.record else None
            case Disagreement.MISSING | Disagreement.WRONG_AMOUNT:
                return None
            case never:
                assert_never(never)

    async def _record_cancellation(self, entry: Entry) -> str:
        record = await self._provider.fetch(entry.placement.provider_ref, entry.placement.parts)
        if record is None or not record.cancelled:
            raise _UnprovenError(f"asked again, {self._provider.name} does not say that it is cancelled")
        now, detail = self._clock.now(), "cancelled at the provider"
        await self._ledger.move(Move(entry.placement, entry.status, Status.CANCELLED, now, self._run_id, detail))
        return "marked as cancelled"

    async def _record(self, entry: Entry, ref: str) -> str:
        """Record a purchase that carries the placement's key, where the ledger holds none for it."""
        if entry.placement.ref is not None or entry.status not in _WITHOUT_PURCHASE:
            raise _UnprovenError(f"the placement is {entry.status}")
        record = await self._proven(entry.placement, ref)
        now, receipt = self._clock.now(), Receipt(ref, record.price_usd_cents, parts=record.parts)
        detail = f"an audit found {ref}"
        move = Move(entry.placement, entry.status, Status.PLACED, now, self._run_id, detail, now, receipt, by_key=True)
        await self._ledger.record_found(move)
        return "recorded as bought"

    async def _cancel(self, entry: Entry, ref: str) -> str:
        """
        Cancel the later of two purchases under one key; also finish a cancellation that was cut off.

        The earlier one is never cancelled, even if the ledger holds the later one: another ledger may hold the other
        purchase, and two ledgers that each cancel the purchase they do not hold would leave the sale with none.
        """
        placement, asked_at = entry.placement, self._clock.now()
        there = await self._provider.fetch(ref)
        if there is None:
            raise _UnprovenError(f"{self._provider.name} knows no {ref}")
        if not there.cancelled:
            ours = await self._prove_duplicate(entry, there)
            if max(there.at, ours.at) > asked_at:  # where the provider gives no time, it is the time of asking
                raise _UnprovenError(f"whether {ours.ref} or {there.ref} was first is unknown")
            if (there.at, there.ref) < (ours.at, ours.ref):
                return await self._cancel_ours(entry, there, ours)
            await self._ledger.intend_to_cancel(self._step(placement, ref, f"bought twice: about to cancel {ref}"))
            await self._provider.cancel(ref)
        await self._ledger.record_cancelled(self._step(placement, ref, f"bought twice: {ref} is cancelled"))
        return f"{ref} is cancelled"

    async def _cancel_ours(self, entry: Entry, first: Record, ours: Record) -> str:
        """Let the placement hold the purchase that was first, then cancel the one that it held."""
        if not first.shows(entry.placement):
            raise _UnprovenError(f"{first.ref}, which was first, is {in_words(first.kind, first.quantity)}")
        detail = f"bought twice: {first.ref} was first, {ours.ref} is the further one"
        await self._ledger.hold_the_earlier(self._step(entry.placement, first.ref, detail))
        return await self._cancel(replace(entry, placement=replace(entry.placement, ref=first.ref)), ours.ref)

    async def _prove_duplicate(self, entry: Entry, other: Record) -> Record:
        """
        Check that both purchases are one placement's, and that the one the ledger holds stands; return that one.

        Raises:
            _UnprovenError: It is not so.
        """
        if entry.status not in STANDING:
            raise _UnprovenError(f"the placement is {entry.status}")
        if other.key != entry.placement.key:
            raise _UnprovenError(f"{other.ref} does not carry the placement's key")
        ours = await self._proven(entry.placement, entry.placement.provider_ref)
        if await self._ledger.holders(self._provider.name, refs=[other.ref], keys=[]):
            raise _UnprovenError(f"the ledger holds a purchase of the name {other.ref}")
        return ours

    async def _proven(self, placement: Placement, ref: str) -> Record:
        """Return a purchase that stands and has the placement's key, kind and quantity."""
        record = await self._provider.fetch(ref, placement.parts if ref == placement.provider_ref else ())
        if record is None or record.cancelled:
            raise _UnprovenError(f"{ref} does not stand")
        if record.key != placement.key:
            raise _UnprovenError(f"{ref} does not carry the placement's key")
        if not record.shows(placement):
            raise _UnprovenError(f"{ref} is {in_words(record.kind, record.quantity)}")
        return record

    def _step(self, placement: Placement, ref: str, detail: str) -> Step:
        return Step(placement, ref, self._clock.now(), self._run_id, detail)


class _UnprovenError(ImpactError):
    """A repair is not proven to be right."""
