"""Orders that lack what they may lack, and one that is broken: the others are bought, and what is mended is too."""

import pytest
from processes import order, sandbox_thread

from impactflow.proof.bookkeeping import NONE, differences, earned

#: Each lacks one field: what it cannot earn for that it does not earn, and everything else it does.
LACKING = [
    order(1, amount=None),
    order(2, currency=None),
    order(3, products=None),
    order(4, payments=None),
    order(5, contact=None),
    order(6, sourceSystem=None),
]


@pytest.fixture(scope="module")
def days(tmp_path_factory, command_line):
    """Two runs: one meets orders that lack something, a broken one and one without a rate; then both are mended."""
    folder = tmp_path_factory.mktemp("odd")
    broken = order(7, date="some day")
    with sandbox_thread([*LACKING, broken, order(8, currency="SEK")]) as sandbox:
        impactflow = command_line(folder, sandbox)
        first = impactflow.run("place", "--json")
        between = impactflow.run("status", "--json"), impactflow.run("show", "WR-7"), sandbox.purchases()
        sandbox.shop.orders[-2:] = [order(7), order(8)]
        yield sandbox, impactflow, first, between, impactflow.run("place", "--json")


def test_what_an_order_lacks_does_not_stop_it_from_earning_the_rest(days):
    """All that was earned is bought although one order is broken; for the one without a rate, what needs none."""
    first, (_, _, purchases) = days[2], days[3]
    waits = {(purchase["order_id"], purchase["provider"]): purchase["quantity"] for purchase in purchases}
    expected = earned(LACKING) | {("WR-8", "oneclickimpact"): 1, ("WR-8", "cnaught"): 5_000}
    assert waits == expected
    read = {"read": 8, "new": 7, "eligible": 6, "broken": 1, "may_be_missing": 0}
    assert (first.json["orders"], first.json["placements"]["held"]) == (read, 1)


def test_a_broken_order_is_listed_and_the_exit_status_is_1(days):
    """With its id and the field, never its content."""
    first, (status, shown, _) = days[2], days[3]
    assert (first.status, first.json["broken_orders"], first.says_traceback) == (1, 1, False)
    assert status.status == 1
    assert [row["name"] for row in status.json["broken_orders"]] == ["WR-7"]
    assert "date" in status.json["broken_orders"][0]["problem"]
    assert [row["order_id"] for row in status.json["needs_attention"]] == ["WR-8"]
    assert "fx.usd_per" in status.json["needs_attention"][0]["reason"]
    assert "could not be read" in shown.out
    assert "customer7" not in first.out + status.out + shown.out


def test_reasons_are_told_with_how_often_each_stands(days):
    """Why something is held, and why something was not earned."""
    status = days[3][0]
    [held] = status.json["held"]["reasons"]
    assert (held["count"], "no rate for SEK" in held["reason"]) == (1, True)
    counts = {(each["slot"], each["reason"]): each["count"] for each in status.json["not_earned"]["reasons"]}
    assert counts["offset", "the order lists no products"] == 1
    assert counts[None, "the order lists no payments"] == 1
    assert status.json["not_earned"]["others"] == 0


def test_what_is_mended_is_bought_by_the_next_run(days):
    """Once, and the exit status is 0 again."""
    sandbox, impactflow, _, _, second = days
    assert second.status == 0
    assert differences(earned(sandbox.shop.orders), sandbox.purchases()) == NONE
    assert impactflow.run("status", "--json").json["broken_orders"] == []
