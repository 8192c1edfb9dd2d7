"""
The meaning of a stored delivery: an order that was sold, a refund, a hint to look at a placement, or nothing for us.

Pure. Each sender's fields are read in a module of its name, or by its mapping in ``mapped``; the receiver checked that
a delivery is the sender's before it was stored.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from impactflow.clients.answers import broken_fields
from impactflow.intake.senders import mapped, shopify, standard, stripe, woocommerce
from impactflow.intake.senders.mapping import NO_SENDERS, Senders
from impactflow.intake.senders.values import A_TEST, Hint, NothingForUs
from impactflow.ledger import Delivery
from impactflow.models import BrokenOrder, Order, Refund
from impactflow.names import order_id_of, source_name
from impactflow.webhooks.sources import STANDARD

Event = Order | Refund | Hint | BrokenOrder | NothingForUs

#: The key in the name of a CNaught delivery: that of the placement that the delivery is about; the name holds more.
_KEY = re.compile(r"impactflow[0-9a-f]{40}")
_LONGEST_NAME = 200
_ANOTHER_SHAPE = " (a sender that has fields of its own needs a mapping: docs/webhooks.md)"


def _timed(read: Callable[[bytes, datetime], Event]) -> Callable[[Delivery], Event]:
    return lambda delivery: read(delivery.body, delivery.received_at)


def _untimed(read: Callable[[bytes], Event]) -> Callable[[Delivery], Event]:
    return lambda delivery: read(delivery.body)


#: By sender and topic: the function that reads a delivery, and the path of its order's id.
_TOPICS: Mapping[tuple[str, str], tuple[Callable[[Delivery], Event], Sequence[str]]] = {
    ("standard", "order.paid"): (_timed(standard.read_order), ("data", "source_id")),
    ("standard", "order.refunded"): (_untimed(standard.read_refund), ("data", "source_id")),
    ("shopify", "orders/paid"): (_timed(shopify.read_order), ("id",)),
    ("shopify", "orders/updated"): (_timed(shopify.read_order), ("id",)),
    ("shopify", "orders/cancelled"): (_untimed(shopify.read_cancellation), ("id",)),
    ("shopify", "refunds/create"): (_untimed(shopify.read_refund), ("order_id",)),
    ("woocommerce", "order.created"): (_timed(woocommerce.read_order), ("id",)),
    ("woocommerce", "order.updated"): (_timed(woocommerce.read_order), ("id",)),
    ("woocommerce", "order.restored"): (_timed(woocommerce.read_order), ("id",)),
    ("woocommerce", "order.deleted"): (_timed(woocommerce.read_deletion), ("id",)),
    ("stripe", "checkout.session.completed"): (_timed(stripe.read_session), ("data", "object", "id")),
    ("stripe", "checkout.session.async_payment_succeeded"): (_timed(stripe.read_session), ("data", "object", "id")),
    ("stripe", "invoice_payment.paid"): (_timed(stripe.read_invoice_payment), ("data", "object", "invoice")),
    ("stripe", "charge.captured"): (_untimed(stripe.read_refund), ("data", "object", "payment_intent")),
    ("stripe", "charge.refunded"): (_untimed(stripe.read_refund), ("data", "object", "payment_intent")),
    ("stripe", "refund.failed"): (_untimed(stripe.read_failed_refund), ("data", "object", "payment_intent")),
    ("stripe", "charge.refund.updated"): (_untimed(stripe.read_failed_refund), ("data", "object", "payment_intent")),
}


def read(delivery: Delivery, senders: Senders = NO_SENDERS) -> Event:
    """
    The meaning of a verified delivery; one that is not as its sender documents is a broken order.

    Args:
        delivery: As it is stored.
        senders: The mappings of other senders.
    """
    if delivery.is_test:
        return A_TEST
    if delivery.source == "cnaught":
        found = _KEY.match(delivery.webhook_id)
        return Hint(found[0]) if found else NothingForUs()
    if senders.digest_for(delivery.source) is not None:
        return _read_mapped(delivery, senders)
    if (delivery.source, delivery.topic) not in _TOPICS:
        return NothingForUs()
    understand, path = _TOPICS[delivery.source, delivery.topic]
    try:
        return understand(delivery)
    except ValidationError as broken:
        hint = _ANOTHER_SHAPE if delivery.source == STANDARD.source else ""
        return BrokenOrder(_name(delivery, path), f"{delivery.topic}: {broken_fields(broken)}{hint}")


def _read_mapped(delivery: Delivery, senders: Senders) -> Event:
    sender = senders.senders.get(delivery.source)
    if sender is None:
        why = "there is no such sender here: name the file in IMPACTFLOW_SENDERS wherever flows run"
        return BrokenOrder(_of_delivery(delivery), f"{delivery.topic}: {why}")
    arguments = (delivery.source, sender, delivery.topic)
    try:
        return mapped.read(delivery.body, delivery.received_at, *arguments)
    except mapped.NotAsMapped as broken:
        name = order_id_of(mapped.named(delivery.body, *arguments) or "")
        return BrokenOrder(_listed(name) or _of_delivery(delivery), f"{delivery.topic}: {broken}")


def _of_delivery(delivery: Delivery) -> str:
    return f"{delivery.source} delivery {delivery.webhook_id}"


def _listed(name: str) -> str | None:
    """A name that can be kept and typed; None where it cannot."""
    return name if name and name.isprintable() and len(name) <= _LONGEST_NAME else None


def _name(delivery: Delivery, path: Sequence[str]) -> str:
    """
    The name under which a broken delivery is listed: its order's, so that a good reading of the order corrects it.

    Where the order's name cannot be read, the delivery's name is used.
    """
    found: Any = None
    try:
        found = json.loads(delivery.body)
        system = found["data"]["source_system"] if delivery.source == "standard" else delivery.source
        for step in path:
            found = found[step]
        name = order_id_of(source_name(system, str(found)))
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        name = ""
    listed = _listed(name) if isinstance(found, str | int) else None
    return listed or _of_delivery(delivery)
