"""``status`` and ``doctor`` tell what nobody would hear of: what was refused, and why things are held or not earned."""

import asyncio
import json
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner
from virtual_time import in_virtual_time
from webhook_senders import shopify_paid, stripe_paid, taken_up
from world import GIVING, OFFSET, TREES, policy_of

from impactflow.cli import silence
from impactflow.cli.commands import app
from impactflow.ledger import Ledger, Reason, RefusedDeliveries

#: Rules that count the items of an order, in either way.
PER_ITEM, MIN_ITEMS = OFFSET, TREES | {"when": {"min_items": 2}}
NO_PRODUCTS = "the order lists no products"


@pytest.fixture
def status(tmp_path, monkeypatch):
    """Runs ``status`` on a ledger that a coroutine fills: (exit status, what it printed)."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    monkeypatch.setenv("IMPACTFLOW_LEDGER_URL", url)
    monkeypatch.setenv("IMPACTFLOW_POLICY", str(tmp_path / "none.yaml"))

    def run(fill, *arguments):
        with Ledger.open(url) as ledger:
            asyncio.run(fill(ledger))
        ended = CliRunner().invoke(app, ["status", *arguments])
        return ended.exit_code, ended.output

    return run


async def refuse(ledger):
    today = datetime.now(UTC).date()
    await ledger.count_refused(
        [RefusedDeliveries("acme", "shopify", today, 413, 10), RefusedDeliveries("acme", "shopify", today, 401, 2)]
    )


def test_c20_status_tells_a_person_what_was_refused_and_what_to_do(status):
    """Nothing is left undone by that: anybody may have sent them."""
    code, printed = status(refuse)

    expected = (
        "12 deliveries of shopify were refused in the last 7 days: 10 too large (413), 2 with a bad signature (401)"
    )
    assert (0, True) == (code, expected in printed)
    assert printed.index("IMPACTFLOW_WEBHOOKS_MAX_BYTES") < printed.index("IMPACTFLOW_SHOPIFY_SECRETS")


def test_c20_status_tells_a_program_what_was_refused(status):
    """By source and status."""
    _, printed = status(refuse, "--json")

    expected = [
        {"source": "shopify", "status": 413, "count": 10},
        {"source": "shopify", "status": 401, "count": 2},
    ]
    assert expected == json.loads(printed)["refused_deliveries"]


@in_virtual_time
async def test_c11_status_says_that_a_rule_earns_nothing_because_no_products_are_told(new_world):
    """Stripe's events have none; Shopify's have, and a rule that counts no items earns from both."""
    world = new_world(policy=policy_of(PER_ITEM, MIN_ITEMS, GIVING))
    async with world.run() as run:
        for number in (1, 2):
            await stripe_paid(run, number)
        await shopify_paid(run, 3)
        await taken_up(world, run)
        not_earned = (await silence.measure(run.ledger, run.clock.now())).as_json()["not_earned"]

    expected = [{"reason": NO_PRODUCTS, "slot": slot, "count": 2} for slot in ("offset", "trees")]
    assert (expected, 0) == (not_earned["reasons"], not_earned["others"])


@pytest.mark.parametrize(
    ("rule", "when", "named"),
    [
        (PER_ITEM, {}, "offset (per_item): "),
        (MIN_ITEMS, {}, "trees (min_items): "),
        (PER_ITEM, {"sources": ["Stripe", "shopify"]}, "offset (per_item): "),
        (PER_ITEM, {"sources": ["shopify"]}, None),
        (MIN_ITEMS, {"not_sources": ["STRIPE"]}, None),
        (GIVING, {}, None),
    ],
)
def test_c11_rules_that_count_items_are_named_where_a_source_tells_of_none(rule, when, named):
    """Unless the rule takes no orders of that source; with what to write instead."""
    policy = policy_of(rule | {"when": rule.get("when", {}) | when})
    sentences = silence.without_products(policy, ["shopify", "stripe"])

    assert [] == silence.without_products(policy, ["standard", "shopify", "woocommerce"])
    assert (named is not None) == bool(sentences)
    for sentence in sentences:
        assert sentence.startswith(named)
        assert "not_sources: [stripe]" in sentence


@in_virtual_time
async def test_c4_what_is_held_is_told_by_reason(new_world):
    """With what to do; an order that was bought for is not told."""
    world = new_world(policy=policy_of(GIVING))
    async with world.run() as run:
        for number, currency in enumerate(("HUF", "HUF", "USD", "PLN"), start=1):
            await shopify_paid(run, number, currency=currency)
        await taken_up(world, run)
        measured = await silence.measure(run.ledger, run.clock.now())

    mend = "add it to fx.usd_per in the policy"
    assert [
        Reason(f"no rate for HUF: {mend}", None, 2),
        Reason(f"no rate for PLN: {mend}", None, 1),
    ] == measured.held.first


@in_virtual_time
async def test_c17_imported_orders_are_told_by_one_reason(new_world):
    """However old each of them is, and though they were sold long before the days that are looked at."""
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:
        for number in range(1, 13):
            await shopify_paid(run, number, created_at=f"2019-{number:02}-05T11:00:00Z")
        await taken_up(world, run)
        measured = await silence.measure(run.ledger, run.clock.now())

    reason = "sold more than 60 days (at_most_days_old) before a webhook reported it"
    assert [Reason(reason, None, 12)] == measured.unearned.first


def test_status_says_nothing_where_nothing_happened(status):
    """Lists are empty, and no table is printed."""
    code, printed = status(lambda _: asyncio.sleep(0), "--json")
    shown = status(lambda _: asyncio.sleep(0))[1]
    fields = json.loads(printed)

    assert (0, [], 0) == (code, fields["held"]["reasons"], fields["held"]["others"])
    assert ([], 0) == (fields["not_earned"]["reasons"], fields["not_earned"]["others"])
    assert [] == fields["refused_deliveries"]
    assert not any(word in shown for word in ("Held", "Not earned", "refused"))
