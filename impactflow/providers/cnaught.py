"""
Translate our words into CNaught's: carbon offset orders, with an idempotency key.

Its regime is ``RepeatsSafely``: the same key and body again is the same order. CNaught may forget keys, so once a key
is older than its safe age, the order is first looked for by its metadata.
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, timedelta
from decimal import Decimal
from typing import Self

import httpx

from impactflow.callbacks import callback_path
from impactflow.clients import CNaughtClient, open_cnaught
from impactflow.clients.cnaught.models import Order
from impactflow.clients.operations import with_final_check
from impactflow.clients.paging import items
from impactflow.clock import Clock
from impactflow.errors import (
    IdempotencyConflict,
    NotFound,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Refused,
    Unauthorized,
    Unavailable,
)
from impactflow.models import Kind, Placement, Progress, ProviderName, Receipt, Stage
from impactflow.providers import CLOCK_SKEW, Absent, Ambiguous, Found, Lease, Record, Verdict
from impactflow.settings import Settings
from impactflow.texts import one_line, plain

_GRAMS_PER_KG = 1000
#: The most that an order's date may lie before the first attempt, for clocks that differ.
_MARGIN = timedelta(days=1)


class CNaught:
    """The account at CNaught."""

    name = ProviderName.CNAUGHT
    #: Keys distinguish placements.
    serialize_look_alikes = False
    keys_need_fetch = False

    def __init__(
        self, client: CNaughtClient, clock: Clock, *, key_age_s: float, callback_url: Callable[[str], str] | None = None
    ) -> None:
        """
        Open the account.

        Args:
            client: The client for the account.
            clock: Gives the time.
            key_age_s: The age in seconds beyond which a key counts as forgotten.
            callback_url: Makes the URL to which CNaught reports changes of the order for a placement's key; None for
                no reports.
        """
        self._client = client
        self._clock = clock
        self._key_age = timedelta(seconds=key_age_s)
        self._callback_url = callback_url

    @classmethod
    def open(cls, settings: Settings, transport: httpx.AsyncBaseTransport, clock: Clock) -> Self:
        """
        Open the account whose key the settings hold.

        Raises:
            ConfigurationError: CNAUGHT_API_KEY is not set.
        """
        client, key_age_s = open_cnaught(settings, transport, clock), settings.impactflow_cnaught_key_age_s
        return cls(client, clock, key_age_s=key_age_s, callback_url=_callback_url_of(settings))

    async def prepare(self) -> None:
        """Check the key."""
        await self.check()

    async def place(self, placement: Placement, lease: Lease) -> Receipt:
        """Submit the order; see ``Provider.place``."""
        is_old = placement.attempt > 1 and self._may_be_forgotten(placement)
        if is_old and (receipt := await self._ordered_before(placement, lease)) is not None:
            return receipt
        quoted = await self._quoted(placement)
        order = await self._submit(placement, lease)
        if why := _is_another(placement, order):
            raise OutcomeUnknown(why, provider=self.name, operation="submit_generic_order")
        return replace(_receipt(order), quoted_usd_cents=quoted)

    async def _quoted(self, placement: Placement) -> int | None:
        """
        Return what CNaught asks for an order now, in cents, where the policy says how much that may be.

        Raises:
            NotSent: It asks more, or does not say.
        """
        most = _text(placement, "at_most_usd_per_t")
        if most is None or placement.was_denied:  # what may have been bought is found out at any price
            return None
        amount_kg = Decimal(placement.quantity) / _GRAMS_PER_KG
        try:
            quote = await self._client.get_generic_quote(
                amount_kg=amount_kg, portfolio_id=_text(placement, "portfolio_id")
            )
        except Unauthorized:
            raise
        except Refused as error:
            raise NotSent(error.message, provider=self.name, operation="get_generic_quote") from error
        cents = quote.price_usd_cents
        if cents - 1 >= Decimal(most) * amount_kg / 10:  # CNaught may have rounded up to a cent
            msg = (
                f"it asks {Decimal(cents) / 100} USD for {amount_kg} kg, and the policy pays {most} USD for a tonne at"
                " most: it waits until CNaught asks less, or quote.at_most_usd_per_t allows more"
            )
            raise NotSent(msg, provider=self.name, operation="get_generic_quote")
        return cents

    async def _ordered_before(self, placement: Placement, lease: Lease) -> Receipt | None:
        """
        Return the receipt of an earlier attempt, to which a gateway may have said no though it took effect.

        Raises:
            OutcomeUnknown: Orders that do not say whose they are may be this one.
            Unavailable: The orders cannot be read now.
        """
        try:
            found = await self._by_metadata(placement, lease)
        except Unauthorized:
            raise
        except Refused as error:
            raise Unavailable(error.message, provider=self.name, operation="list_orders") from error
        match found:
            case Absent():
                return None
            case Found(receipt, by_key=True):
                return receipt
        msg = "an order that does not say whose it is may be this one"
        raise OutcomeUnknown(msg, provider=self.name, operation="submit_generic_order")

    async def _submit(self, placement: Placement, lease: Lease) -> Order:
        return await with_final_check(self._client, lease.check).submit_generic_order(
            amount_kg=Decimal(placement.quantity) / _GRAMS_PER_KG,
            idempotency_key=placement.key,
            metadata=_metadata(placement),
            description=_text(placement, "description"),
            portfolio_id=_text(placement, "portfolio_id"),
            notification_url=self._callback_url(placement.key) if self._callback_url else None,
        )

    async def resolve(self, doubt: Placement, lease: Lease) -> Verdict:
        """Send the order again under its key, or find it by its metadata where CNaught may have forgotten the key."""
        if self._may_be_forgotten(doubt):
            found = await self._by_metadata(doubt, lease)
            if not isinstance(found, Absent):
                return found
        try:
            order = await self._submit(doubt, lease)
        except IdempotencyConflict as conflict:  # such as our own order, with the callback URL of other settings
            found = await self._by_metadata(doubt, lease)
            used = Ambiguous(f"its key was used for another order: {conflict.message}", so_far=True)
            return used if found == Absent() else found
        except (Unauthorized, RateLimited):
            raise
        except Refused:  # a repeat may be refused before CNaught checks whether the first was accepted
            found = await self._by_metadata(doubt, lease)
            return Absent(so_far=True) if isinstance(found, Absent) else found
        if why := _is_another(doubt, order):
            found = await self._by_metadata(doubt, lease)
            return Ambiguous(why, so_far=True) if isinstance(found, Absent) else found
        return Found(_receipt(order), by_key=True)

    def _may_be_forgotten(self, placement: Placement) -> bool:
        """Whether CNaught may have forgotten the key of the first attempt."""
        return self._clock.now() - placement.first_attempted_at > self._key_age

    async def track(self, placement: Placement) -> Progress:
        """Return how far the order has come; complete once it is fulfilled."""
        order = await self._get(placement.ref or "")
        stage = {"fulfilled": Stage.COMPLETED, "cancelled": Stage.CANCELLED}.get(order.state or "", Stage.OPEN)
        return Progress(stage, one_line(order.state or "unknown"), order.certificate_public_url)

    async def check(self) -> str:
        """Read one order, if there is one."""
        async for order in items(self._client.list_orders(limit=1)):
            return f"newest order {order.id}"
        return "no orders yet"

    async def wrong_option(self, options: Mapping[str, str | bool]) -> str | None:
        """Name a portfolio for which CNaught gives no quote; the account's portfolios are listed nowhere."""
        portfolio = options.get("portfolio_id")
        if portfolio is None:
            return None
        try:
            await self._client.get_generic_quote(amount_kg=Decimal(1), portfolio_id=str(portfolio))
        except Unauthorized:
            raise
        except Refused as refused:
            return f"portfolio_id {portfolio!r}: {refused}"
        return None

    async def statement(self, from_: date, to: date) -> AsyncIterator[Record]:
        """Yield every order of some days, the newest first; see ``Provider.statement``."""
        async for order in items(self._client.list_orders()):
            record = self._record(order)
            if record.at.date() < from_:
                return
            if record.at.date() <= to:
                yield record

    def newest(self, size: int) -> Sequence[AsyncIterator[Sequence[Record]]]:
        """Return every order, the newest first; see ``Provider.newest``."""
        return [self._newest(size)]

    async def _newest(self, size: int) -> AsyncIterator[Sequence[Record]]:
        async for page in self._client.list_orders(limit=size):
            yield [self._record(order) for order in page.items]

    async def fetch(self, ref: str, parts: Sequence[str] = ()) -> Record | None:  # noqa: ARG002 - it says all of it
        """Return the order of this id; see ``Provider.fetch``."""
        try:
            return self._record(await self._get(ref))
        except NotFound:
            return None

    async def cancel(self, ref: str, parts: Sequence[str] = (), lease: Lease | None = None) -> None:  # noqa: ARG002
        """Cancel the order of this id; see ``Provider.cancel``."""
        client = with_final_check(self._client, lease.check) if lease else self._client
        # Not the key of an earlier try: its answer, a refusal perhaps, would be given once more.
        await client.cancel_order(ref, idempotency_key=f"cancel-{ref}-{self._clock.now():%Y%m%dT%H%M%S}")

    async def _get(self, id_: str) -> Order:
        """
        Return the order of this id.

        Raises:
            Unavailable: The answer is of another order, and says nothing about this one.
        """
        order = await self._client.get_order(id_)
        if order.id != id_:
            msg = f"asked for order {id_}, the answer is of {order.id}: try again later"
            raise Unavailable(msg, provider=self.name, operation="get_order")
        return order

    def _record(self, order: Order) -> Record:
        fields = _fields(order.metadata)
        return Record(
            order.id,
            Kind.OFFSET,
            order.amount_kg * _GRAMS_PER_KG,
            customer_email=None,
            at=(order.created_on or self._clock.now()).astimezone(UTC),
            key=fields.get("impactflow_key"),
            order_id=fields.get("order_id"),
            cancelled=order.state == "cancelled",
            price_usd_cents=order.price_usd_cents,
            is_somebodys=bool(order.metadata) and "impactflow_key" not in fields,
        )

    async def _by_metadata(self, doubt: Placement, lease: Lease) -> Verdict:
        """
        Find the order by its metadata, in two readings of the list, because pages shift while they are read.

        An order that came back without metadata may be the placement's, if the amount fits and no placement has it.
        """
        unnamed: dict[str, Order] = {}
        names_return = False
        for _ in range(2):
            orders = [order async for order in self._since(doubt)]
            named = [order for order in orders if _fields(order.metadata).get("impactflow_key") == doubt.key]
            if len(named) > 1:
                return Ambiguous("several orders carry its key: " + ", ".join(order.id for order in named), so_far=True)
            if named:
                return _found(doubt, named[0])
            names_return = names_return or any(order.metadata for order in orders)
            unnamed |= {order.id: order for order in orders if _may_be(doubt, order)}
        left = await lease.unexplained(sorted(unnamed))
        if not left.refs:
            return Absent()
        # Where the account returns metadata on any order, our order would carry its own.
        if len(left.refs) == 1 and not left.others and not names_return:
            (ref,) = left.refs
            return Found(_receipt(unnamed[ref]), so_far=True)
        return Ambiguous("it may be any of " + ", ".join(sorted(left.refs)), so_far=True)

    async def _since(self, doubt: Placement) -> AsyncIterator[Order]:
        """Yield the orders since the day before the first attempt."""
        async for order in items(self._client.list_orders()):
            if order.created_on is not None and order.created_on < doubt.first_attempted_at - _MARGIN:
                break
            yield order


