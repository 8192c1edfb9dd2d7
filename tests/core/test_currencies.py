"""
Amounts are exact to the smallest unit, in every currency and whoever tells them.

Of two sales the second costs one smallest unit less; with the rates here one percent of the first is just enough for
another cent, and of the second is not. The figures are worked out by hand, not by the code under test.
"""

import json
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import pytest
from virtual_time import START, in_virtual_time
from webhook_senders import deliver
from world import NONE_DIFFER, differences, policy_of, sold

from impactflow.intake.deliveries import process
from impactflow.intake.planning import plan
from impactflow.intake.senders.events import read
from impactflow.intake.senders.mapping import Senders
from impactflow.intake.senders.samples import Sale, sample
from impactflow.ledger import Delivery
from impactflow.models import Refund

SOLD_AT = START - timedelta(hours=1)
SENDERS = ("shopify", "stripe", "woocommerce", "standard", "major", "minor", "wickedreports", "csv", "jsonl")
#: Stripe's events list no products, and neither do mappings that name none.
WITHOUT_ITEMS = {"stripe", "minor"}


@dataclass(frozen=True)
class Currency:
    """
    A currency, two amounts of it as a shop writes them, and what they earn.

    Args:
        usd: What one is worth, in USD.
        amounts: Two sales, one smallest unit apart.
        minor: The same as Stripe counts.
        percent: 1 % of each, in US cents.
        per_ten: 1 kg of CO2 for every 10 of the currency, in grams.
        per_ten_usd: 1 kg of CO2 for every 10 USD, in grams.
    """

    usd: str
    amounts: tuple[str, str]
    minor: tuple[int, int]
    percent: tuple[int, int]
    per_ten: tuple[int, int]
    per_ten_usd: tuple[int, int]


CURRENCIES = {
    "USD": Currency("1", ("84.50", "84.49"), (8450, 8449), (85, 84), (8_450, 8_449), (8_450, 8_449)),
    "JPY": Currency("0.0065", ("11000", "10999"), (11000, 10999), (72, 71), (1_100_000, 1_099_900), (7_150, 7_149)),
    "KWD": Currency("3.25", ("26.000", "25.990"), (26000, 25990), (85, 84), (2_600, 2_599), (8_450, 8_447)),
    "HUF": Currency(
        "0.0026", ("32500.00", "32499.99"), (3250000, 3249999), (85, 84), (3_250_000, 3_249_999), (8_450, 8_450)
    ),
    "ISK": Currency(
        "0.0071", ("15000", "14999"), (1500000, 1499900), (107, 106), (1_500_000, 1_499_900), (10_650, 10_649)
    ),
    "UGX": Currency(
        "0.00026", ("325000", "324999"), (32500000, 32499900), (85, 84), (32_500_000, 32_499_900), (8_450, 8_450)
    ),
}
MAPPING = {
    "means": "paid",
    "source_id": "data.id",
    "amount": "data.total",
    "currency": "data.currency",
    "item_count": {"path": "data.lines[].quantity", "optional": True},
}
MAPPED = Senders.model_validate(
    {
        "senders": {
            "major": {"topics": {"sold": MAPPING}},
            "minor": {"minor": True, "topics": {"sold": MAPPING}},
        }
    }
)


PAID_TOPIC = {
    "shopify": "orders/paid",
    "stripe": "checkout.session.completed",
    "woocommerce": "order.updated",
    "standard": "order.paid",
}
REFUNDED_BY = {
    "shopify": ("orders/paid", "refunds/create"),
    "stripe": ("checkout.session.completed", "charge.refunded"),
    "woocommerce": ("order.created", "order.updated"),
    "standard": ("order.paid", "order.refunded"),
}
SYSTEM_OF = {"standard": "magento", "csv": "file", "jsonl": "file"}
#: The sales: currency, whether it is the first or the second, and the amount.
SALES = [
    (f"{currency}-{number}", currency, number, amount)
    for currency, each in CURRENCIES.items()
    for number, amount in enumerate(each.amounts)
]


