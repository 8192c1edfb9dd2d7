"""
Settle what is in doubt: each placement whose answer was lost becomes placed, planned again, or parked for a person.

Where a provider repeats safely it is asked again. Where it only keeps records, they are read and compared: ``Evidence``
is that comparison, pure. "Not in the records" means "not bought" only once the settling time is over, or at once where
the provider had said no; and only if two readings in opposite orders agree, because pages shift while they are read. A
record that names nobody is taken for ours only after two readings of all that the account lists, and nothing is left to
a person before the settling time is over: until then the provider may tell. Called by the task ``settle_doubts``.
"""

import asyncio
import logging
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from impactflow.accounts import StoreAccount, check_account
from impactflow.errors import (
    AlreadyRecorded,
    NotSent,
    OutcomeUnknown,
    ProviderError,
    Refused,
    TransitionRefused,
    Unauthorized,
)
from impactflow.ledger import TRANSITIONS, Claim, Move, Status
from impactflow.models import Kind, Placement, Receipt
from impactflow.placement import Held, retry_delay_s
from impactflow.providers import (
    CLOCK_SKEW,
    Absent,
    Ambiguous,
    Found,
    KeepsRecords,
    Record,
    RepeatsSafely,
    Verdict,
)
from impactflow.stopping import InFlight, to_its_end
from impactflow.together import together

log = logging.getLogger(__name__)

#: How far around the attempts the records are read; the days of provider and merchant may differ.
_MARGIN = timedelta(days=1)
#: What becomes of a doubt that arose because the provider said no: its records are the last word at once.
_DENIED = frozenset({Status.PLANNED.value, Status.FAILED.value})
#: How often a provider is asked again, a settling time apart, before what it says against a purchase counts: a purchase
#: may be missing for a moment, or be shown twice while pages shift, and another doubt may turn out to be its own.
_ASKED_AGAIN = 3
#: Ends the reason of a doubt about which the provider is asked again, with how often by then.
_AGAIN = re.compile(r"; asked again before that counts \((\d+) of \d+\)$")
_Amount = tuple[Kind | None, int | Decimal | None]
#: All that tells purchases apart where records carry no key: kind, quantity, customer.
_Look = tuple[Kind | None, int | Decimal | None, str]


@dataclass(frozen=True, slots=True)
class Settled:
    """
    What became of the doubts.

    Args:
        placed: Found to have taken effect.
        planned: Certain to have had none; to be sent again.
        failed: Refused for good, and certain to have had none.
        parked: Undecidable; for a person.
        open: Still in doubt; looked at again later.
        halted: Why nothing could be settled, for a person.
        unauthorized: Whether it was the key that the provider did not accept.
    """

    placed: int = 0
    planned: int = 0
    failed: int = 0
    parked: int = 0
    open: int = 0
    halted: str | None = None
    unauthorized: bool = False

    @property
    def changed(self) -> int:
        """How many are no longer in doubt."""
        return self.placed + self.planned + self.failed + self.parked


async def settle(account: StoreAccount) -> Settled:
    """
    Settle every due doubt of a store at one provider, after putting in doubt what some run left unfinished.

    Raises:
        LedgerError: The ledger failed; what was settled before stands.
        asyncio.CancelledError: It was cancelled; no doubt is reserved for this run any more.
    """
    now, provider = account.clock.now(), account.provider
    await account.ledger.expire_leases(now, account.run_id)
    try:
        await check_account(account)
    except (NotSent, Refused) as error:
        return Settled(halted=str(error), unauthorized=isinstance(error, Unauthorized))
    until = now + timedelta(seconds=account.terms.lease_s)
    repeats = isinstance(provider, RepeatsSafely)
    claim = Claim(provider.name, account.store, account.run_id, now, until, exclusive=False, repeats=repeats)
    doubts = await account.ledger.claim_doubts(claim)
    if not doubts:
        return Settled()
    desk = _Desk(account, until)
    if isinstance(provider, RepeatsSafely):
        return await to_its_end(desk.repeat(provider, doubts), desk.in_flight.stop)
    if isinstance(provider, KeepsRecords):
        try:
            return await desk.look_through(provider, doubts)
        except asyncio.CancelledError:
            await desk.give_back(doubts)
            raise
    msg = f"{provider.name} neither repeats safely nor keeps records"
    raise AssertionError(msg)


