"""
Our words to 1ClickImpact's: trees, ocean, carbon, coral and donations, none of them with an idempotency key.

Its regime is ``KeepsRecords``: after a lost answer the account's records are the only witness. They name our key where
the account returns metadata; until that has been seen, purchases that look alike are sent one after the other.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Any

from impactflow.clients import OneClickImpactClient
from impactflow.clients.oneclickimpact.models import CustomerRecord, ImpactMade, ImpactType, Track
from impactflow.clients.oneclickimpact.models import Record as ClientRecord
from impactflow.clients.operations import looking
from impactflow.clients.paging import items
from impactflow.errors import Contradiction, Forbidden, ProviderError, Refused, Unauthorized, Unavailable
from impactflow.models import Kind, Placement, Progress, ProviderName, Receipt, Stage
from impactflow.providers import Hold, Record
from impactflow.texts import plain

#: The field that carries the amount in answers and records; also what records are filtered by.
FIELD_OF: Mapping[Kind, ImpactType] = MappingProxyType(
    {
        Kind.PLANT_TREES: "tree_planted",
        Kind.CLEAN_OCEAN: "waste_removed",
        Kind.CAPTURE_CARBON: "carbon_captured",
        Kind.RESTORE_CORAL: "coral_restored",
        Kind.DONATE: "money_donated",
    }
)
#: After how many purchases of its own a run looks again whether the account returns metadata.
_LOOK_AGAIN_AFTER = frozenset({1, 10, 100, 1000})
#: How many of the newest records tell whether the account returns metadata.
_LATEST = 50


class OneClickImpact:
    """The account at 1ClickImpact."""

    name = ProviderName.ONECLICKIMPACT
    #: Both say it, or neither.
    keys_by_look_up = False

    def __init__(self, client: OneClickImpactClient) -> None:
        self._client = client
        self._returns_metadata = False
        self._bought = 0

    @property
    def one_twin_at_a_time(self) -> bool:
        """Until the account has been seen to return our metadata."""
        return not self._returns_metadata

    async def prepare(self) -> None:
        """Check the key, and see whether the newest records carry our metadata."""
        await self._client.whoami()
        await self._look_for_metadata()

    async def place(self, placement: Placement, hold: Hold) -> Receipt:
        """Buy it; see ``Provider.place``."""
        made = await self._act(looking(self._client, hold.check), placement)
        amount = getattr(made, FIELD_OF[placement.kind])
        if amount != placement.quantity:
            msg = f"{_ref(made)} was bought, for {amount}; {placement.quantity} was asked for"
            raise Contradiction(msg, provider=self.name, operation=placement.kind)
        self._bought += 1
        if self.one_twin_at_a_time and self._bought in _LOOK_AGAIN_AFTER:
            with suppress(ProviderError):  # whatever comes of looking, the purchase above took effect
                await self._look_for_metadata()
        return Receipt(_ref(made))

    async def track(self, placement: Placement) -> Progress:
        """Where it stands; complete once the provider names the time of completion."""
        user_id, time_utc = _identity(placement.ref or "")
        track = await self._client.track(user_id, time_utc)
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
        """Whose key it is."""
        return f"account {(await self._client.whoami()).user_id}"

    async def records(
        self, kinds: Sequence[Kind], from_: date, to: date, *, customers: bool, newest_first: bool
    ) -> AsyncIterator[Record]:
        """Every purchase of some kinds; see ``KeepsRecords.records``."""
        listing = self._client.customer_records if customers else self._client.records
        found = listing(
            filter_by=[FIELD_OF[kind] for kind in kinds],
            start_date=from_,
            end_date=to,
            sort_order="desc" if newest_first else "asc",
        )
        async for record in items(found):
            for ours in _records(record):
                yield ours

    async def statement(self, from_: date, to: date) -> AsyncIterator[Record]:
        """Every purchase of some days, the merchant's own and then the customers'; see ``Provider.statement``."""
        for customers in (False, True):
            async for record in self.records([], from_, to, customers=customers, newest_first=False):
                yield record

    async def look_up(self, ref: str) -> Record | None:
        """The purchase of this user and time; see ``Provider.look_up``."""
        user_id, time_utc = _identity(ref)
        try:
            track = await self._client.track(user_id, time_utc)
        except (Unauthorized, Forbidden):
            raise
        except Refused:
            return None
        kind, quantity = next(_amounts(track), (None, 0))
        return Record(
            f"{user_id}|{time_utc}",
            kind,
            quantity,
            customer_email=None,  # tracking does not say it
            at=_time(time_utc),
            key=_key(track),
            order_id=_order_id(track),
            cancelled=bool(track.cancelled_on),
        )

    async def cancel(self, ref: str) -> None:
        """Reverse the purchase of this user and time, where the account can; see ``Provider.cancel``."""
        user_id, time_utc = _identity(ref)
        await self._client.cancel_impact(user_id, time_utc)

    async def _act(self, client: OneClickImpactClient, placement: Placement) -> ImpactMade:
        options = placement.options
        told: dict[str, Any] = {
            "customer_email": placement.customer_email,
            "notify": bool(options.get("notify", False)),
            "metadata": {"order_id": placement.order_id, "impactflow_key": placement.key},
        }
        if "category" in options:
            told["category"] = options["category"]
        match placement.kind:
            case Kind.PLANT_TREES:
                return await client.plant_tree(placement.quantity, **told)
            case Kind.CLEAN_OCEAN:
                return await client.clean_ocean(placement.quantity, **told)
            case Kind.CAPTURE_CARBON:
                return await client.capture_carbon(placement.quantity, **told)
            case Kind.RESTORE_CORAL:
                return await client.restore_coral(placement.quantity, **told)
            case Kind.DONATE:
                return await client.donate_money(placement.quantity, **told)
            case Kind.OFFSET:
                msg = "the policy pairs offsets with CNaught only"
                raise AssertionError(msg)

    async def _look_for_metadata(self) -> None:
        for listing in (self._client.records, self._client.customer_records):
            newest = await anext(listing(limit=_LATEST, sort_order="desc"))
            if any(_key(record) is not None for record in newest.items):
                self._returns_metadata = True
                return


def _ref(made: ImpactMade | ClientRecord) -> str:
    return f"{made.user_id}|{made.time_utc}"


def _identity(ref: str) -> tuple[str, str]:
    """The provider's two halves; a number behind # is ours, where two purchases share them."""
    user_id, _, time_utc = ref.partition("#")[0].rpartition("|")
    return user_id, time_utc


