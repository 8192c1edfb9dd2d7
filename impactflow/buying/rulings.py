"""
A person's decision about a placement that the evidence could not decide, or that was refused.

"Bought" is checked against the provider's own record, and "not bought" against the purchases that carry the placement's
key, so that a typing mistake buys nothing twice; what is given up is not looked for. The ledger records who ruled, why
and in which run.
"""

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import assert_never

from impactflow.accounts import StoreAccount, check_account
from impactflow.clock import Clock
from impactflow.errors import AlreadyRecorded, ConfigurationError, TransitionRefused
from impactflow.ledger import Entry, Ledger, Move, Status
from impactflow.models import Placement, ProviderName, Receipt
from impactflow.names import wicked_id
from impactflow.providers import KeepsRecords, Provider, Record, RepeatsSafely
from impactflow.units import in_words

log = logging.getLogger(__name__)

#: The statuses that a person may rule on; what is cancelling may only be given up, once it is not shown any more.
OPEN_TO_RULING = frozenset({Status.PARKED, Status.FAILED})
#: Statuses in which a placement of the same sale and slot will not be bought, and was not unless it holds a purchase.
_OVER = frozenset({Status.FAILED, Status.CANCELLED})
#: How far before its first attempt a purchase may be dated, because clocks and days differ.
_MARGIN = timedelta(days=1)


class Resolution(StrEnum):
    """The outcome of a placement, as a person has found out."""

    #: It took effect: it is recorded under the provider's name for it.
    BOUGHT = "bought"
    #: It had no effect: it is planned again, and sent by the next run.
    NOT_BOUGHT = "not-bought"
    #: It had no effect, and must have none: it is cancelled.
    GIVEN_UP = "given-up"


@dataclass(frozen=True, slots=True)
class Ruling:
    """
    A person's decision on one placement.

    Args:
        order: Any name of the order.
        slot: The slot of the placement.
        decision: The outcome.
        by: Who decided.
        why: How they know, or why the placement is given up.
        ref: The provider's name for the purchase, where it was bought; for 1ClickImpact ``USER_ID|TIME_UTC``.
        store: The order's store; None where only one store has an order of that name.
    """

    order: str
    slot: str
    decision: Resolution
    by: str
    why: str = ""
    ref: str = ""
    store: str | None = None


@dataclass(frozen=True, slots=True)
class Ruled:
    """
    The change that a ruling has made.

    Args:
        order: The order's id.
        slot: The slot of the placement.
        provider: The provider.
        from_: The placement's status before.
        to: Its status now.
        ref: The provider's name for the purchase, where it was bought.
    """

    order: str
    slot: str
    provider: ProviderName
    from_: Status
    to: Status
    ref: str | None

    def as_json(self) -> dict[str, str | None]:
        """Return the change as ``--json`` prints it."""
        return {
            "order": self.order,
            "slot": self.slot,
            "provider": self.provider.value,
            "from": self.from_.value,
            "to": self.to.value,
            "ref": self.ref,
        }

    def in_words(self) -> str:
        """Return the change in words, for a person."""
        return f"Order {self.order}, slot {self.slot}: was {self.from_}, is {self.to} now."


