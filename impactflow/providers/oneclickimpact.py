"""
Translate our words into 1ClickImpact's: trees, ocean, carbon, coral and donations, all without an idempotency key.

Its regime is ``KeepsRecords``: after a lost answer, the account's records are the only evidence. They name our key
where the account returns metadata; until a record has shown that, look-alikes are sent one after the other.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Any, Literal, Protocol, Self

import httpx

from impactflow.clients import OneClickImpactClient, open_oneclickimpact
from impactflow.clients.oneclickimpact.models import CustomerRecord, ImpactMade, ImpactType, Track
from impactflow.clients.oneclickimpact.models import Record as ClientRecord
from impactflow.clients.operations import with_final_check
from impactflow.clients.paging import Page
from impactflow.clock import Clock
from impactflow.errors import (
    Contradiction,
    Forbidden,
    OutcomeUnknown,
    ProviderError,
    Refused,
    Unauthorized,
    Unavailable,
)
from impactflow.models import Kind, Placement, Progress, ProviderName, Receipt, Stage, provider_ref
from impactflow.providers import CLOCK_SKEW, Lease, Record
from impactflow.settings import Settings
from impactflow.texts import plain

#: The field that carries the amount in answers and records; also the filter for records.
FIELD_OF: Mapping[Kind, ImpactType] = MappingProxyType(
    {
        Kind.PLANT_TREES: "tree_planted",
        Kind.CLEAN_OCEAN: "waste_removed",
        Kind.CAPTURE_CARBON: "carbon_captured",
        Kind.RESTORE_CORAL: "coral_restored",
        Kind.DONATE: "money_donated",
    }
)
#: The numbers of a run's own purchases after which it checks again whether the account returns metadata.
_LOOK_AGAIN_AFTER = frozenset({1, 10, 100, 1000})
#: The kinds by which an account may be unable to filter its records.
_UNFILTERED = frozenset({Kind.RESTORE_CORAL})
#: The keys that the provider itself writes into metadata.
_RESERVED = frozenset({"gift", "widgetID"})
_DAY = timedelta(days=1)
#: The number of newest records that are searched for metadata.
_LATEST = 50


class OneClickImpact:
    """The account at 1ClickImpact."""

    name = ProviderName.ONECLICKIMPACT
    #: The look-up and the statement both show our key, or neither does.
    keys_need_fetch = False

    def __init__(self, client: OneClickImpactClient) -> None:
        self._client = client
        self._returns_metadata = False
        self._bought = 0
        self._listed: set[str] = set()  # refs of the newest purchases, before any of ours was sent

    @classmethod
    def open(cls, settings: Settings, transport: httpx.AsyncBaseTransport, clock: Clock) -> Self:
        """
        Open the account whose key the settings hold.

        Raises:
            ConfigurationError: ONECLICKIMPACT_API_KEY is not set.
        """
        return cls(open_oneclickimpact(settings, transport, clock))

    @property
    def serialize_look_alikes(self) -> bool:
        """True until a record has shown that the account returns metadata."""
        return not self._returns_metadata

    async def prepare(self) -> None:
        """Check the key, and whether the newest records carry metadata."""
        await self._client.whoami()
        self._listed |= await self._look_for_metadata()

    async def place(self, placement: Placement, lease: Lease) -> Receipt:
        """Buy it; see ``Provider.place``."""
        made = await self._act(with_final_check(self._client, lease.check), placement)
        if why := self._is_of_another(placement, made):
            raise OutcomeUnknown(f"the answer is of {_ref(made)}, {why}", provider=self.name, operation=placement.kind)
        amount = getattr(made, FIELD_OF[placement.kind])
        if amount != placement.quantity:
            msg = f"{_ref(made)} was bought, for {amount}; {placement.quantity} was asked for"
            raise Contradiction(msg, provider=self.name, operation=placement.kind)
        self._bought += 1
        if self.serialize_look_alikes and self._bought in _LOOK_AGAIN_AFTER:
            with suppress(ProviderError):  # even if this look fails, the purchase above took effect
                await self._look_for_metadata()
        return Receipt(_ref(made))

    async def track(self, placement: Placement) -> Progress:
        """Return how far the purchase has come; complete once the provider names the time of completion."""
        track = await self._track(*_identity(placement.ref or ""))
        if track.cancelled_on:
            return Progress(Stage.CANCELLED, "cancelled at the provider", track.certificate)
        if track.impact_completed:
            return Progress(Stage.COMPLETED, "impact completed", track.certificate)
        if track.donation_sent:
            return Progress(Stage.OPEN, "donation sent", track.certificate)
        return Progress(
            Stage.OPEN, "donation available" if track.donation_available else "initiated", track.certificate
        )

    async def check(self) -> str:
        """Return the account that the key belongs to."""
        return f"account {(await self._client.whoami()).user_id}"

    async def records(
        self, kinds: Sequence[Kind], from_: date, to: date, *, customers: bool, newest_first: bool
    ) -> AsyncIterator[Sequence[Record]]:
        """Yield every purchase of some kinds; see ``KeepsRecords.records``."""
        listing = self._client.customer_records if customers else self._client.records
        filters = [] if _UNFILTERED.intersection(kinds) else [FIELD_OF[kind] for kind in kinds]
        found = listing(
            filter_by=filters,
            start_date=from_,
            end_date=to,
            sort_order="desc" if newest_first else "asc",
        )
        async for page in found:
            yield [ours for record in page.items for ours in _records(record)]

    async def wrong_option(self, options: Mapping[str, str | bool]) -> str | None:  # noqa: ARG002 - the others ask
        """Return None: none of its options can be asked about beforehand."""
        return None

    async def statement(self, from_: date, to: date) -> AsyncIterator[Record]:
        """Yield every purchase of some days, first the merchant's, then the customers'; see ``Provider.statement``."""
        # Whether the last day is included is not documented, so one more is asked for on both sides.
        asked = from_ - _DAY, to + _DAY
        for customers in (False, True):
            async for page in self.records([], *asked, customers=customers, newest_first=False):
                for record in page:
                    if from_ <= record.at.date() <= to:
                        yield record

    def newest(self, size: int) -> Sequence[AsyncIterator[Sequence[Record]]]:
        """The merchant's own purchases and the customers', the newest first; see ``Provider.newest``."""
        return [self._newest(listing, size) for listing in (self._client.records, self._client.customer_records)]

    async def _newest(self, listing: "_Listing", size: int) -> AsyncIterator[Sequence[Record]]:
        async for page in listing(limit=size, sort_order="desc"):
            self._listed.update(map(_ref, page.items))
            yield [ours for record in page.items for ours in _records(record)]

    async def fetch(self, ref: str, parts: Sequence[str] = ()) -> Record | None:  # noqa: ARG002 - it has none
        """Return the purchase of this user and time; see ``Provider.fetch``."""
        user_id, time_utc = _identity(ref)
        try:
            track = await self._track(user_id, time_utc)
        except (Unauthorized, Forbidden):
            raise
        except Refused:
            return None
        amounts = [*_amounts(track)]
        kind, quantity = amounts[0] if amounts else (None, None)
        return Record(
            f"{user_id}|{time_utc}",
            kind,
            quantity,
            customer_email=None,  # tracking does not say it
            at=_time(time_utc),
            key=_key(track),
            order_id=_order_id(track),
            cancelled=bool(track.cancelled_on),
            is_somebodys=_is_somebodys(track),
            shares_name=len(amounts) > 1,
        )

    async def cancel(self, ref: str, parts: Sequence[str] = (), lease: Lease | None = None) -> None:  # noqa: ARG002
        """Reverse the purchase of this user and time, where the account can; see ``Provider.cancel``."""
        user_id, time_utc = _identity(ref)
        client = with_final_check(self._client, lease.check) if lease else self._client
        await client.cancel_impact(user_id, time_utc)

    async def _track(self, user_id: str, time_utc: str) -> Track:
        """
        Return how far the impact of this user and time has come.

        Raises:
            Unavailable: The answer is of another impact, and says nothing about this one.
        """
        track = await self._client.track(user_id, time_utc)
        owner, time = track.tracking_id[: len(user_id) + 1], track.tracking_id[len(user_id) + 1 :]
        if owner != f"{user_id}-" or (time != time_utc and _instant(time) != _instant(time_utc)):
            msg = f"asked for {user_id}-{time_utc}, the answer is of {track.tracking_id}: try again later"
            raise Unavailable(msg, provider=self.name, operation="track")
        return track

    async def _act(self, client: OneClickImpactClient, placement: Placement) -> ImpactMade:
        options = placement.options
        common: dict[str, Any] = {
            "customer_email": placement.customer_email,
            "notify": bool(options.get("notify", False)),
            "metadata": {"order_id": placement.order_id, "impactflow_key": placement.key},
        }
        if "category" in options:
            common["category"] = options["category"]
        match placement.kind:
            case Kind.PLANT_TREES:
                return await client.plant_tree(placement.quantity, **common)
            case Kind.CLEAN_OCEAN:
                return await client.clean_ocean(placement.quantity, **common)
            case Kind.CAPTURE_CARBON:
                return await client.capture_carbon(placement.quantity, **common)
            case Kind.RESTORE_CORAL:
                return await client.restore_coral(placement.quantity, **common)
            case Kind.DONATE:
                return await client.donate_money(placement.quantity, **common)
            case Kind.OFFSET:
                msg = "the policy pairs offsets with CNaught only"
                raise AssertionError(msg)

    def _is_of_another(self, placement: Placement, made: ImpactMade) -> str | None:
        """Say why an answer is of another purchase than a placement's; None where nothing shows that."""
        key = _key(made)
        if key == placement.key:
            return None
        if key is not None or _is_somebodys(made):
            return "which does not carry the purchase's key"
        customer = made.customer and made.customer.customer_email
        if customer and customer.casefold() != (placement.customer_email or "").casefold():
            return "which was made on behalf of another customer"
        made_at = _instant(made.time_utc)
        if made_at is not None and made_at < placement.attempted_at - CLOCK_SKEW:
            return "which was made before it was asked for"
        if _ref(made) in self._listed:
            return "which was listed before it was asked for"
        return None

    async def _look_for_metadata(self) -> set[str]:
        """Check whether the newest records carry metadata; return the refs of the purchases that were read."""
        read: set[str] = set()
        for listing in (self._client.records, self._client.customer_records):
            newest = await anext(listing(limit=_LATEST, sort_order="desc"))
            read.update(map(_ref, newest.items))
            if any(_key(record) is not None or _is_somebodys(record) for record in newest.items):
                self._returns_metadata = True
                break
        return read


