"""
Adopt purchases that this store made with another ledger, or with this one before it was set back: show, then write.

Every record of the account is read, or the records since some day. Nothing is sent to a provider. A second adoption, or
two at once, change nothing more.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, timedelta
from typing import Any

from impactflow.accounts import StoreAccount, check_account
from impactflow.adoption.check import unattributed
from impactflow.adoption.sorting import Known, Scope, UnknownPurchase, sort
from impactflow.clock import Clock
from impactflow.errors import AlreadyRecorded
from impactflow.ledger import Adopted, Ledger, OurPurchase
from impactflow.models import UNIT_OF, Kind, ProviderName
from impactflow.providers import Provider, Record

#: How many records are read at a time.
_PAGE = 100
#: A day before the start of every seller.
_BEGINNING = date(2010, 1, 1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Survey:
    """
    The purchases that one account holds and the ledger does not.

    Args:
        provider: The provider of the account.
        read: How many records it listed.
        ours: Purchases of ours to adopt, the oldest first.
        unnamed: Purchases without a key, of a kind that the policy buys, until a person vouches for the account; none
            where the account is seen to name keys, or the ledger has bought there already.
    """

    provider: ProviderName
    read: int
    ours: Sequence[UnknownPurchase]
    unnamed: Sequence[UnknownPurchase]

    def totals(self) -> list[dict[str, Any]]:
        """The totals of our purchases, by slot and by the ledger's knowledge of them."""
        counts: Counter[tuple[str, Known, Kind]] = Counter()
        quantities: Counter[tuple[str, Known, Kind]] = Counter()
        for each in self.ours:
            if each.known is not None and each.kind is not None:
                group = each.slot, each.known, each.kind
                counts[group] += 1
                quantities[group] += int(each.record.quantity or 0)
        return [
            {
                "provider": self.provider.value,
                "slot": slot,
                "purchases": counts[slot, known, kind],
                "quantity": quantities[slot, known, kind],
                "unit": UNIT_OF[kind].value,
                "in_the_ledger": known.value,
            }
            for slot, known, kind in sorted(counts)
        ]


@dataclass(slots=True)
class _Read:
    """The result of reading an account."""

    seen: set[tuple[str, Kind | None, str | None]] = field(default_factory=set)
    names_keys: bool = False
    ours: dict[tuple[str, Kind | None, str | None], UnknownPurchase] = field(default_factory=dict)
    unnamed: dict[tuple[str, Kind | None, str | None], UnknownPurchase] = field(default_factory=dict)


async def survey(account: StoreAccount, scope: Scope, since: date | None) -> Survey:
    """
    Read an account's records, all or those since a UTC day; nothing is changed.

    The records are read in two orders, because in one order pages may hide records that share a place with others.

    Raises:
        Unauthorized: The ledger has bought from another account.
        ProviderError: The records cannot be read now.
    """
    await check_account(account)
    ledger, provider, clock = account.ledger, account.provider, account.clock
    read = _Read()
    for pages in provider.newest(_PAGE):
        async for page in pages:
            wanted = [record for record in page if since is None or record.at.date() >= since]
            await _sort_page(ledger, provider, scope, wanted, read)
            if len(wanted) < len(page):
                break
    async for page in _pages(provider.statement(since or _BEGINNING, clock.now().astimezone(UTC).date() + _DAY)):
        await _sort_page(ledger, provider, scope, page, read)
    unnamed = [] if read.names_keys else list(read.unnamed.values())
    may_be_ours = await unattributed(ledger, provider.name, scope.store, unnamed)
    return Survey(provider.name, len(read.seen), _one_each(read.ours.values()), may_be_ours)


def _one_each(found: Iterable[UnknownPurchase]) -> list[UnknownPurchase]:
    """Choose for each key the first purchase that stands: it is the placement's; another that stands is a duplicate."""
    chosen: dict[str | None, UnknownPurchase] = {}
    standing_first = sorted(found, key=lambda each: (each.record.cancelled, each.record.at))
    more = [each for each in standing_first if chosen.setdefault(each.record.key, each) is not each]
    surplus = [replace(each, known=Known.TWICE) for each in more if not each.record.cancelled]
    return [*sorted(chosen.values(), key=lambda each: each.record.at), *surplus]


async def _pages(records: AsyncIterator[Record]) -> AsyncIterator[Sequence[Record]]:
    page: list[Record] = []
    async for record in records:
        page.append(record)
        if len(page) == _PAGE:
            yield page
            page = []
    if page:
        yield page


async def _sort_page(ledger: Ledger, provider: Provider, scope: Scope, page: Sequence[Record], read: _Read) -> None:
    read.seen.update((record.ref, record.kind, record.key) for record in page)
    result = await sort(ledger, provider, page, scope)
    read.names_keys = read.names_keys or result.names_keys
    for each in [await _with_amount(provider, each) for each in result.findings]:
        name = each.record.ref, each.record.kind, each.record.key
        if each.known is not None:
            read.ours[name] = each
        elif scope.buys(provider.name, each.kind):
            read.unnamed[name] = each


async def _with_amount(provider: Provider, found: UnknownPurchase) -> UnknownPurchase:
    """Return a purchase of ours with its amount: ask the provider for it where the record says none."""
    if found.known is None or found.record.kind is not None:
        return found
    fetched = await provider.fetch(found.record.ref)
    if fetched is None or fetched.kind is None:
        return found
    return replace(found, record=replace(found.record, kind=fetched.kind, quantity=fetched.quantity), kind=fetched.kind)


async def carry_out(ledger: Ledger, surveyed: Survey, clock: Clock, run_id: str) -> Counter[Adopted]:
    """
    Write our purchases into the ledger; return the result for each.

    A purchase that another placement holds by now counts as known.

    Raises:
        LedgerError: The ledger failed; the purchases written before stay, and the rest can be adopted again.
    """
    done: Counter[Adopted] = Counter()
    for first in range(0, len(surveyed.ours), _PAGE):
        some = surveyed.ours[first : first + _PAGE]
        purchases = [_bought(each, surveyed.provider, clock, run_id) for each in some]
        done.update(await asyncio.gather(*(_adopt(ledger, each) for each in purchases)))
    return done


async def _adopt(ledger: Ledger, purchase: OurPurchase) -> Adopted:
    try:
        return await ledger.adopt(purchase)
    except AlreadyRecorded:
        return Adopted.KNOWN


def _bought(found: UnknownPurchase, provider: ProviderName, clock: Clock, run_id: str) -> OurPurchase:
    record = found.record
    if record.key is None or found.kind is None:
        msg = "a purchase without a key cannot be adopted"
        raise AssertionError(msg)
    return OurPurchase(
        store=found.store,
        order_id=record.order_id or "",
        slot=found.slot,
        key=record.key,
        provider=provider,
        kind=found.kind,
        quantity=None if record.quantity is None else int(record.quantity),
        customer_email=record.customer_email,
        ref=record.ref,
        parts=record.parts,
        price_usd_cents=record.price_usd_cents,
        bought_at=record.at,
        cancelled=record.cancelled,
        at=clock.now(),
        run_id=run_id,
    )