async def settle(
    ledger: Ledger, account_of: Callable[[ProviderName, str], StoreAccount], clock: Clock, run_id: str, ruling: Ruling
) -> Ruled:
    """
    Apply a person's ruling.

    Args:
        ledger: The ledger that holds the placement.
        account_of: Opens a store's account at a provider; not called where nothing has to be checked there.
        clock: The clock.
        run_id: The run's id.
        ruling: The ruling.

    Raises:
        ConfigurationError: The ruling cannot be applied: there is no such placement, it is not open to a ruling, or the
            provider's records or another placement say otherwise. Nothing was changed.
        ProviderError: The provider's records cannot be read now; nothing was changed.
    """
    entry = await _open_to_ruling(ledger, ruling)
    placement, now = entry.placement, clock.now()
    detail = f"{ruling.decision}, says {ruling.by}" + (f": {ruling.why}" if ruling.why else "")
    due_at, receipt, by_key = None, None, False
    match ruling.decision:
        case Resolution.BOUGHT:
            to, due_at = Status.PLACED, now
            receipt, by_key = await _receipt(account_of(placement.provider, placement.store), placement, ruling.ref)
            detail = f"{detail}; {receipt.ref}"
        case Resolution.NOT_BOUGHT:
            to, due_at = Status.PLANNED, now
            await _check_not_bought(account_of(placement.provider, placement.store), entry)
        case Resolution.GIVEN_UP:
            to = Status.CANCELLED
            if entry.status is Status.CANCELLING:
                await _check_gone(account_of(placement.provider, placement.store), placement)
        case never:
            assert_never(never)
    move = Move(placement, entry.status, to, now, run_id, detail, due_at, receipt, by_key=by_key)
    try:
        await (ledger.record_found(move) if receipt else ledger.move(move))
    except AlreadyRecorded:  # in this moment
        raise ConfigurationError(f"ref {ruling.ref!r}: another placement holds that purchase by now") from None
    except TransitionRefused:
        raise ConfigurationError(f"{_name(placement)} changed meanwhile: look at it again") from None
    log.info(
        "ruled: order %s, slot %s is %s", placement.order_id, placement.slot, to, extra={"action": "placement_ruled"}
    )
    return Ruled(
        placement.order_id, placement.slot, placement.provider, entry.status, to, receipt.ref if receipt else None
    )


async def _open_to_ruling(ledger: Ledger, ruling: Ruling) -> Entry:
    entries = await ledger.slot(ruling.order, ruling.slot, store=ruling.store)
    if not entries:
        raise ConfigurationError(
            f"order {ruling.order!r} has no placement in slot {ruling.slot!r}: `impactflow status` lists what waits"
        )
    waiting = [entry for entry in entries if entry.status in OPEN_TO_RULING]
    if ruling.decision is Resolution.GIVEN_UP and not waiting:
        waiting = [entry for entry in entries if entry.status is Status.CANCELLING]
    waiting.sort(key=lambda entry: entry.placement.order_id != wicked_id(ruling.order))
    if not waiting:
        raise ConfigurationError(
            f"{_name(entries[0].placement)} is {entries[0].status}: only what is parked or failed is settled by hand,"
            " and as given-up what is cancelling"
        )
    if ruling.decision is Resolution.BOUGHT and not ruling.ref:
        raise ConfigurationError("ref: give the provider's name for what was bought")
    if ruling.decision is not Resolution.BOUGHT and ruling.ref:
        raise ConfigurationError(f"ref: what is {ruling.decision} has none")
    if ruling.decision is Resolution.NOT_BOUGHT:
        _check_alone(waiting[0], entries)
    return waiting[0]


def _check_alone(entry: Entry, entries: Sequence[Entry]) -> None:
    """Check that no other placement of the same sale, read under another name, is bought or may be bought."""
    for other in entries:
        if other != entry and (other.status not in _OVER or other.placement.ref):
            raise ConfigurationError(
                f"{_name(entry.placement)} is the same sale as order {other.placement.order_id}, which is"
                f" {other.status}: settle this one as given-up, or it may be bought twice"
            )


async def _receipt(account: StoreAccount, placement: Placement, ref: str) -> tuple[Receipt, bool]:
    """
    The purchase that a person names, and whether it says the placement's key.

    Raises:
        ConfigurationError: It does not stand at the provider, is of another kind or amount, or is another buyer's.
    """
    await check_account(account)
    provider = account.provider
    record = await provider.fetch(ref)
    if record is None:
        raise ConfigurationError(f"ref {ref!r}: {provider.name} knows no purchase of that name")
    if record.cancelled:
        raise ConfigurationError(f"ref {ref!r}: {provider.name} has cancelled it; settle it as not-bought or given-up")
    if record.is_somebodys:
        raise ConfigurationError(f"ref {ref!r}: it carries the metadata of another buyer, and no key of ours")
    if record.is_anothers(placement):
        raise ConfigurationError(f"ref {ref!r}: it was bought for order {record.order_id}, under another key")
    if record.differs(placement):
        raise ConfigurationError(
            f"ref {ref!r} is {in_words(record.kind, record.quantity)}, and"
            f" {in_words(placement.kind, placement.quantity)} was to be bought: cancel it at {provider.name} and settle"
            " this one as not-bought or given-up"
        )
    await _check_spelling(provider, record)
    # Purchases of two kinds may share a name, which proves nothing unless one of them says our key. When a purchase
    # is looked up, the provider does not say for whom it was made.
    for holder in await account.ledger.holders(provider.name, refs=[record.ref], keys=[]):
        if record.key is None or record.shows(holder.placement):
            raise ConfigurationError(f"ref {ref!r}: that purchase is recorded already, for {_name(holder.placement)}")
    return Receipt(record.ref, record.price_usd_cents, parts=record.parts), record.key is not None


