"""
Check, before anything is sent, that this ledger has bought for this store: read the sellers' newest records.

The check costs one reading of each list's newest records, where they come on one page and the ledger holds all of them.
"""

import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from typing import Any

from impactflow.adoption.sorting import Known, Scope, UnknownPurchase, sort
from impactflow.clock import Clock
from impactflow.errors import AlreadyRecorded, ConfigurationError, ProviderError, TransitionRefused
from impactflow.ledger import Ledger, Move, Status
from impactflow.models import Kind, ProviderName, Receipt
from impactflow.providers import Provider, Record
from impactflow.texts import counted

log = logging.getLogger(__name__)

#: How many of the newest records of a list are read.
_NEWEST = 50
#: How often a list of several pages is read at most: a page that shifts may hide a record, another one each time.
_READINGS = 5
#: Purchases by another ledger, or by this one before it was set back; ``reconcile`` and the audit handle all others.
_ANOTHERS = frozenset({Known.NOTHING, Known.UNSENT})
#: How many purchases are named to a person.
_NAMED = 3


class PurchasesUnknown(ConfigurationError):
    """
    Nothing was sent: this store has made, or may have made, purchases that the ledger does not know.

    Args:
        ledger: The ledger's place, without a password.
        found: The purchases that were found, by provider.
    """

    def __init__(self, ledger: str, found: dict[ProviderName, Sequence[UnknownPurchase]]) -> None:
        super().__init__(_in_words(ledger, found))
        self.found = found
        self.details = {"ledger": ledger, "unknown": [_as_json(name, some) for name, some in found.items()]}


async def check_ledger(
    ledger: Ledger, where: str, providers: Iterable[Provider], scope: Scope, clock: Clock, run_id: str
) -> dict[ProviderName, ProviderError]:
    """
    Check that the ledger knows the newest purchases of its stores.

    A placement that waits to be sent again, and was bought, is recorded as bought.

    Args:
        ledger: The ledger.
        where: The ledger's place, for a person.
        providers: The providers whose records are read.
        scope: The keys that are ours.
        clock: The clock.
        run_id: The run's id.

    Returns:
        The providers that did not answer; nothing may be sent to them until they have.

    Raises:
        PurchasesUnknown: The ledger does not know them.
        LedgerError: The ledger failed.
    """
    silent: dict[ProviderName, ProviderError] = {}
    found: dict[ProviderName, Sequence[UnknownPurchase]] = {}
    for provider in providers:
        try:
            some = await _find_unknown(ledger, provider, scope, clock, run_id)
        except ProviderError as error:
            silent[provider.name] = error
        else:
            if some:
                found[provider.name] = some
    if found:
        raise PurchasesUnknown(where, found)
    return silent


async def find_unknown(ledger: Ledger, provider: Provider, scope: Scope) -> Sequence[UnknownPurchase]:
    """
    Find the purchases for which ``check_ledger`` would refuse, at one provider; nothing is changed.

    Raises:
        ProviderError: The provider did not answer.
    """
    return await _find_unknown(ledger, provider, scope, None, "")


async def _find_unknown(
    ledger: Ledger, provider: Provider, scope: Scope, clock: Clock | None, run_id: str
) -> Sequence[UnknownPurchase]:
    """The newest purchases unknown to the ledger; with a clock, waiting placements that were bought are recorded."""
    newest = _Newest(ledger, provider, scope, clock, run_id)
    for _ in range(_READINGS):
        if not await newest.read():
            break
    return await newest.unknown()


class _Newest:
    """The newest purchases at one provider, as far as they were read, beside the ledger."""

    def __init__(self, ledger: Ledger, provider: Provider, scope: Scope, clock: Clock | None, run_id: str) -> None:
        self._ledger = ledger
        self._provider = provider
        self._scope = scope
        self._clock = clock
        self._run_id = run_id
        self._read: set[tuple[str, Kind | None, str | None]] = set()
        self._anothers: list[UnknownPurchase] = []
        self._unnamed: list[UnknownPurchase] = []
        self._names_keys = False

    async def read(self) -> bool:
        """
        Read the beginning of each of the provider's lists; return whether another reading may show more.

        Pages shift while they are read: a list of several pages is read again until a reading shows nothing new.
        """
        known = len(self._read)
        pages = [await self._read_list(listed) for listed in self._provider.newest(_NEWEST)]
        return max(pages, default=0) > 1 and len(self._read) > known

    async def unknown(self) -> Sequence[UnknownPurchase]:
        """The purchases that another ledger made, and those without a key that may be ours."""
        if self._names_keys:
            return self._anothers
        name, store = self._provider.name, self._scope.store
        return [*self._anothers, *await unattributed(self._ledger, name, store, self._unnamed)]

    async def _read_list(self, listed: AsyncIterator[Sequence[Record]]) -> int:
        """Read one list until enough of it is known; return the number of its pages that were read."""
        seen = pages = 0
        async for page in listed:
            seen, pages = seen + len(page), pages + bool(page)
            has_recorded = await self._compare(page)
            if seen >= _NEWEST and not has_recorded:  # else the next page may have more that were about to be sent
                break
        return pages

    async def _compare(self, page: Sequence[Record]) -> bool:
        """Compare a page's records with the ledger; return whether any was about to be sent again, and is recorded."""
        new = [record for record in page if (record.ref, record.kind, record.key) not in self._read]
        self._read |= {(record.ref, record.kind, record.key) for record in new}
        result = await sort(self._ledger, self._provider, new, self._scope)
        buys, name = self._scope.buys, self._provider.name
        self._names_keys = self._names_keys or result.names_keys
        self._anothers += [each for each in result.findings if each.known in _ANOTHERS]
        self._unnamed += [each for each in result.findings if each.known is None and buys(name, each.kind)]
        if self._clock is None:
            return False
        waiting = [each for each in result.findings if each.known is Known.WAITS]
        for each in waiting:
            await _record(self._ledger, self._provider, each, self._clock, self._run_id)
        return bool(waiting)