def _found(doubt: Placement, order: Order) -> Verdict:
    if order.amount_kg * _GRAMS_PER_KG != doubt.quantity:
        return Ambiguous(f"order {order.id} carries its key, but is for {order.amount_kg} kg", so_far=True)
    return Found(_receipt(order), by_key=True)


def _may_be(doubt: Placement, order: Order) -> bool:
    """Whether an order could be the doubt's: it carries no metadata, and its amount and date fit."""
    if order.metadata or order.amount_kg * _GRAMS_PER_KG != doubt.quantity:
        return False
    return order.created_on is None or order.created_on >= doubt.first_attempted_at - CLOCK_SKEW


def _is_another(placement: Placement, order: Order) -> str | None:
    """Say why an answer is of another order than a placement's; None where nothing shows that."""
    if order.metadata and _fields(order.metadata).get("impactflow_key") != placement.key:
        return f"the answer is of order {order.id}, which does not carry the purchase's key"
    asked_kg = Decimal(placement.quantity) / _GRAMS_PER_KG
    if order.amount_kg != asked_kg:
        return f"the answer is of order {order.id} for {order.amount_kg} kg; {asked_kg} kg was asked for"
    return None


def _metadata(placement: Placement) -> str:
    return json.dumps({"order_id": placement.order_id, "impactflow_key": placement.key}, separators=(",", ":"))


def _fields(metadata: str | None) -> dict[str, str]:
    """Read the metadata of an order; empty where it is not in our form."""
    try:
        fields = json.loads(metadata or "null")
    except (ValueError, RecursionError):
        return {}
    return (
        {name: plain(text) for name, text in fields.items() if isinstance(text, str)}
        if isinstance(fields, dict)
        else {}
    )


def _text(placement: Placement, option: str) -> str | None:
    value = placement.options.get(option)
    return None if value is None else str(value)


def _receipt(order: Order) -> Receipt:
    return Receipt(order.id, order.price_usd_cents, order.certificate_public_url)


def _callback_url_of(settings: Settings) -> Callable[[str], str] | None:
    """The URL for CNaught's callbacks about the placement of a key; None where no receiver is reachable."""
    url, secret = settings.impactflow_webhooks_url, settings.impactflow_callback_secret
    if url is None or secret is None:
        return None
    return lambda key: url + callback_path(secret.get_secret_value(), key)
