"""What the senders of webhooks tell of the sales that ``world.sold`` makes, stored as the receiver stores it."""

import json
from typing import Any

from world import World

from impactflow.buying.run import Run
from impactflow.intake.deliveries import Processed, process
from impactflow.ledger import Delivery


async def deliver(run: Run, source: str, topic: str, body: Any, webhook_id: str) -> bool:
    """Store one delivery; whether it is new."""
    content = json.dumps(body).encode()
    return await run.ledger.store_delivery(Delivery("acme", source, webhook_id, topic, run.clock.now(), content))


async def shopify_paid(
    run: Run, number: int, *, webhook_id: str = "", topic: str = "orders/paid", **fields: Any
) -> bool:
    """Shopify tells that the sale ``sold(number)`` is paid; Wicked Reports knows it by its order number."""
    body = {
        "id": 5_000_000_000_000 + number,
        "order_number": 1000 + number,
        "created_at": "2026-03-02T11:00:00Z",
        "total_price": "80.00",
        "currency": "USD",
        "financial_status": "paid",
        "line_items": [{"quantity": 2}],
        "email": f"customer{number}@example.com",
    }
    return await deliver(run, "shopify", topic, body | fields, webhook_id or f"paid-{number}")


async def shopify_refund(run: Run, number: int, amount: str = "80.00", *, webhook_id: str = "") -> bool:
    """Shopify tells that money was given back for it."""
    transactions = [{"kind": "refund", "status": "success", "amount": amount, "currency": "USD"}]
    body = {"id": f"{number}-{amount}", "order_id": 5_000_000_000_000 + number, "transactions": transactions}
    return await deliver(run, "shopify", "refunds/create", body, webhook_id or f"refund-{number}-{amount}")


async def shopify_cancelled(run: Run, number: int, **fields: Any) -> bool:
    """Shopify tells that it was cancelled; no money goes back."""
    body: dict[str, Any] = {"id": 5_000_000_000_000 + number, "order_number": 1000 + number, "financial_status": "paid"}
    body |= {"cancelled_at": "2026-03-02T11:30:00Z"} | fields
    return await deliver(run, "shopify", "orders/cancelled", body, f"cancelled-{number}")


async def woocommerce_order(
    run: Run, number: int, status: str, minute: int = 0, /, *, topic: str = "order.updated", **fields: Any
) -> bool:
    """WooCommerce tells how the sale ``sold(number)`` is, some minutes past eleven, by id and number."""
    at = f"2026-03-02T11:{minute:02}:00"
    body = {
        "id": 7000 + number,
        "number": str(1000 + number),
        "status": status,
        "currency": "USD",
        "total": "80.00",
        "date_created_gmt": "2026-03-02T11:00:00",
        "date_modified_gmt": at,
        "date_paid_gmt": None if status in {"pending", "on-hold"} else at,
        "line_items": [{"quantity": 2}],
        "billing": {"email": f"customer{number}@example.com"},
        "refunds": [],
    }
    return await deliver(run, "woocommerce", topic, body | fields, f"{topic}-{number}-{status}-{minute}")


async def woocommerce_deleted(run: Run, number: int) -> bool:
    """WooCommerce tells that it was put in the trash."""
    return await deliver(run, "woocommerce", "order.deleted", {"id": 7000 + number}, f"deleted-{number}")


async def stripe_event(run: Run, topic: str, data_object: Any, *, created: int | None = None) -> bool:
    """Stripe tells of an object, as it was so many seconds after it was made."""
    at = None if created is None else 1_772_440_000 + created
    body = {"livemode": True, "created": at, "data": {"object": data_object}}
    return await deliver(run, "stripe", topic, body, f"evt-{topic}-{data_object['id']}-{created}")


async def stripe_paid(run: Run, number: int, *, created: int | None = None, **fields: Any) -> bool:
    """Stripe tells of a sale for 80 USD, by session and payment intent."""
    session = {
        "id": f"cs_{number}",
        "payment_intent": f"pi_{number}",
        "payment_status": "paid",
        "amount_total": 8000,
        "currency": "usd",
    }
    return await stripe_event(run, "checkout.session.completed", session | fields, created=created)


async def stripe_refund(run: Run, number: int, *, created: int | None = None) -> bool:
    """Stripe tells that all of its charge was given back."""
    charge = {"id": f"ch_{number}", "payment_intent": f"pi_{number}", "amount_refunded": 8000, "currency": "usd"}
    return await stripe_event(run, "charge.refunded", charge | {"refunded": True}, created=created)


async def taken_up(world: World, run: Run) -> Processed:
    """Take up what is stored, as the flows do."""
    return await process(run.ledger, world.policy, run.clock, run.id)
