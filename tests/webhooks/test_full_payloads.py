"""Whole payloads of the senders' newest versions, from their signature to the providers' books."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from test_receiver import send, serving
from virtual_time import in_virtual_time
from world import GIVING, OFFSET, TREES, policy_of

from benchmarks.storm.senders import SECRETS, Post
from impactflow.intake.deliveries import process
from impactflow.webhooks.signing import Unsigned
from impactflow.webhooks.sources import SCHEMES

PAYLOADS = Path(__file__).parent / "payloads"
SIGN = {scheme.source: scheme.sign for scheme in SCHEMES}
#: A tree for each thing, a percent given and a kilogram for each ten dollars, without gift cards.
WITHOUT_CARDS = {"not_products": {"gift_cards": True}}
RULES = (
    TREES | {"quantity": {"per_item": 1}, "when": WITHOUT_CARDS},
    GIVING | {"when": WITHOUT_CARDS},
    OFFSET | {"quantity": {"per_amount": {"quantity": 1, "per": 10}}},
)
POLICY = policy_of(
    *RULES,
    eligible_payments=["APPROVED", "Partially Refunded"],
    at_most_days_old="unlimited",  # the receiver keeps the time of this machine
    fx={"as_of": "2026-03-01", "usd_per": {"EUR": Decimal("1.20")}},
)


def post(name: str, number: int) -> Post:
    """A payload as its sender posts it."""
    source, topic = name.split(" ")
    body = (PAYLOADS / f"{name}.json").read_bytes()
    delivery = Unsigned(
        f"delivery-{number}", topic.replace("_", "/") if source == "shopify" else topic, body, datetime.now(UTC)
    )
    return Post(f"/webhooks/{source}", dict(SIGN[source](SECRETS[source], delivery)), body)


@pytest.mark.parametrize(
    ("names", "trees", "cents", "grams"),
    [
        # 145 EUR, of which the gift card is 60: three aprons, 85 EUR are 102 USD, and all of it 174 USD.
        (["shopify orders_paid"], 3, 102, 17_400),
        # One apron came back, for 27.50 EUR.
        (["shopify orders_paid", "shopify refunds_create"], 3, 69, 14_100),
        # No lines are told; 120 EUR are 144 USD.
        (["stripe checkout.session.completed"], None, None, 14_400),
        # 20 EUR went back of the payment that another event joins to the subscription's invoice.
        (
            ["stripe checkout.session.completed", "stripe invoice_payment.paid", "stripe charge.refunded"],
            None,
            None,
            12_000,
        ),
        # 80.10 USD, of which 36.76 went back.
        (["woocommerce order.updated"], 3, 43, 4_334),
        # 60 USD, of which a gift card is 10.
        (["standard order.paid"], 2, 50, 6_000),
    ],
)
@in_virtual_time
async def test_a_whole_payload_is_understood(new_world, names, trees, cents, grams):
    """What it earns, and nothing else."""
    world = new_world(policy=POLICY)
    async with world.run() as run:
        async with serving(run.ledger) as client:
            for number, name in enumerate(names):
                answer = await send(client, post(name, number))
                assert 202 == answer.status_code, answer.text
        await process(run.ledger, POLICY, run.clock, run.id)
        world.works_under(run, POLICY)
        await world.place_all(run)
        assert [] == await run.ledger.broken()
    bought = {each["kind"]: each["quantity"] for each in world.purchases}
    wanted = {"plant_trees": trees, "donate": cents, "offset": grams}
    assert {kind: quantity for kind, quantity in wanted.items() if quantity} == bought