class _Listing(Protocol):
    """One of the account's two lists of records."""

    def __call__(
        self, *, limit: int, sort_order: Literal["asc", "desc"]
    ) -> AsyncIterator[Page[ClientRecord]] | AsyncIterator[Page[CustomerRecord]]:
        """Return the list's pages."""
        ...


def _ref(made: ImpactMade | ClientRecord) -> str:
    return f"{made.user_id}|{made.time_utc}"


def _identity(ref: str) -> tuple[str, str]:
    """Split a ref into user and time; a number behind # is ours, where two purchases share both."""
    user_id, _, time_utc = provider_ref(ref).rpartition("|")
    return user_id, time_utc


def _is_somebodys(record: ImpactMade | ClientRecord | Track) -> bool:
    """Whether a record carries metadata without our key; keys that the provider itself writes do not count."""
    return _key(record) is None and bool((record.metadata or {}).keys() - _RESERVED)


def _key(record: ImpactMade | ClientRecord | Track) -> str | None:
    return _metadata_value(record, "impactflow_key")


def _order_id(record: ClientRecord | Track) -> str | None:
    return _metadata_value(record, "order_id")


def _metadata_value(record: ImpactMade | ClientRecord | Track, name: str) -> str | None:
    value = (record.metadata or {}).get(name)
    return plain(value) if isinstance(value, str) else None