async def unattributed(
    ledger: Ledger, provider: ProviderName, store: str, unnamed: Sequence[UnknownPurchase]
) -> Sequence[UnknownPurchase]:
    """
    The purchases that may be ours or not, at an account that names no keys.

    Once this ledger has bought there for the store, its own records are enough; before that, a person has to vouch.
    """
    if not unnamed:
        return []
    has_sent, vouched_at = await ledger.account(provider, store)
    if has_sent:
        return []
    return [each for each in unnamed if vouched_at is None or each.record.at > vouched_at]


async def _record(ledger: Ledger, provider: Provider, found: UnknownPurchase, clock: Clock, run_id: str) -> None:
    """Record as bought a placement that was about to be sent again."""
    [entry] = await ledger.holders(provider.name, refs=[], keys=[found.record.key or ""])
    now, receipt = clock.now(), Receipt(found.record.ref, found.record.price_usd_cents)
    detail = f"found at the provider before it was sent again: {receipt.ref}"
    move = Move(entry.placement, Status.PLANNED, Status.PLACED, now, run_id, detail, now, receipt, by_key=True)
    with suppress(TransitionRefused, AlreadyRecorded):  # another run was first
        await ledger.record_found(move)
        log.info(
            "not sent again: order %s, slot %s was bought", entry.placement.order_id, entry.placement.slot,
            extra={"action": "placement_placed"},
        )  # fmt: skip


def _in_words(ledger: str, found: dict[ProviderName, Sequence[UnknownPurchase]]) -> str:
    """The message: first the action to take, then the reason, in short sentences."""
    ours = {name: some for name in found if (some := [each for each in found[name] if each.known is not None])}
    unnamed = {name: some for name in found if (some := [each for each in found[name] if each.known is None])}
    sentences = [_remedy(unnamed) if not ours else _REMEDY, f"The ledger is {ledger}."]
    sentences += [
        f"{name} has {counted(len(some), 'purchase')} of this store that the ledger does not know ({_newest(some)})."
        for name, some in ours.items()
    ]
    sentences += [
        f"{name} has {counted(len(some), 'purchase')} without a name, perhaps of this store ({_newest(some)})."
        for name, some in unnamed.items()
    ]
    return " ".join(sentences)


_REMEDY = (
    "nothing was sent: this ledger does not know what this store has bought. Set IMPACTFLOW_LEDGER_URL to the ledger"
    " that does, or restore a backup of it. Or let this ledger take the purchases over: `impactflow adopt` shows them."
)


def _remedy(unnamed: Iterable[ProviderName]) -> str:
    names = " ".join(f"--not-ours {name}" for name in unnamed)
    return (
        "nothing was sent: no record says whether this ledger knows all that this store has bought. Set"
        " IMPACTFLOW_LEDGER_URL to the ledger that made these purchases, if there is one. If they are not of this"
        f" store, say so: `impactflow adopt {names} --yes`."
    )


def _newest(some: Sequence[UnknownPurchase]) -> str:
    newest = max(some, key=lambda each: each.record.at)
    parts = (
        newest.record.order_id and f"order {newest.record.order_id}",
        newest.slot and f"slot {newest.slot}",
        f"{newest.record.at:%Y-%m-%d}",
        newest.record.ref,
    )
    return "the newest: " + ", ".join(filter(None, parts))


def _as_json(name: ProviderName, some: Sequence[UnknownPurchase]) -> dict[str, Any]:
    newest = sorted(some, key=lambda each: each.record.at, reverse=True)[:_NAMED]
    return {
        "provider": name.value,
        "purchases": sum(each.known is not None for each in some),
        "name_nobody": sum(each.known is None for each in some),
        "newest": [
            {
                "order": each.record.order_id,
                "slot": each.slot or None,
                "ref": each.record.ref,
                "day": f"{each.record.at:%Y-%m-%d}",
            }
            for each in newest
        ],
    }
