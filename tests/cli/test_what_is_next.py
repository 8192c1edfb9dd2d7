"""Where a command leaves something to do, it names a command that works for this shop."""

from dataclasses import replace

import pytest
from webhook_senders import shopify_paid, shopify_refund, taken_up
from world import TREES, policy_of

from impactflow.cli import placed
from impactflow.ledger import Planned
from impactflow.reports.files import Reported
from impactflow.reports.summary import LedgerState, Outcome

POLICY = """\
store: acme
rules:
- {slot: trees, provider: oneclickimpact, impact: plant_trees, quantity: {per_order: 1}}
"""

#: A run that read no orders and changed nothing.
NOTHING = Outcome(
    None, LedgerState({}, {}), {}, requests=0, duration_s=0.1, report=Reported("reports/events.csv", None, ())
)


async def one_delivery(world, run):
    await shopify_paid(run, 1)


async def planned(world, run):
    await shopify_paid(run, 1)
    await taken_up(world, run)


@pytest.mark.parametrize("command", [("status",), ("show", "1001")])
def test_b2_a_shop_without_wicked_reports_is_told_of_the_command_that_reads_its_webhooks(terminal, command):
    """Plain ``place`` would need the key of Wicked Reports, and is named only where there is one."""
    terminal.fill(one_delivery)
    assert "`impactflow place --webhooks` reads what waits" in terminal.type(*command).out
    terminal.set(WICKED_REPORTS_API_KEY="key")
    assert "`impactflow place` reads what waits" in terminal.type(*command).out


def test_b2_a_missing_key_of_wicked_reports_names_what_needs_none(terminal):
    """Files and webhooks."""
    (terminal.folder / "policy.yaml").write_text(POLICY)
    ended = terminal.type("place")
    assert (ended.status, "WICKED_REPORTS_API_KEY is not set" in ended.err) == (2, True)
    assert "`impactflow place --orders FILE`" in ended.err
    assert "`impactflow place --webhooks`" in ended.err


def test_b2_what_must_be_read_again_names_a_way_that_the_shop_has(terminal):
    """A sale that webhooks told of is told again by its sender, or is in a file."""
    terminal.fill(planned, policy=policy_of(TREES))
    (terminal.folder / "policy.yaml").write_text(POLICY)
    shown = " ".join(terminal.type("status").out.split())
    assert "1 planned placement waits to be read again: `impactflow place --orders FILE` with these orders" in shown
    assert "`impactflow place --webhooks`, by which they come to await approval" in shown


def test_status_says_why_its_exit_status_is_1_and_what_goes_on_with_what_is_planned(terminal):
    """Without a policy nobody can say what is to be read again; what is planned is named all the same."""
    terminal.fill(planned, policy=policy_of(TREES))
    shown = terminal.type("status")
    assert (shown.status, "the exit status is 1" in shown.out) == (1, True)
    assert "1 planned placement still to be bought: `impactflow place --webhooks` goes on with that." in shown.out


def test_a_run_says_how_many_deliveries_were_tests(terminal, capsys):
    """Whoever has just sent some wants to see them arrive; what could not be read is counted apart."""
    processed = []

    async def some(world, run):
        await shopify_paid(run, 1)
        await shopify_paid(run, 2, test=True)
        await shopify_paid(run, 3, webhook_id="impactflow-test-3")
        await shopify_paid(run, 4, total_price="a lot")
        await shopify_refund(run, 5)
        processed.append(await taken_up(world, run))

    terminal.fill(some, policy=policy_of(TREES))
    assert [(5, 2)] == [(each.deliveries, each.tests) for each in processed]
    placed.show(replace(NOTHING, webhooks=processed[0]))
    assert (
        "5 webhook deliveries read: 1 of orders that were sold, 1 of refunds, 1 unreadable, 2 tests, which buy nothing."
    ) in capsys.readouterr().out


def test_one_is_said_in_the_singular_and_an_unreadable_order_beside_those_that_were_read(capsys):
    """On the line of the orders."""
    unreadable = LedgerState({}, {}, broken=1)
    placed.show(replace(NOTHING, planned=Planned(read=1, broken=1), ledger=unreadable, requests=1))
    text = capsys.readouterr().out
    assert "1 order read, 0 new, 0 count, 1 could not be read." in text
    assert "1 order could not be read; `impactflow status` lists it." in text
    assert "1 request in" in text
