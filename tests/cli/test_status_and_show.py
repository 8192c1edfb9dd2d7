"""``status`` and ``show`` answer what people ask: what waits and why, what was spent, what an order said."""

from webhook_senders import shopify_paid, shopify_refund, taken_up
from world import GIVING, TREES, policy_of, sold

GONE = GIVING | {"campaign": "a-reef-that-is-gone"}


async def one_delivery(world, run):
    await shopify_paid(run, 1)


def test_n15_a_delivery_that_waits_is_shown_and_left_undone(terminal):
    """With how many of whom, and what reads it; the exit status says that something is left."""
    terminal.fill(one_delivery)
    result, shown = terminal.type("status", "--json"), terminal.type("status")
    [waiting] = result.json["waiting_deliveries"]
    assert (result.status, result.json["undone"], shown.status) == (1, True, 1)
    assert (waiting["store"], waiting["source"], waiting["count"]) == ("acme", "shopify", 1)
    assert "1 webhook delivery waits to be read (1 of shopify for acme), since 2026-03-02 12:00 UTC" in shown.out
    assert "`impactflow place`" in shown.out


def test_n15_show_knows_an_order_of_which_only_a_delivery_that_waits_tells(terminal):
    """By any of its names, with or without what stands before them."""
    terminal.fill(one_delivery)
    for name in ("1001", "shopify:1001", "src:shopify:5000000000001"):
        shown = terminal.type("show", name)
        assert (shown.status, "waits to be read" in shown.out) == (0, True)
    [waiting] = terminal.type("show", "1001", "--json").json["waiting_deliveries"]
    assert waiting["topic"] == "orders/paid"
    assert terminal.type("show", "1002").status == 2


def test_n15_show_tells_of_a_known_order_that_a_refund_waits(terminal):
    """What the delivery says is not read into the story before a run does that."""

    async def refund_waits(world, run):
        await shopify_paid(run, 1)
        await taken_up(world, run)
        await shopify_refund(run, 1)

    terminal.fill(refund_waits)
    shown = terminal.type("show", "shopify:1001")
    assert "(refunds/create, received 2026-03-02 12:00:00 UTC)" in shown.out
    assert "earned nothing" not in shown.out


def test_n13_what_failed_for_one_reason_is_one_line_with_how_often_and_the_first_order(terminal):
    """In a window of 80 columns no word is broken, and what to do is said once."""

    async def refused(world, run):
        await world.plan(run)
        await world.place_all(run)

    terminal.fill(refused, policy=policy_of(GONE, TREES), orders=[sold(number) for number in range(1, 61)])
    terminal.narrow(80)
    shown, output = terminal.type("status"), terminal.type("status", "--json").json
    [need] = output["needs"]
    assert (need["status"], need["count"], need["order"]) == ("failed", 60, "WR-1")
    assert "60 failed at impactapi, slot giving, first order WR-1: " in " ".join(shown.out.split())
    assert shown.out.count("a-reef-that-is-gone") <= 2
    assert max(map(len, shown.out.splitlines())) <= 80
    assert " ".join(shown.out.split()).count("impactflow settle ORDER SLOT --as not-bought") == 1
    assert need["reason"] in " ".join(shown.out.split())


def test_n13_other_reasons_are_counted(terminal):
    """The ten most frequent ones are told, the rest is a number."""

    async def held(world, run):
        for number in range(1, 13):
            currency = "X" + chr(ord("A") + number) + "X"
            await shopify_paid(run, number, currency=currency)
        await taken_up(world, run)

    terminal.fill(held, policy=policy_of(GIVING))
    shown, output = terminal.type("status"), terminal.type("status", "--json").json
    assert (len(output["needs"]), len(output["needs_attention"])) == (10, 12)
    assert "and 2 more for other reasons" in shown.out
    assert shown.status == 1


