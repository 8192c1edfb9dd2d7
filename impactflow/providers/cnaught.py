"""
Our words to CNaught's: carbon offset orders, with an idempotency key.

Its regime is ``RepeatsSafely``: the same key and body again is the same order. Keys may be forgotten, so once one is
older than its safe age the order is looked for by its metadata first.
"""

import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, timedelta
from decimal import Decimal

from impactflow.clients import CNaughtClient
from impactflow.clients.cnaught.models import Order
from impactflow.clients.operations import looking
from impactflow.clients.paging import items
from impactflow.clock import Clock
from impactflow.errors import Contradiction, IdempotencyConflict, NotFound, RateLimited, Refused, Unauthorized
from impactflow.models import Kind, Placement, Progress, ProviderName, Receipt, Stage
from impactflow.providers import Absent, Ambiguous, Found, Hold, Record, Verdict
from impactflow.texts import one_line, plain

_GRAMS_PER_KG = 1000
#: How far back before the first attempt an order may be dated, for clocks that differ.
_MARGIN = timedelta(days=1)


class CNaught:
    """The account at CNaught."""

    name = ProviderName.CNAUGHT
    #: Keys tell placements apart.
    one_twin_at_a_time = False
    keys_by_look_up = False

    def __init__(
        self, client: CNaughtClient, clock: Clock, *, key_age_s: float, callback_url: Callable[[str], str] | None = None
    ) -> None:
        """
        Open the account.

        Args:
            client: Speaks to it.
            clock: Tells the time.
            key_age_s: How old a key may be before it counts as forgotten.
            callback_url: Where changes of the order for a placement's key are told to us; None for nowhere.
        """
        self._client = client
        self._clock = clock
        self._key_age = timedelta(seconds=key_age_s)
        self._callback_url = callback_url

    async def prepare(self) -> None:
        """Check the key."""
        await self.check()

    async def place(self, placement: Placement, hold: Hold) -> Receipt:
        """Submit the order; see ``Provider.place``."""
        amount_kg = Decimal(placement.quantity) / _GRAMS_PER_KG
        order = await looking(self._client, hold.check).submit_generic_order(
            amount_kg=amount_kg,
            idempotency_key=placement.key,
            metadata=_metadata(placement),
            description=_text(placement, "description"),
            portfolio_id=_text(placement, "portfolio_id"),
            notification_url=self._callback_url(placement.key) if self._callback_url else None,
        )
        if order.amount_kg != amount_kg:
            msg = f"order {order.id} was placed, for {order.amount_kg} kg; {amount_kg} kg was asked for"
            raise Contradiction(msg, provider=self.name, operation="submit_generic_order")
        return _receipt(order)

    async def settle(self, doubt: Placement, hold: Hold) -> Verdict:
        """Send it again under its key, or find it by its metadata where the key may be forgotten."""
        if self._clock.now() - doubt.first_attempted_at > self._key_age:
            found = await self._by_metadata(doubt)
            if not isinstance(found, Absent):
                return found
        try:
            return Found(await self.place(doubt, hold))
        except IdempotencyConflict as conflict:  # such as ours, with the callback URL of other settings
            found = await self._by_metadata(doubt)
            used = Ambiguous(f"its key was used for another order: {conflict.message}", so_far=True)
            return used if found == Absent() else found
        except (Unauthorized, RateLimited):
            raise
        except Refused:  # a repeat may be refused before anyone looks whether the first was accepted
            found = await self._by_metadata(doubt)
            return Absent(so_far=True) if isinstance(found, Absent) else found

    async def track(self, placement: Placement) -> Progress:
        """Where it stands; complete once the order is fulfilled."""
        order = await self._client.get_order(placement.ref or "")
        stage = {"fulfilled": Stage.COMPLETED, "cancelled": Stage.CANCELLED}.get(order.state or "", Stage.OPEN)
        return Progress(stage, one_line(order.state or "unknown"), order.certificate_public_url)

    async def check(self) -> str:
        """Read one order, if there is one."""
        async for order in items(self._client.list_orders(limit=1)):
            return f"newest order {order.id}"
        return "no orders yet"

    async def statement(self, from_: date, to: date) -> AsyncIterator[Record]:
        """Every order of some days, the newest first; see ``Provider.statement``."""
        async for order in items(self._client.list_orders()):
            record = self._record(order)
            if record.at.date() < from_:
                return
            if record.at.date() <= to:
                yield record

    async def look_up(self, ref: str) -> Record | None:
        """The order of this id; see ``Provider.look_up``."""
        try:
            return self._record(await self._client.get_order(ref))
        except NotFound:
            return None

    async def cancel(self, ref: str) -> None:
        """Cancel the order of this id; see ``Provider.cancel``."""
        await self._client.cancel_order(ref, idempotency_key=f"cancel-{ref}")

    def _record(self, order: Order) -> Record:
        told = _told(order.metadata)
        return Record(
            order.id,
            Kind.OFFSET,
            order.amount_kg * _GRAMS_PER_KG,
            customer_email=None,
            at=(order.created_on or self._clock.now()).astimezone(UTC),
            key=told.get("impactflow_key"),
            order_id=told.get("order_id"),
            cancelled=order.state == "cancelled",
            price_usd_cents=order.price_usd_cents,
        )

    async def _by_metadata(self, doubt: Placement) -> Verdict:
        """The order by its metadata; not there means not there twice, because pages shift while they are read."""
        orders = await self._find(doubt) or await self._find(doubt)
        if len(orders) > 1:
            return Ambiguous("several orders carry its key: " + ", ".join(order.id for order in orders))
        return _found(doubt, orders[0]) if orders else Absent()

    async def _find(self, doubt: Placement) -> list[Order]:
        found = []
        async for order in items(self._client.list_orders()):
            if order.created_on is not None and order.created_on < doubt.first_attempted_at - _MARGIN:
                break
            if order.metadata == _metadata(doubt):
                found.append(order)
        return found


def _found(doubt: Placement, order: Order) -> Verdict:
    if order.amount_kg * _GRAMS_PER_KG != doubt.quantity:
        return Ambiguous(f"order {order.id} carries its key, but is for {order.amount_kg} kg")
    return Found(_receipt(order))


def _metadata(placement: Placement) -> str:
    return json.dumps({"order_id": placement.order_id, "impactflow_key": placement.key}, separators=(",", ":"))


def _told(metadata: str | None) -> dict[str, str]:
    """What the metadata of an order says, if it is like ours."""
    try:
        told = json.loads(metadata or "null")
    except (ValueError, RecursionError):
        return {}
    return {name: plain(text) for name, text in told.items() if isinstance(text, str)} if isinstance(told, dict) else {}


def _text(placement: Placement, option: str) -> str | None:
    value = placement.options.get(option)
    return None if value is None else str(value)


def _receipt(order: Order) -> Receipt:
    return Receipt(order.id, order.price_usd_cents, order.certificate_public_url)
