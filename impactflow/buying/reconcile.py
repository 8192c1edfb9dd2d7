"""
Resolve doubts: each placement whose answer was lost becomes placed, planned again, failed, or parked for a person.

Where a provider repeats a request safely, the request is sent again. Where a provider only keeps records, they are read
and weighed (``evidence``). "Not in the records" means "not bought" only once the settling time is over, or at once
where the provider had said no; and only if two readings in opposite orders agree, because pages shift while they are
read. A record without a key counts as ours only after two readings of all that the account lists. The evidence leaves
no doubt to a person before the settling time is over: until then the records may still show the purchase.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from impactflow.accounts import NOT_HALTED, Halt, StoreAccount, check_account
from impactflow.buying.evidence import DENIED, Evidence
from impactflow.buying.sweep import PlacementLease, retry_delay_s
from impactflow.errors import (
    AlreadyRecorded,
    NotSent,
    OutcomeUnknown,
    ProviderError,
    Refused,
    TransitionRefused,
)
from impactflow.ledger import TRANSITIONS, Claim, Move, Status
from impactflow.models import Placement
from impactflow.providers import (
    Absent,
    Ambiguous,
    Found,
    KeepsRecords,
    RepeatsSafely,
    Verdict,
)
from impactflow.stopping import InFlight, to_its_end
from impactflow.taskgroup import together

log = logging.getLogger(__name__)

#: How far around the attempts the records are read; the days of provider and merchant may differ.
_MARGIN = timedelta(days=1)
#: How often a provider is asked again, a settling time apart, before an answer against a purchase counts: a purchase
#: may be missing for a moment, or be shown twice while pages shift, or turn out to belong to another doubt.
_ASKED_AGAIN = 3


@dataclass(frozen=True, slots=True)
class _AskAgain:
    """An answer against the purchase counts only once the provider has repeated it."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """
    The result of resolving doubts.

    Args:
        placed: Found to have taken effect.
        planned: Certain to have had no effect; to be sent again.
        failed: Refused for good, and certain to have had no effect.
        parked: Undecidable; for a person.
        open: Still in doubt; looked at again later.
        halted: The error that left a doubt unresolved, if one did.
    """

    placed: int = 0
    planned: int = 0
    failed: int = 0
    parked: int = 0
    open: int = 0
    halted: Halt = NOT_HALTED

    @property
    def changed(self) -> int:
        """The number of placements that are no longer in doubt."""
        return self.placed + self.planned + self.failed + self.parked


async def resolve(account: StoreAccount) -> Resolved:
    """
    Resolve every due doubt of a store at one provider, after putting in doubt the placements a run left unfinished.

    Raises:
        LedgerError: The ledger failed; the doubts resolved before stay resolved.
        asyncio.CancelledError: The work was cancelled; no doubt is reserved for this run any more.
    """
    now, provider = account.clock.now(), account.provider
    await account.ledger.expire_leases(now, account.run_id)
    try:
        await check_account(account)
    except (NotSent, Refused) as error:
        return Resolved(halted=Halt.after(error))
    until = now + timedelta(seconds=account.config.lease_s)
    repeats = isinstance(provider, RepeatsSafely)
    claim = Claim(provider.name, account.store, account.run_id, now, until, exclusive=False, repeats=repeats)
    doubts = await account.ledger.claim_doubts(claim)
    if not doubts:
        return Resolved()
    resolver = _Resolver(account, until)
    if isinstance(provider, RepeatsSafely):
        return await to_its_end(resolver.repeat(provider, doubts), resolver.in_flight.stop)
    if isinstance(provider, KeepsRecords):
        try:
            return await resolver.search_records(provider, doubts)
        except asyncio.CancelledError:
            await resolver.give_back(doubts)
            raise
    msg = f"{provider.name} neither repeats safely nor keeps records"
    raise AssertionError(msg)


class _Resolver:
    """One run's work on the doubts at one provider."""

    def __init__(self, account: StoreAccount, until: datetime) -> None:
        self._account = account
        self._ledger = account.ledger
        self._provider = account.provider
        self._clock = account.clock
        self._config = account.config
        self._until = until
        self._resolved = Resolved()
        self._applied: set[int] = set()
        self.in_flight = InFlight()

    async def repeat(self, provider: RepeatsSafely, doubts: Sequence[Placement]) -> Resolved:
        """Send the requests again, as many at once as may be in flight."""
        slots = asyncio.Semaphore(self._config.concurrency)

        async def ask(doubt: Placement) -> None:
            async with slots:
                lease = PlacementLease(self._account, doubt, self._until)
                asked_at, sent_until = self._clock.now(), doubt.sent_until
                if self.in_flight.stopped:
                    await self._apply(doubt, None, "not asked: the run was stopped", sent_until)
                    return
                try:
                    found = await self.in_flight.answer(provider.resolve(doubt, lease))
                    verdict: Verdict | _AskAgain | None = found
                    why = "the provider says it had no effect"
                    was_refused = isinstance(found, Absent) and doubt.if_absent is not None  # and is once more
                    if found.so_far and not was_refused:
                        verdict, why = self._in_the_end(doubt, asked_at, found)
                    unanswered = False
                except TimeoutError:
                    verdict, why, unanswered = None, "the run was stopped before an answer came", True
                except ProviderError as error:
                    verdict, why, unanswered = None, str(error), isinstance(error, OutcomeUnknown)
                    self._note(error)
                if unanswered:  # the repeat may still come, whatever was denied before
                    sent_until = self._clock.now()
                    if_absent = None if doubt.if_absent in DENIED else doubt.if_absent
                    doubt = replace(doubt, if_absent=if_absent, asked_again=0)
            await self._apply(doubt, verdict, why, sent_until)

        async with together() as group:
            for doubt in doubts:
                group.create_task(ask(doubt))
        return self._resolved

    def _in_the_end(
        self, doubt: Placement, asked_at: datetime, verdict: Verdict
    ) -> tuple[Verdict | _AskAgain | None, str]:
        """The answer so far, if the provider repeats it after the settling time; and the reason, or the wait."""
        reason = _reason(verdict)
        if not self._is_settled(doubt, asked_at):
            return None, f"{reason}; asked again until what was sent before must have come"
        if doubt.asked_again < _ASKED_AGAIN:
            return _AskAgain(), f"{reason}; asked again before that counts ({doubt.asked_again + 1} of {_ASKED_AGAIN})"
        return verdict, "the provider refuses to repeat it, and shows no purchase"

    async def search_records(self, provider: KeepsRecords, doubts: Sequence[Placement]) -> Resolved:
        """Read the records, then in the other order for doubts that none names; read all of them before any guess."""
        read_at = self._clock.now()
        evidence = Evidence(doubts, self._config.settle_s)
        verdicts: Mapping[int, Verdict | None] = {}
        why = "not in the provider's records"
        try:
            await self._read(provider, doubts, evidence, newest_first=False)
            verdicts = await self._weigh(doubts, evidence, read_at)
            unnamed = [each for each in doubts if verdicts[each.id] and not evidence.names(each)]
            if unnamed:
                await self._read(provider, unnamed, evidence, newest_first=True)
                weighed = [each for each in unnamed if evidence.alike(each)]
                # Read every record before concluding anything from records without a key: other records may have one.
                for newest_first in (False, True) if weighed else ():
                    await self._read(provider, weighed, evidence, newest_first=newest_first, everything=True)
                again = await self._weigh(doubts, evidence, read_at)
                # One reading proves nothing about a doubt for which it was not repeated, unless it names its key.
                repeated = {each.id for each in doubts if each in unnamed or evidence.names(each)}
                verdicts = {id_: again[id_] if id_ in repeated else verdict for id_, verdict in verdicts.items()}
        except ProviderError as error:
            # Half a reading proves nothing; the complete one before it proves the purchases that carry a doubt's key.
            verdicts = {id_: found for id_, found in verdicts.items() if isinstance(found, Found) and found.by_key}
            why = str(error)
            self._note(error)
        refs = {verdict.receipt.ref for verdict in verdicts.values() if isinstance(verdict, Found)}
        for doubt in doubts:
            verdict = verdicts.get(doubt.id)
            # The record may belong to another doubt: the next reading knows to which one.
            is_so_far = not refs.isdisjoint(evidence.alike(doubt))
            if isinstance(verdict, Ambiguous) and (verdict.so_far or is_so_far):
                await self._apply(doubt, *self._in_the_end(doubt, read_at, verdict))
            else:
                await self._apply(doubt, verdict, why)
        return self._resolved

    async def give_back(self, doubts: Sequence[Placement]) -> None:
        """Let the next run resolve the doubts that are left, without waiting for this run's lease."""
        async with together() as group:
            for doubt in doubts:
                if doubt.id not in self._applied:
                    group.create_task(self._apply(doubt, None, "the run was stopped"))

    def _is_settled(self, doubt: Placement, read_at: datetime) -> bool:
        """Whether the records were read after the settling time, so that a missing purchase cannot appear later."""
        return read_at >= doubt.sent_until + timedelta(seconds=self._config.settle_s)

    async def _read(
        self,
        provider: KeepsRecords,
        doubts: Sequence[Placement],
        evidence: Evidence,
        *,
        newest_first: bool,
        everything: bool = False,
    ) -> None:
        from_ = (min(doubt.attempted_at for doubt in doubts) - _MARGIN).astimezone(UTC).date()
        to = (self._clock.now() + _MARGIN).astimezone(UTC).date()
        for customers in (False, True):
            concerned = [doubt for doubt in doubts if customers in map(bool, doubt.customers)]
            if not concerned and not everything:
                continue
            kinds = [] if everything else sorted({doubt.kind for doubt in concerned})
            pages = provider.records(kinds, from_, to, customers=customers, newest_first=newest_first)
            async for page in pages:
                for record in page:
                    evidence.add(record)
                if newest_first:  # purchases made meanwhile move the end of this page to the beginning of the next
                    evidence.turn()
            evidence.turn()

    async def _weigh(
        self, doubts: Sequence[Placement], evidence: Evidence, read_at: datetime
    ) -> Mapping[int, Verdict | None]:
        refs = sorted({ref for doubt in doubts for ref in evidence.alike(doubt)})
        holders = [*await self._ledger.taken(self._provider.name, refs)]
        further = await self._ledger.surplus(self._provider.name, refs)
        holders += [replace(entry.placement, ref=ref) for ref, entry in further]
        by_ref: dict[str, list[Placement]] = defaultdict(list)
        for holder in holders:
            by_ref[holder.provider_ref].append(holder)
        return {
            doubt.id: evidence.verdict(doubt, by_ref, is_settled=self._is_settled(doubt, read_at)) for doubt in doubts
        }

    async def _apply(
        self, doubt: Placement, verdict: Verdict | _AskAgain | None, why: str, sent_until: datetime | None = None
    ) -> None:
        now = self._clock.now()
        if_absent = Status(doubt.if_absent) if doubt.if_absent else None
        move = Move(doubt, Status.IN_DOUBT, Status.IN_DOUBT, now, self._account.run_id, why)
        move = replace(move, sent_until=sent_until, if_absent=if_absent, asked_again=doubt.asked_again)
        match verdict:
            case Found(receipt, by_key):
                move = replace(move, to=Status.PLACED, detail=None, due_at=now, receipt=receipt, by_key=by_key)
            case Absent():
                move = replace(move, to=Status(doubt.if_absent or Status.PLANNED), detail=_answer(doubt) or why)
                move = replace(move, due_at=now if move.to is Status.PLANNED else None)
            case Ambiguous(evidence):
                move = replace(move, to=Status.PARKED, detail=evidence)
            case _AskAgain():
                due_at = now + timedelta(seconds=self._config.settle_s)
                move = replace(move, detail=_answer(doubt) or why, due_at=due_at, asked_again=doubt.asked_again + 1)
            case None:
                move = replace(move, detail=_answer(doubt) or why, due_at=self._next(doubt))
        try:
            await (self._ledger.record_found(move) if isinstance(verdict, Found) else self._ledger.move(move))
        except AlreadyRecorded:
            why = f"the purchase that was found, {move.receipt and move.receipt.ref}, is another placement's"
            # Where the record only looked like a match, the next reading knows whose it is.
            again = self._in_the_end(doubt, now, Ambiguous(why)) if move.by_key else (None, why)
            await self._apply(doubt, *again, sent_until)
            return
        except TransitionRefused:
            return  # another run resolved it, or its late answer did
        self._applied.add(doubt.id)
        self._count(move.to)
        log.info(
            "resolved: order %s, slot %s is %s", doubt.order_id, doubt.slot, move.to,
            extra={"action": f"placement_{move.to}"},
        )  # fmt: skip

    def _next(self, doubt: Placement) -> datetime:
        """The next time to look: soon at first, for records that appear late; and surely after the settling time."""
        now = self._clock.now()
        soon = now + timedelta(seconds=min(retry_delay_s(doubt.attempt), self._config.settle_s / 4))
        settled_at = doubt.sent_until + timedelta(seconds=self._config.settle_s)
        return min(soon, settled_at) if settled_at > now else soon

    def _note(self, error: ProviderError) -> None:
        self._resolved = replace(self._resolved, halted=self._resolved.halted + Halt.after(error))

    def _count(self, to: Status) -> None:
        name = to.value if to in TRANSITIONS[Status.IN_DOUBT] else "open"
        self._resolved = replace(self._resolved, **{name: getattr(self._resolved, name) + 1})


def _reason(verdict: Verdict) -> str:
    match verdict:
        case Found(receipt):
            return f"only {receipt.ref} fits, and does not say whose it is"
        case Absent():
            return "the provider refused to repeat it"
        case Ambiguous(evidence):
            return evidence


def _answer(doubt: Placement) -> str | None:
    """The provider's answer, where a doubt arose from one; kept as the reason until the doubt is resolved."""
    return (doubt.reason or "") if doubt.if_absent else None