def test_n7_totals_say_what_was_bought_in_all_and_for_how_much(terminal):
    """In the units that people read; with --json as numbers of the same."""

    async def bought(world, run):
        await world.plan(run)
        await world.place_all(run)

    terminal.fill(bought, policy=policy_of(GIVING, TREES), orders=[sold(number) for number in range(1, 4)])
    shown, output = terminal.type("status", "--totals"), terminal.type("status", "--totals", "--json").json
    rows = {row["slot"]: row for row in output["totals"]}
    assert (rows["trees"]["placements"], rows["trees"]["amount"], rows["trees"]["unit"]) == (3, "3", "trees")
    assert (rows["giving"]["amount"], rows["giving"]["price_usd"]) == ("2.4", "2.4")
    assert "Bought in all" in shown.out
    terminal.narrow(50)
    narrow = terminal.type("status", "--totals").out
    assert "slot giving, provider impactapi, impact donate, placements 3" in " ".join(narrow.split())
    assert "totals" not in terminal.type("status", "--json").json


def test_n19_show_tells_what_the_order_said(terminal):
    """Amount, currency, items and payments, beside what was bought in the unit that people read."""

    async def bought(world, run):
        await world.plan(run)

    terminal.fill(bought, policy=policy_of(GIVING), orders=[sold(1)])
    shown, order = terminal.type("show", "WR-1"), terminal.type("show", "WR-1", "--json").json
    assert "80 USD, 2 items, payments: APPROVED" in shown.out
    assert "0.8 USD (donate) from impactapi" in shown.out
    assert "80 usd_cent" not in shown.out
    assert "nothing -> planned                0.8 USD" in shown.out
    assert (order["amount"], order["currency"], order["items"], order["payments"]) == ("80", "USD", "2", ["APPROVED"])


def test_a_name_is_found_without_its_systems_prefix_unless_two_orders_go_by_it(terminal):
    """``show A-1`` finds ``file:A-1``; where that could be two, a person is asked which."""

    async def planned(world, run):
        await shopify_paid(run, 1)
        await taken_up(world, run)

    terminal.fill(planned)
    assert "5000000000001" in terminal.type("show", "5000000000001").out
    assert terminal.type("show", "0000000000001").status == 2


def test_a_refund_after_the_purchase_is_told_as_that(terminal):
    """Its slot has earned what was bought, and would earn nothing any more."""

    async def refunded(world, run):
        await shopify_paid(run, 1)
        await taken_up(world, run)
        await world.place_all(run)
        await shopify_refund(run, 1)
        await shopify_paid(run, 1, webhook_id="again", financial_status="refunded", updated_at="2026-03-02T11:59:00Z")
        await taken_up(world, run)

    terminal.fill(refunded, policy=policy_of(TREES))
    shown = terminal.type("show", "shopify:1001").out
    assert "earns nothing any more" in shown
    assert "earned nothing" not in shown


def test_what_status_lists_as_unreadable_show_finds_by_the_same_names(terminal):
    """With the prefix of its system, and without."""

    async def unreadable(world, run):
        await shopify_paid(run, 1, total_price="a lot")
        await taken_up(world, run)

    terminal.fill(unreadable)
    assert "shopify:5000000000001: orders/paid: field total_price" in terminal.type("status").out
    for name in ("shopify:5000000000001", "5000000000001"):
        shown = terminal.type("show", name)
        assert (shown.status, "Order shopify:5000000000001 could not be read" in shown.out) == (0, True)


def test_a_number_sign_that_was_left_out_is_asked_about(terminal):
    """Only where an order of the other name is there."""

    async def planned(world, run):
        await world.plan(run)

    terminal.fill(planned, orders=[sold(1, sourceId="#2001"), sold(2, sourceId="2002")])
    asked, other, unknown = (terminal.type("show", name) for name in ("2001", "#2002", "2003"))
    assert (asked.status, "did you mean '#2001'?" in " ".join(asked.err.split())) == (2, True)
    assert "did you mean '2002'?" in " ".join(other.err.split())
    assert "did you mean" not in unknown.err


def test_show_tells_the_price_and_counts_one_in_the_singular(terminal):
    """Where a seller tells it."""

    async def bought(world, run):
        await world.plan(run)
        await world.place_all(run)

    terminal.fill(bought, policy=policy_of(TREES, GIVING), orders=[sold(1, amount=100)])
    shown = terminal.type("show", "WR-1").out
    assert "1 tree (plant_trees) from oneclickimpact" in shown
    assert "1 USD (donate) from impactapi" in shown
    assert shown.count("  price: 1 USD") == 1
    assert "1 trees" not in shown