def _told(record: ClientRecord | Track, name: str) -> str | None:
    text = (record.metadata or {}).get(name)
    return None if text is None else plain(text)


def _key(record: ClientRecord | Track) -> str | None:
    return _told(record, "impactflow_key")


def _order_id(record: ClientRecord | Track) -> str | None:
    return _told(record, "order_id")


def _amounts(record: ClientRecord | Track) -> Iterator[tuple[Kind, int]]:
    """What was bought: one kind, unless two purchases share a name."""
    for kind, field in FIELD_OF.items():
        if (amount := getattr(record, field)) is not None:
            yield kind, amount


def _records(record: ClientRecord) -> list[Record]:
    email = record.customer.customer_email if isinstance(record, CustomerRecord) else None
    at, key, order_id, cancelled = _time(record.time_utc), _key(record), _order_id(record), bool(record.cancelled_on)
    # A record of ours that says no amount is evidence all the same: that something was bought.
    amounts: Iterable[tuple[Kind | None, int]] = list(_amounts(record)) or ([(None, 0)] if key is not None else [])
    return [Record(_ref(record), kind, amount, email, at, key, order_id, cancelled) for kind, amount in amounts]


def _time(text: str) -> datetime:
    """A record's time; without a zone it is UTC, as its name says."""
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        msg = "a record's time_utc is no time: its records cannot be searched"
        raise Unavailable(msg, provider=ProviderName.ONECLICKIMPACT, operation="records") from None