def offset(slot, **rule):
    return {"slot": slot, "provider": "cnaught", "impact": "offset", "approve_above": "unlimited"} | rule


def policy(*, rates=True, **fields):
    """A rule of each kind that looks at the order, one of them for each currency, and the currencies' rates."""
    giving = {"slot": "percent", "provider": "impactapi", "impact": "donate", "campaign": "trees-for-the-future"}
    usd_per = {name: Decimal(each.usd) for name, each in CURRENCIES.items() if name != "USD"}
    fx = {"fx": {"as_of": "2026-03-01", "usd_per": usd_per}} if rates else {}
    return policy_of(
        giving | {"quantity": {"percent_of_order": 1}},
        offset("items", quantity={"per_item": Decimal("2.5")}),
        offset("per-ten-usd", quantity={"per_amount": {"quantity": 1, "per": 10}}),
        *(
            offset(
                f"per-ten-{currency.lower()}-itself",
                quantity={"per_amount": {"quantity": 1, "per": 10, "currency": currency}},
                when={"currencies": [currency]},
            )
            for currency in CURRENCIES
        ),
        **fx,
        **fields,
    )


def earned(*, items):
    """What each sale earns, by slot."""
    return {
        name: {
            "percent": CURRENCIES[currency].percent[number],
            "per-ten-usd": CURRENCIES[currency].per_ten_usd[number],
            f"per-ten-{currency.lower()}-itself": CURRENCIES[currency].per_ten[number],
        }
        | ({"items": 7_500} if items else {})
        for name, currency, number, _ in SALES
    }


async def plan_sales(world, run, sender, file):
    """The sales, each of three things, told by a sender and planned."""
    match sender:
        case "wickedreports":
            await world.plan(run)
        case "csv" | "jsonl":
            _write(file)
            world.works_under(run, world.policy)
            source = run.orders_file(str(file))
            window = source.window(None, None, run.clock.now().date())
            await plan(run.ledger, source, world.policy, window, run.clock, run.id, moves_watermark=True)
        case _:
            world.works_under(run, world.policy)
            for name, currency, number, amount in SALES:
                await _deliver(run, sender, name, currency, Decimal(amount), CURRENCIES[currency].minor[number])
            await process(run.ledger, world.policy, run.clock, run.id, MAPPED)


async def _deliver(run, sender, name, currency, amount, minor):
    if sender in {"major", "minor"}:
        fields = {"total": minor} if sender == "minor" else {"total": str(amount), "lines": [{"quantity": 1}] * 3}
        topic, body = "sold", {"type": "sold", "data": {"id": name, "currency": currency.lower()} | fields}
    else:
        topic = PAID_TOPIC[sender]
        body = sample(sender, topic, name, Sale(name, SOLD_AT, amount, currency, 3))
    if sender == "stripe":
        body["data"]["object"]["amount_total"] = minor
    assert await deliver(run, sender, topic, body, name)


def _write(file):
    """The sales as a file; in JSON lines the amounts are numbers, with the digits of the shop."""
    rows = [
        {"order_id": name, "ordered_at": SOLD_AT.isoformat(), "amount": amount, "currency": currency, "item_count": 3}
        for name, currency, _, amount in SALES
    ]
    if file.suffix == ".csv":
        lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    else:
        lines = [json.dumps(row).replace(f'"{row["amount"]}"', row["amount"]) for row in rows]
    file.write_text("\n".join(lines))


def listed():
    """The sales as Wicked Reports lists them, whose API writes amounts as numbers."""
    products = [{"id": "P1", "name": "Apron", "qty": 3}]
    return [
        sold(number, sourceSystem="wickedreports", sourceId=name, amount=float(amount), currency=currency)
        | {"products": products}
        for number, (name, currency, _, amount) in enumerate(SALES)
    ]