class Evidence:
    """
    The records that could explain some doubts, from any number of readings of the merchant's list and the customers'.

    Args:
        doubts: What to explain. Records of anything else are forgotten at once.
        settle_s: How long after it was sent a purchase may still take effect.
    """

    def __init__(self, doubts: Sequence[Placement], settle_s: float) -> None:
        self._latest_after_sent = timedelta(seconds=settle_s) + CLOCK_SKEW
        self._doubt_by_key = {doubt.key: doubt for doubt in doubts}
        self._spans: dict[_Amount, tuple[datetime, datetime]] = {}
        for doubt in doubts:
            begins, ends = self._span(doubt)
            first, last = self._spans.get(_amount(doubt), (begins, ends))
            self._spans[_amount(doubt)] = min(first, begins), max(last, ends)
        self._keyed: dict[str, dict[str, Record]] = defaultdict(dict)
        self._times: dict[str, datetime] = {}
        #: How many records of each name there are at once, and how many so far in what is being read.
        self._unkeyed: dict[_Look, Counter[str]] = defaultdict(Counter)
        self._unkeyed_here: dict[_Look, Counter[str]] = defaultdict(Counter)
        self._keys_return = False

    def add(self, record: Record) -> None:
        """Keep a record if it could explain a doubt, or tell whose another is that could."""
        if record.is_somebodys:
            self._keys_return = True
        elif record.key is not None:
            self._keys_return = True
            keyed = self._doubt_by_key.get(record.key)
            if keyed is not None and not _was_over(record, keyed):
                self._keyed[record.key][record.ref] = record
        elif _is_in(record.at, self._spans.get(_amount(record))):
            self._times[record.ref] = record.at
            self._unkeyed_here[_look(record)][record.ref] += 1

    def turn(self) -> None:
        """What was added since the last turn is all of it there at once; what comes next may be the same again."""
        for look, here in self._unkeyed_here.items():
            self._unkeyed[look] |= here
        self._unkeyed_here.clear()

    def names(self, doubt: Placement) -> bool:
        """Whether a record names the doubt's own key."""
        return doubt.key in self._keyed

    def alike(self, doubt: Placement) -> Sequence[str]:
        """The purchases that carry no key and may be the doubt's, or another placement's."""
        refs = self._unkeyed.get(_look(doubt), ())
        return sorted(ref for ref in refs if _is_in(self._times[ref], self._span(doubt)))

    def verdict(self, doubt: Placement, holders: Mapping[str, Sequence[Placement]], *, settles: bool) -> Verdict | None:
        """
        What the evidence says about one doubt.

        Args:
            doubt: One of the doubts.
            holders: By the provider's name for a purchase, the placements that hold one of that name.
            settles: Whether whatever may come late has come by now. Before that only a record that names our key proves
                anything: another may be somebody else's, and the doubt's own may follow; and that there is none proves
                something only where the provider had said no.

        Returns:
            None where nothing can be said yet.
        """
        if keyed := self._keyed.get(doubt.key):
            verdict = _verdict_by_key(doubt, keyed)
            return verdict if settles or isinstance(verdict, Found) else None
        alike = [ref for ref in self.alike(doubt) if self._left(doubt, ref, holders.get(ref, ())) > 0]
        if not alike:
            return Absent() if settles or doubt.if_absent in _DENIED else None
        if not settles:
            return None
        # Where the account returns metadata, whoever's, ours would have come with its own; and a name that somebody
        # else's purchase goes by, too, is a time that two purchases share.
        is_shared = alike[0] in holders or self._for_customers(doubt, alike[0]) > 0
        if doubt.alone and len(alike) == 1 and not self._keys_return and not is_shared:
            return Found(Receipt(alike[0]))
        # A page that begins with the last record of the page before shows a purchase that another placement holds
        # twice, as if one were left for the doubt.
        counted = any(ref in holders for ref in alike)
        return Ambiguous("it may be any of " + ", ".join(alike), so_far=counted)

    def _left(self, doubt: Placement, ref: str, holders: Sequence[Placement]) -> int:
        """How many records of a name that look like the doubt are no other placement's."""
        held = sum(_look(holder) == _look(doubt) for holder in holders)
        listed_twice = self._for_customers(doubt, ref) if self._lists_customers_twice(doubt) else 0
        return self._unkeyed[_look(doubt)][ref] - listed_twice - held

    def _for_customers(self, doubt: Placement, ref: str) -> int:
        """How many purchases of a name were made for customers, of the doubt's amount, where it is the merchant's."""
        if doubt.customer_email is not None:
            return 0
        return sum(refs[ref] for look, refs in self._unkeyed.items() if look[:2] == _amount(doubt) and look[2])

    def _lists_customers_twice(self, doubt: Placement) -> bool:
        """Whether the merchant's list shows what was bought for customers, too: then it shows all of that."""
        own = self._unkeyed[_look(doubt)]
        customers = (refs for look, refs in self._unkeyed.items() if look[:2] == _amount(doubt) and look[2])
        return all(ref in own for refs in customers for ref in refs)

    def _span(self, doubt: Placement) -> tuple[datetime, datetime]:
        """From when to when a doubt may have taken effect."""
        return doubt.attempted_at - CLOCK_SKEW, doubt.sent_until + self._latest_after_sent