def _amounts(record: ClientRecord | Track) -> Iterator[tuple[Kind, int]]:
    """Yield each kind and its amount: one kind, unless two purchases share a name. An amount of 0 is left out."""
    for kind, field in FIELD_OF.items():
        if amount := getattr(record, field):
            yield kind, amount


def _records(record: ClientRecord) -> list[Record]:
    email = record.customer.customer_email if isinstance(record, CustomerRecord) else None
    at, key, order_id, cancelled = _time(record.time_utc), _key(record), _order_id(record), bool(record.cancelled_on)
    # A record of ours without an amount is still evidence that something was bought.
    amounts: list[tuple[Kind | None, int | None]] = [*_amounts(record)] or ([(None, None)] if key is not None else [])
    return [
        Record(_ref(record), kind, amount, email, at, key, order_id, cancelled, is_somebodys=_is_somebodys(record))
        for kind, amount in amounts
    ]


def _time(text: str) -> datetime:
    """
    Read a record's time.

    Raises:
        Unavailable: The text is no time.
    """
    if (time := _instant(text)) is None:
        msg = "a record's time_utc is no time: its records cannot be searched"
        raise Unavailable(msg, provider=ProviderName.ONECLICKIMPACT, operation="records")
    return time


def _instant(text: str) -> datetime | None:
    """Read a time as 1ClickImpact writes it; without a zone it is UTC, as its name says. None if it is no time."""
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