async def planned(run, sender):
    """What the ledger holds for each sale, in the ledger's units, by slot."""
    names = {name: f"src:{SYSTEM_OF.get(sender, sender)}:{name}" for name, *_ in SALES}
    stories = {name: await run.ledger.story(known_as) for name, known_as in names.items()}
    return {name: {row["slot"]: row["quantity"] for row in story["placements"]} for name, story in stories.items()}


@pytest.mark.parametrize("sender", SENDERS)
@in_virtual_time
async def test_an_order_earns_exactly_what_its_amount_is_worth(new_world, tmp_path, sender):
    """In the ledger before it is bought, and in the sellers' books afterwards."""
    world = new_world(orders=listed() if sender == "wickedreports" else (), policy=policy())
    expected = earned(items=sender not in WITHOUT_ITEMS)
    async with world.run() as run:
        await plan_sales(world, run, sender, tmp_path / f"orders.{sender}")
        assert expected == await planned(run, sender)

        await world.place_all(run)
        assert NONE_DIFFER == await differences(world, run)
        assert sorted(each for sale in expected.values() for each in sale.values()) == sorted(
            each["quantity"] for each in world.purchases
        )


@pytest.mark.parametrize("source", REFUNDED_BY)
@in_virtual_time
async def test_a_refund_in_part_leaves_exactly_the_rest(new_world, source):
    """A sale for both amounts of its currency together, of which the other amount is given back."""
    world = new_world(policy=policy(eligible_payments=["APPROVED", "Partially Refunded"]))
    async with world.run() as run:
        for name, currency, number, _ in SALES:
            amounts = [Decimal(each) for each in CURRENCIES[currency].amounts]
            sale = Sale(name, SOLD_AT, sum(amounts), currency, 3, given_back=amounts[1 - number])
            paid, refunded = REFUNDED_BY[source]
            await deliver(run, source, paid, sample(source, paid, f"paid-{name}", sale), f"paid-{name}")
            body = sample(source, refunded, f"back-{name}", sale)
            if source == "woocommerce":  # it tells refunds with the order, with a minus
                body |= {"refunds": [{"id": 1, "total": f"-{sale.given_back}"}]}
            await deliver(run, source, refunded, body, f"back-{name}")
        await process(run.ledger, world.policy, run.clock, run.id)

        assert earned(items=source not in WITHOUT_ITEMS) == await planned(run, source)


@in_virtual_time
async def test_c4_what_was_held_for_want_of_a_rate_is_exact_once_there_is_one(new_world):
    """The amounts that were kept meanwhile have lost no digit."""
    world = new_world(policy=policy(rates=False))
    async with world.run() as run:
        await plan_sales(world, run, "standard", None)
        held = [quantity for sale in (await planned(run, "standard")).values() for quantity in sale.values()].count(
            None
        )
        await process(run.ledger, policy(), run.clock, run.id)

        assert 2 * 2 * (len(CURRENCIES) - 1) == held
        assert earned(items=True) == await planned(run, "standard")


@pytest.mark.parametrize(
    ("currency", "shop", "back"),
    [("USD", "8.37", "3.60"), ("JPY", "1000", "430"), ("KWD", "3.050", "1.311"), ("ISK", "1311", "564")],
)
def test_c8_a_refund_in_the_customers_currency_is_rounded_to_the_shops_smallest_unit(currency, shop, back):
    """Upwards, where it is less than what its parts come to: 4.00 of 9.31 EUR."""
    both = {
        "shop_money": {"amount": shop, "currency_code": currency},
        "presentment_money": {"amount": "9.31", "currency_code": "EUR"},
    }
    paid = {"kind": "refund", "status": "success", "amount": "4.00", "currency": "EUR"}
    body = {"id": 1, "order_id": 2, "transactions": [paid], "refund_line_items": [{"subtotal_set": both}]}
    refund = read(Delivery("acme", "shopify", "r1", "refunds/create", START, json.dumps(body).encode()))

    assert isinstance(refund, Refund)
    assert (Decimal(back), currency) == (refund.amount, refund.currency)