async def _check_spelling(provider: Provider, record: Record) -> None:
    """Check that a name is written as the records write it: under another spelling it may be recorded already."""
    if not isinstance(provider, KeepsRecords):
        return  # it names purchases by ids
    day = record.at.astimezone(UTC).date()
    async for listed in provider.statement(day - _MARGIN, day + _MARGIN):
        if listed.ref == record.ref:
            return
    raise ConfigurationError(
        f"ref {record.ref!r}: the records of {provider.name} list no purchase under this name: write it as they do"
    )


async def _check_not_bought(account: StoreAccount, entry: Entry) -> None:
    """Check that no purchase of the placement stands at the provider, and that none can still appear."""
    await check_account(account)
    provider, placement, now = account.provider, entry.placement, account.clock.now()
    settled_at = placement.sent_until + timedelta(seconds=account.config.settle_s)
    if entry.status is Status.PARKED and now < settled_at:
        raise ConfigurationError(
            f"{_name(placement)} may still take effect until {settled_at.astimezone(UTC):%H:%M:%S} UTC: ask again then"
        )
    async for record in _of_its_key(provider, placement, now):
        if not record.cancelled:
            raise ConfigurationError(
                f"{_name(placement)} was bought: {record.ref} at {provider.name} carries its key and stands; settle it"
                " as bought, or cancel that one there first"
            )
        if isinstance(provider, RepeatsSafely):  # whatever is sent under the key is answered with the cancelled one
            raise ConfigurationError(
                f"{_name(placement)} cannot be bought again: at {provider.name} its key stands for {record.ref}, which"
                " is cancelled; settle it as given-up"
            )


async def _check_gone(account: StoreAccount, placement: Placement) -> None:
    """Check that a purchase that is being cancelled is not shown as standing."""
    if not await account.ledger.was_asked_to_cancel(placement.id):
        raise ConfigurationError(
            f"{_name(placement)} was not cancelled: nothing asked for it yet; `impactflow refunds` finds out more"
        )
    await check_account(account, fewest=2)  # of a single purchase, its own absence says nothing about the account
    ref, parts = placement.provider_ref, placement.parts
    record = await account.provider.fetch(ref, parts) or await account.provider.fetch(ref, parts)
    if record is not None and not (record.cancelled or record.is_anothers(placement)):
        raise ConfigurationError(
            f"{_name(placement)} stands at {account.name} as {ref}: cancel it there first, or leave it to"
            " `impactflow refunds`"
        )


async def _of_its_key(provider: Provider, placement: Placement, now: datetime) -> AsyncIterator[Record]:
    """
    The purchases that carry a placement's key, and the purchase of its handle where the placement has one.

    The records are read twice, because pages shift while they are read: most purchases are yielded twice.
    """
    if placement.handle and (record := await provider.fetch(placement.handle)):
        yield record
    from_ = (placement.first_attempted_at - _MARGIN).astimezone(UTC).date()
    to = (now + _MARGIN).astimezone(UTC).date()
    for _ in range(2):
        async for record in provider.statement(from_, to):
            if record.key == placement.key:
                yield record


def _name(placement: Placement) -> str:
    return f"order {placement.order_id}, slot {placement.slot}"
