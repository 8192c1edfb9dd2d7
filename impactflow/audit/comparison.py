"""
Compare a provider's records with the ledger, and the ledger with the records.

The records stream, and so do the findings. Memory grows by two bits for each placement that was seen, and by the
provider's names of purchases that disagree.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TypeVar, assert_never

from impactflow.accounts import LATEST, NOT_HALTED, Halt, StoreAccount, check_account
from impactflow.audit.findings import Disagreement, Finding, Suspect
from impactflow.audit.repairs import CANCELLED_UNASKED, Repairs
from impactflow.audit.unmatched import Unmatched
from impactflow.errors import ProviderError
from impactflow.ledger import STANDING, Entry, Status
from impactflow.providers import Record
from impactflow.taskgroup import together
from impactflow.window import Window

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

#: How many days of purchases are audited by default.
DAYS = 60
#: How many records or placements are compared at once.
_BATCH = 500
#: How long before the first day an attempt may lie whose purchase took effect late, within the window.
_MARGIN = timedelta(days=1)


@dataclass(slots=True)
class Tally:
    """
    The result of the audit of one provider.

    Args:
        read: How many records the provider's statement held.
        agreed: How many purchases ledger and provider agree about.
        not_ours: How many records name none of our keys, and no purchase of ours.
        unresolved: How many records are of placements in doubt, which a run is about to resolve.
        found: Findings by kind.
        repaired: How many of them were repaired.
        left_standing: How many proven duplicates were not cancelled because they are more than may be cancelled.
        halted: Why it ended early, if it did; the findings before that are valid.
    """

    read: int = 0
    agreed: int = 0
    not_ours: int = 0
    unresolved: int = 0
    found: Counter[Disagreement] = field(default_factory=Counter)
    repaired: int = 0
    left_standing: int = 0
    halted: Halt = NOT_HALTED

    @property
    def remaining(self) -> int:
        """The number of findings that are left for a person."""
        return self.found.total() - self.repaired


def choose_window(from_text: str | None, to_text: str | None, *, today: date) -> Window:
    """
    The days of purchase to audit; by default the last ``DAYS``.

    Args:
        from_text: The first day, UTC, ``YYYY-MM-DD``.
        to_text: The last day, included.
        today: The day it is, UTC.

    Raises:
        ConfigurationError: A text is not a day, or the first day is after the last.
    """
    return Window.parse(from_text, to_text, today=today, watermark=None, overlap_days=DAYS)


class Audit:
    """
    One audit of one provider.

    Args:
        account: The store's account at the provider.
        window: The days of purchase.
        repair: Whether to make the repairs that are proven right; otherwise nothing is changed anywhere.
        cancel_up_to: How many duplicates may be cancelled; where there are more, none is cancelled.

    Attributes:
        name: The provider's name.
        tally: The result so far.
    """

    def __init__(
        self,
        account: StoreAccount,
        window: Window,
        *,
        repair: bool,
        cancel_up_to: int = CANCELLED_UNASKED,
    ) -> None:
        self.name = account.name
        self.tally = Tally()
        self._account = account
        self._ledger = account.ledger
        self._provider = account.provider
        self._window = window
        self._slots = asyncio.Semaphore(account.config.concurrency)
        self._repairs = Repairs(account) if repair else None
        self._seen = _Ids()
        self._named = _Ids()  # of those seen, whose record says the key
        self._first_extra: dict[str, str] = {}
        self._reported: set[tuple[Disagreement, str, str | None]] = set()
        self._cancel_up_to = cancel_up_to
        self._are_too_many = False
        self._duplicates: list[Suspect] = []  # to be cancelled once it is known that they are few enough

    async def run(self) -> AsyncIterator[Finding]:
        """
        Yield each finding once. If the provider cannot be asked any more, the audit ends and ``tally.halted`` says why.

        Raises:
            LedgerError: The ledger failed; repairs made before that stand.
        """
        try:
            await check_account(self._account, fewest=LATEST)
            async for suspects in self._suspects():
                for suspect in suspects:
                    key = suspect.entry.placement.key if suspect.entry else None
                    if (identity := (suspect.what, suspect.ref, key)) not in self._reported:
                        self._reported.add(identity)
                        for ready in self._ready(suspect):
                            yield await self._report(ready)
            for suspect in self._duplicates:
                yield await self._report(suspect)
        except ProviderError as error:
            self.tally.halted = Halt.after(error)

    def _ready(self, suspect: Suspect) -> Sequence[Suspect]:
        """The findings to report now: a duplicate waits until it is known whether there are too many to cancel."""
        begun = suspect.record is None  # its cancellation was, by an earlier repair
        if self._repairs is None or suspect.what is not Disagreement.DUPLICATE or begun or self._are_too_many:
            return [suspect]
        self._duplicates.append(suspect)
        if len(self._duplicates) <= self._cancel_up_to:
            return []
        ready, self._duplicates, self._are_too_many = self._duplicates, [], True
        return ready

    async def _report(self, suspect: Suspect) -> Finding:
        """Repair the suspect if repairs were asked for, count it and return the finding."""
        repaired, hindered = None, None
        if self._are_too_many and suspect.what is Disagreement.DUPLICATE and suspect.record is not None:
            self.tally.left_standing += 1
            hindered = f"Not cancelled: there are more than {self._cancel_up_to} of them."
        elif self._repairs:
            repaired, hindered = await self._repairs.attempt(suspect)
        finding = Finding.of(suspect, self.name, repaired, hindered)
        self.tally.found[suspect.what] += 1
        self.tally.repaired += repaired is not None
        log.info(
            "audit of %s: %s, order %s, slot %s, %s: %s",
            finding.provider, finding.finding, finding.order, finding.slot, finding.ref, repaired or finding.to_do,
            extra={"action": "audit_finding"},
        )  # fmt: skip
        return finding

    async def _suspects(self) -> AsyncIterator[Sequence[Suspect]]:
        """Repairs that were cut off; records; placements without records; sales bought twice; records without a key."""
        if self._repairs:
            begun = await self._ledger.being_cancelled(self.name, self._account.store)
            yield [Suspect(Disagreement.DUPLICATE, entry, None, ref) for ref, entry in begun]
        since, _ = self._window.span
        unmatched = Unmatched(await self._ledger.uncertain(self.name, self._account.store, since - _MARGIN))
        async for records in _batches(self._provider.statement(self._window.from_, self._window.to)):
            yield await self._compare(records, unmatched)
        async for entries in self._unseen():
            suspects = await self._each(entries, self._ask_after)
            self.tally.agreed += suspects.count(None)
            yield _some(suspects)
        for entry in await self._ledger.bought_before(self.name, self._account.store, self._window.span):
            yield [Suspect(Disagreement.DUPLICATE, entry, None, entry.placement.provider_ref)]
        by_now = await self._ledger.holders(self.name, refs=unmatched.refs, keys=unmatched.keys)
        named = {entry.placement.id for entry in by_now if entry.placement.id in self._named}
        yield [*unmatched.suspects(by_now, named)]

    async def _compare(self, records: Sequence[Record], unmatched: Unmatched) -> Sequence[Suspect]:
        """The disagreements among some records; records that name no key are kept for later."""
        self.tally.read += len(records)
        suspects, unnamed = await self._classify(records)
        if unnamed and self._provider.keys_need_fetch:
            looked_up = await self._each([record.ref for record in unnamed], self._provider.fetch)
            more, unnamed = await self._classify(_some(looked_up))
            suspects += more
        surplus = dict(await self._ledger.surplus(self.name, [record.ref for record in unnamed]))
        for record in unnamed:
            if record.ref in surplus:
                suspects += self._classify_other(record, surplus[record.ref])
            else:
                self.tally.not_ours += 1
                if not record.cancelled and not record.is_somebodys:
                    unmatched.add(record)
        return suspects

    async def _classify(self, records: Sequence[Record]) -> tuple[list[Suspect], list[Record]]:
        """The disagreements among some records, and the records that name no key and that no placement holds."""
        refs, keys = [record.ref for record in records], [record.key for record in records if record.key]
        holders = _Holders(await self._ledger.holders(self.name, refs=refs, keys=keys))
        suspects: list[Suspect] = []
        unnamed: list[Record] = []
        unclear: list[Entry] = []
        for record in records:
            entry = holders.of(record, self._seen)
            if entry is None and record.key is None:
                unnamed.append(record)
            elif entry is None or entry.placement.provider_ref != record.ref:
                suspects += self._classify_other(record, entry)
            elif self._is_unclear(record, entry):
                unclear.append(entry)
            else:
                suspects += self._classify_own(record, entry)
            if entry is not None and entry.placement.provider_ref == record.ref:
                self._seen.add(entry.placement.id)
                if record.key is not None:
                    self._named.add(entry.placement.id)
        return suspects + _some(await self._each(unclear, self._ask_after)), unnamed

    def _is_unclear(self, record: Record, entry: Entry) -> bool:
        """Whether the whole purchase must be read: it was listed before, perhaps in part, or shows another amount."""
        if entry.status not in STANDING or record.cancelled:
            return False
        return entry.placement.id in self._seen or not record.shows(entry.placement)

    def _classify_own(self, record: Record, entry: Entry) -> Sequence[Suspect]:
        """Judge the purchase that a placement holds: whether it stands in the ledger and at the provider."""
        if entry.status in STANDING and record.cancelled:
            return [Suspect(Disagreement.CANCELLED_THERE, entry, record, record.ref)]
        if entry.status is Status.CANCELLED and not record.cancelled:
            return [Suspect(Disagreement.EXTRA, entry, record, record.ref)]
        self.tally.agreed += 1
        return []

    def _classify_other(self, record: Record, entry: Entry | None) -> Sequence[Suspect]:
        """Judge a purchase under a key of ours that is not the one the placement of that key holds."""
        if record.cancelled:
            return []
        if entry is None:
            return [Suspect(Disagreement.EXTRA, None, record, record.ref)]
        match entry.status:
            case Status.PLACING | Status.IN_DOUBT:
                self.tally.unresolved += 1
                return []
            case Status.PLACED | Status.COMPLETED | Status.CANCELLING:
                return [Suspect(Disagreement.DUPLICATE, entry, record, record.ref)]
            case (
                Status.HELD
                | Status.AWAITING_APPROVAL
                | Status.PLANNED
                | Status.FAILED
                | Status.PARKED
                | Status.CANCELLED
                | Status.COVERED
            ):
                first = self._first_extra.setdefault(entry.placement.key, record.ref)
                what = Disagreement.EXTRA if first == record.ref else Disagreement.DUPLICATE
                return [Suspect(what, entry, record, record.ref)]
            case never:
                assert_never(never)

    async def _unseen(self) -> AsyncIterator[Sequence[Entry]]:
        """Check the placements of these days that no record showed."""
        store, span, after = self._account.store, self._window.span, 0
        while page := await self._ledger.standing(self.name, store, span, after=after, limit=_BATCH):
            yield [entry for entry in page if entry.placement.id not in self._seen]
            after = page[-1].placement.id

    async def _ask_after(self, entry: Entry) -> Suspect | None:
        """Look up the purchase that a placement holds, and return any disagreement."""
        ref = entry.placement.provider_ref
        parts = entry.placement.parts
        # One answer that there is no purchase may be temporary.
        record = await self._provider.fetch(ref, parts) or await self._provider.fetch(ref, parts)
        if record is None or record.is_anothers(entry.placement):
            return Suspect(Disagreement.MISSING, entry, record, ref)
        if record.cancelled:
            return Suspect(Disagreement.CANCELLED_THERE, entry, record, ref)
        if record.differs(entry.placement):
            return Suspect(Disagreement.WRONG_AMOUNT, entry, record, ref)
        return None

    async def _each(self, items: Sequence[T], ask: Callable[[T], Awaitable[R]]) -> list[R]:
        """Ask about each, as many at once as may be in flight."""

        async def one(item: T) -> R:
            async with self._slots:
                return await ask(item)

        async with together() as group:
            asked = [group.create_task(one(item)) for item in items]
        return [each.result() for each in asked]


class _Holders:
    """The placements that some records may belong to."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._by_key = {entry.placement.key: entry for entry in entries}
        self._by_ref: dict[str, list[Entry]] = {}
        for entry in self._by_key.values():
            if entry.placement.ref is not None:
                self._by_ref.setdefault(entry.placement.provider_ref, []).append(entry)

    def of(self, record: Record, seen: "_Ids") -> Entry | None:
        """The placement by the record's key; else by its name, and where purchases share a name, the best match."""
        if record.key is not None or record.is_somebodys:
            return self._by_key.get(record.key or "")
        sharing = self._by_ref.get(record.ref, [])
        return min(
            sharing, key=lambda each: (not record.shows(each.placement), each.placement.id in seen), default=None
        )


class _Ids:
    """A set of placements' ids, a bit for each: a million take 125 kB."""

    def __init__(self) -> None:
        self._bits = bytearray()

    def add(self, number: int) -> None:
        """Put an id in."""
        byte, bit = divmod(number, 8)
        if byte >= len(self._bits):
            self._bits.extend(bytes(byte + 1 - len(self._bits)))
        self._bits[byte] |= 1 << bit

    def __contains__(self, number: int) -> bool:
        byte, bit = divmod(number, 8)
        return byte < len(self._bits) and bool(self._bits[byte] & 1 << bit)


def _some(items: Sequence[T | None]) -> list[T]:
    return [item for item in items if item is not None]


async def _batches(records: AsyncIterator[Record]) -> AsyncIterator[Sequence[Record]]:
    batch: list[Record] = []
    async for record in records:
        batch.append(record)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    yield batch