def _verdict_by_key(doubt: Placement, keyed: Mapping[str, Record]) -> Verdict:
    """What records say that name the doubt's own key."""
    if len(keyed) > 1:
        return Ambiguous("bought more than once: " + ", ".join(sorted(keyed)))
    ((ref, record),) = keyed.items()
    if record.differs(doubt):
        return Ambiguous(f"{ref} carries its key, but is {record.quantity} of {record.kind}")
    return Found(Receipt(ref), by_key=True)


def _was_over(record: Record, doubt: Placement) -> bool:
    """Whether a purchase was undone before the attempt: a person had it tried again."""
    return record.cancelled and record.at < doubt.attempted_at - CLOCK_SKEW


def _is_in(at: datetime, span: tuple[datetime, datetime] | None) -> bool:
    return span is not None and span[0] <= at <= span[1]


def _amount(thing: Placement | Record) -> _Amount:
    return thing.kind, thing.quantity


def _look(thing: Placement | Record) -> _Look:
    """All that tells purchases apart where records carry no key."""
    return thing.kind, thing.quantity, (thing.customer_email or "").casefold()


class _Desk:
    """One run's work on the doubts at one provider."""

    def __init__(self, account: StoreAccount, until: datetime) -> None:
        self._account = account
        self._ledger = account.ledger
        self._provider = account.provider
        self._clock = account.clock
        self._terms = account.terms
        self._until = until
        self._settled = Settled()
        self.in_flight = InFlight()

    async def repeat(self, provider: RepeatsSafely, doubts: Sequence[Placement]) -> Settled:
        """Ask again, as many at once as may be in flight."""
        slots = asyncio.Semaphore(self._terms.concurrency)

        async def ask(doubt: Placement) -> None:
            async with slots:
                hold = Held(self._account, doubt, self._until)
                asked_at, sent_until = self._clock.now(), doubt.sent_until
                if self.in_flight.stopped:
                    await self._apply(doubt, None, "not asked: the run was stopped", sent_until)
                    return
                try:
                    verdict: Verdict | None = await self.in_flight.answer(provider.settle(doubt, hold))
                    why = "the provider says it had no effect"
                    was_refused = isinstance(verdict, Absent) and doubt.if_absent is not None  # and is once more
                    if verdict and verdict.so_far and not was_refused:
                        verdict, why = self._in_the_end(doubt, asked_at, verdict)
                    unanswered = False
                except TimeoutError:
                    verdict, why, unanswered = None, "the run was stopped before an answer came", True
                except ProviderError as error:
                    verdict, why, unanswered = None, str(error), isinstance(error, OutcomeUnknown)
                    self._note(error)
                if unanswered:  # the repeat may still come, whatever was denied before
                    sent_until = self._clock.now()
                    doubt = replace(doubt, if_absent=None if doubt.if_absent in _DENIED else doubt.if_absent)
            await self._apply(doubt, verdict, why, sent_until)

        async with together() as group:
            for doubt in doubts:
                group.create_task(ask(doubt))
        return self._settled

    def _in_the_end(self, doubt: Placement, asked_at: datetime, verdict: Verdict) -> tuple[Verdict | None, str]:
        """What was said so far, if it is said again once the settling time is over; and why, or what is waited for."""
        said = _says(verdict)
        if not self._settles(doubt, asked_at):
            return None, f"{said}; asked again until what was sent before must have come"
        asked = _times_asked_again(doubt)
        if asked < _ASKED_AGAIN:
            return None, f"{said}; asked again before that counts ({asked + 1} of {_ASKED_AGAIN})"
        return verdict, "the provider refuses to repeat it, and shows no purchase"

    async def look_through(self, provider: KeepsRecords, doubts: Sequence[Placement]) -> Settled:
        """Read the records, again in the other order for what none names, and all of them before one is guessed."""
        read_at = self._clock.now()
        evidence = Evidence(doubts, self._terms.settle_s)
        verdicts: Mapping[int, Verdict | None] = {}
        why = "not in the provider's records"
        try:
            await self._read(provider, doubts, evidence, newest_first=False)
            verdicts = await self._judge(doubts, evidence, read_at)
            unnamed = [each for each in doubts if verdicts[each.id] and not evidence.names(each)]
            if unnamed:
                await self._read(provider, unnamed, evidence, newest_first=True)
                weighed = [each for each in unnamed if evidence.alike(each)]
                # All that is there, before anything follows from records that name nobody: others may name somebody.
                for newest_first in (False, True) if weighed else ():
                    await self._read(provider, weighed, evidence, newest_first=newest_first, everything=True)
                verdicts = await self._judge(doubts, evidence, read_at)
        except ProviderError as error:
            # Half a reading proves nothing; what was found in it is found again.
            verdicts, why = {}, str(error)
            self._note(error)
        found = {verdict.receipt.ref for verdict in verdicts.values() if isinstance(verdict, Found)}
        for doubt in doubts:
            verdict = verdicts.get(doubt.id)
            # What it may be is another doubt's: the next reading knows whose it is.
            is_so_far = not found.isdisjoint(evidence.alike(doubt))
            if isinstance(verdict, Ambiguous) and (verdict.so_far or is_so_far):
                await self._apply(doubt, *self._in_the_end(doubt, read_at, verdict))
            else:
                await self._apply(doubt, verdict, why)
        return self._settled

    async def give_back(self, doubts: Sequence[Placement]) -> None:
        """Let the next run settle them, without waiting for this one's lease."""
        async with together() as group:
            for doubt in doubts:
                group.create_task(self._apply(doubt, None, "the run was stopped"))

    def _settles(self, doubt: Placement, read_at: datetime) -> bool:
        """Whether the records were read after the settling time, so that what is not in them will not come."""
        return read_at >= doubt.sent_until + timedelta(seconds=self._terms.settle_s)

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
            concerned = [doubt for doubt in doubts if (doubt.customer_email is not None) is customers]
            if not concerned and not everything:
                continue
            kinds = [] if everything else sorted({doubt.kind for doubt in concerned})
            pages = provider.records(kinds, from_, to, customers=customers, newest_first=newest_first)
            async for page in pages:
                for record in page:
                    evidence.add(record)
                if newest_first:  # what is bought meanwhile moves the end of this page to the beginning of the next
                    evidence.turn()
            evidence.turn()

    async def _judge(
        self, doubts: Sequence[Placement], evidence: Evidence, read_at: datetime
    ) -> Mapping[int, Verdict | None]:
        refs = sorted({ref for doubt in doubts for ref in evidence.alike(doubt)})
        holders = await self._ledger.taken(self._provider.name, refs)
        by_ref: dict[str, list[Placement]] = defaultdict(list)
        for holder in holders:
            by_ref[(holder.ref or "").partition("#")[0]].append(holder)
        return {doubt.id: evidence.verdict(doubt, by_ref, settles=self._settles(doubt, read_at)) for doubt in doubts}

    async def _apply(
        self, doubt: Placement, verdict: Verdict | None, why: str, sent_until: datetime | None = None
    ) -> None:
        now = self._clock.now()
        if_absent = Status(doubt.if_absent) if doubt.if_absent else None
        move = Move(doubt, Status.IN_DOUBT, Status.IN_DOUBT, now, self._account.run_id, why)
        move = replace(move, sent_until=sent_until, if_absent=if_absent)
        match verdict:
            case Found(receipt, by_key):
                move = replace(move, to=Status.PLACED, detail=None, due_at=now, receipt=receipt, by_key=by_key)
            case Absent():
                move = replace(move, to=Status(doubt.if_absent or Status.PLANNED), detail=_said(doubt) or why)
                move = replace(move, due_at=now if move.to is Status.PLANNED else None)
            case Ambiguous(evidence):
                move = replace(move, to=Status.PARKED, detail=evidence)
            case None if mark := _AGAIN.search(why):
                due_at = now + timedelta(seconds=self._terms.settle_s)
                said = _said(doubt)
                move = replace(move, detail=f"{said}{mark[0]}" if said else why, due_at=due_at)
            case None:
                move = replace(move, detail=_said(doubt) or why, due_at=self._next(doubt))
        try:
            await (self._ledger.record_found(move) if isinstance(verdict, Found) else self._ledger.move(move))
        except AlreadyRecorded:
            why = f"the purchase that was found, {move.receipt and move.receipt.ref}, is another placement's"
            # Where it was only the one that fits, the next reading knows whose it is.
            again = self._in_the_end(doubt, now, Ambiguous(why)) if move.by_key else (None, why)
            await self._apply(doubt, *again, sent_until)
            return
        except TransitionRefused:
            return  # another run settled it, or its late answer did
        self._count(move.to)
        log.info(
            "settled: order %s, slot %s is %s", doubt.order_id, doubt.slot, move.to,
            extra={"action": f"placement_{move.to}"},
        )  # fmt: skip

    def _next(self, doubt: Placement) -> datetime:
        """Soon at first, for records that appear a moment late; and surely once the settling time has passed."""
        now = self._clock.now()
        soon = now + timedelta(seconds=min(retry_delay_s(doubt.attempt), self._terms.settle_s / 4))
        settles = doubt.sent_until + timedelta(seconds=self._terms.settle_s)
        return min(soon, settles) if settles > now else soon

    def _note(self, error: ProviderError) -> None:
        unauthorized = self._settled.unauthorized or isinstance(error, Unauthorized)
        self._settled = replace(self._settled, halted=self._settled.halted or str(error), unauthorized=unauthorized)

    def _count(self, to: Status) -> None:
        name = to.value if to in TRANSITIONS[Status.IN_DOUBT] else "open"
        self._settled = replace(self._settled, **{name: getattr(self._settled, name) + 1})


def _says(verdict: Verdict) -> str:
    match verdict:
        case Found(receipt):
            return f"only {receipt.ref} fits, and does not say whose it is"
        case Absent():
            return "the provider refused to repeat it"
        case Ambiguous(evidence):
            return evidence


def _said(doubt: Placement) -> str | None:
    """What the provider answered, where a doubt arose from an answer; kept as its reason until it is settled."""
    return _AGAIN.sub("", doubt.reason or "") if doubt.if_absent else None


def _times_asked_again(doubt: Placement) -> int:
    """How often the provider was asked again already about what it says against the purchase."""
    again = _AGAIN.search(doubt.reason or "")
    return int(again[1]) if again else 0
