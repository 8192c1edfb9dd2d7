"""
Sort records: find those of this ledger's stores, and the ledger's knowledge of them.

Records are read before the ledger is asked. So every purchase that a record shows was in its own ledger by then,
because a ledger writes each purchase to disk before it is sent.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from impactflow.ledger import UNRESOLVED, Entry, Ledger, Status, placement_key
from impactflow.models import Kind, ProviderName
from impactflow.names import is_lot
from impactflow.policy import Policy
from impactflow.providers import Provider, Record

#: How many purchases are looked up at once.
_AT_ONCE = 8


class Known(StrEnum):
    """A ledger's knowledge of a purchase of its own store that the ledger does not hold."""

    #: Nothing: another ledger made the purchase, or this one has forgotten it.
    NOTHING = "unknown"
    #: The placement, which it never sent: it is an older state of the ledger that made the purchase, or another one.
    UNSENT = "never sent by this ledger"
    #: The placement, which waits to be sent again.
    WAITS = "about to be sent again"
    #: The placement, for which it knows of no purchase.
    UNBOUGHT = "not known to be bought"
    #: The placement, which holds another purchase.
    TWICE = "bought twice"


@dataclass(frozen=True, slots=True)
class UnknownPurchase:
    """
    A purchase that the ledger does not hold.

    Args:
        record: The provider's record.
        known: The ledger's knowledge of it; None where the record names no key, so that its buyer is unknown.
        store: The store that made it.
        slot: The slot for which it was made.
        kind: The kind of impact; where the record does not say, the kind that the slot buys.
    """

    record: Record
    known: Known | None
    store: str = ""
    slot: str = ""
    kind: Kind | None = None


class Scope:
    """
    The stores and slots whose keys are ours: the policy's and the ledger's.

    Args:
        ledger: The ledger.
        policy: The policy, where there is one.

    Attributes:
        store: The policy's store; empty where there is no policy.
    """

    def __init__(self, ledger: Ledger, policy: Policy | None) -> None:
        self._ledger = ledger
        self.store = policy.store if policy else ""
        rules = policy.rules if policy else ()
        self._policys: Mapping[str, Mapping[str, Kind]] = (
            {policy.store: {rule.slot: rule.impact for rule in rules}} if policy else {}
        )
        self._bought = {(rule.provider, rule.impact) for rule in rules}
        self._slots: Mapping[str, Mapping[str, Kind]] | None = None

    def buys(self, provider: ProviderName, kind: Kind | None) -> bool:
        """Whether the policy buys this kind of impact at this provider."""
        return any(name is provider and kind in {None, bought} for name, bought in self._bought)

    async def place_of(self, record: Record) -> tuple[str, str, Kind] | None:
        """Store, slot and kind of a purchase whose key the ledger does not know; None where it is not ours."""
        if record.key is None or record.order_id is None:
            return None
        if self._slots is None:
            kept = await self._ledger.slots()
            stores = {*kept, *self._policys}
            self._slots = {store: {**kept.get(store, {}), **self._policys.get(store, {})} for store in stores}
        for store, slots in self._slots.items():
            for slot, kind in slots.items():
                if placement_key(store, record.order_id, slot) == record.key:
                    return store, slot, kind
        return None


@dataclass(frozen=True, slots=True)
class Sorted:
    """
    The meaning of some records for the ledger.

    Args:
        findings: One for each purchase that the ledger does not hold and that is ours, or may be.
        names_keys: Whether one of the records carries any key or other metadata: then our records would carry ours.
    """

    findings: Sequence[UnknownPurchase]
    names_keys: bool


async def sort(ledger: Ledger, provider: Provider, records: Sequence[Record], scope: Scope) -> Sorted:
    """
    Compare some records with the ledger.

    Raises:
        ProviderError: A purchase could not be looked up.
    """
    unique = {(record.ref, record.kind, record.key): record for record in records}.values()
    held = _Held(
        await ledger.holders(provider.name, refs=[r.ref for r in unique], keys=[r.key for r in unique if r.key])
    )
    others = [record for record in unique if record.is_somebodys]
    unnamed = [
        record for record in unique if record.key is None and not record.is_somebodys and record.ref not in held.refs
    ]
    if unnamed:
        refs = {record.ref for record in unnamed}
        surplus = {ref for ref, _ in await ledger.surplus(provider.name, sorted(refs))}
        refs -= surplus
        refs -= await ledger.parts(provider.name, refs)
        unnamed = [record for record in unnamed if record.ref in refs]
    named = [record for record in unique if record.key is not None]
    if unnamed and provider.keys_need_fetch:
        fetched = await _fetch(provider, {record.ref for record in unnamed})
        more = [record for record in fetched.values() if record.key is not None]
        held.add(await ledger.holders(provider.name, refs=[], keys=[record.key or "" for record in more]))
        named += more
        others += [record for record in fetched.values() if record.is_somebodys]
        unnamed = [
            each
            for record in unnamed
            for each in [fetched.get(record.ref, record)]
            if each.key is None and not each.is_somebodys
        ]
    findings = [each for record in named if (each := await _classify(record, held, scope))]
    if findings:
        surplus = {ref for ref, _ in await ledger.surplus(provider.name, [each.record.ref for each in findings])}
        findings = [each for each in findings if each.record.ref not in surplus]
    may_be_ours = [UnknownPurchase(record, None, kind=record.kind) for record in unnamed if not record.cancelled]
    return Sorted([*findings, *may_be_ours], names_keys=bool(named or others))


class _Held:
    """The placements that some records may belong to."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.refs: set[str] = set()
        self.by_key: dict[str, Entry] = {}
        self.add(entries)

    def add(self, entries: Iterable[Entry]) -> None:
        """Add more placements."""
        for entry in entries:
            self.by_key[entry.placement.key] = entry
            self.refs.add(entry.placement.provider_ref)


async def _fetch(provider: Provider, refs: Iterable[str]) -> Mapping[str, Record]:
    """Look up the purchases with these names, as far as the provider knows them."""
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(ref: str) -> Record | None:
        async with slots:
            return await provider.fetch(ref)

    names = sorted(refs)
    found = await asyncio.gather(*(one(ref) for ref in names))
    return {name: record for name, record in zip(names, found, strict=True) if record is not None}


async def _classify(record: Record, held: _Held, scope: Scope) -> UnknownPurchase | None:
    """The finding for a record that names a key; None where there is none."""
    entry = held.by_key.get(record.key or "")
    if entry is None:
        place = await scope.place_of(record)
        return (
            None
            if place is None
            else UnknownPurchase(record, Known.NOTHING, place[0], place[1], record.kind or place[2])
        )
    known = _known(entry, record)
    return (
        None
        if known is None
        else UnknownPurchase(record, known, slot=entry.placement.slot, kind=record.kind or entry.placement.kind)
    )


def _known(entry: Entry, record: Record) -> Known | None:
    """The ledger's knowledge of a purchase under a placement's key; None where there is nothing to do."""
    placement = entry.placement
    if placement.provider_ref == record.ref or entry.status in UNRESOLVED:
        return None
    if is_lot(placement.order_id) and placement.ref is None and not record.cancelled:
        # Another ledger may have made it under the same number, for other orders.
        is_same = entry.status is Status.PLANNED and placement.attempt and record.quantity == placement.quantity
        return Known.WAITS if is_same else Known.UNSENT
    if placement.attempt == 0:
        return Known.UNSENT
    if record.cancelled:
        return None
    if placement.ref is not None:
        return Known.TWICE
    return Known.WAITS if entry.status is Status.PLANNED else Known.UNBOUGHT
