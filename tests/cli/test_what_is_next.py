"""Where a command leaves something to do, it names a command that works for this shop."""

import pytest
from webhook_senders import shopify_paid, taken_up
from world import TREES, policy_of

POLICY = """\
store: acme
rules:
- {slot: trees, provider: oneclickimpact, impact: plant_trees, quantity: {per_order: 1}}
"""


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
    assert "`impactflow place --webhooks` once their sender has told of them again" in shown


def test_status_says_why_its_exit_status_is_1_and_what_goes_on_with_what_is_planned(terminal):
    """Without a policy nobody can say what is to be read again; what is planned is named all the same."""
    terminal.fill(planned, policy=policy_of(TREES))
    shown = terminal.type("status")
    assert (shown.status, "the exit status is 1" in shown.out) == (1, True)
    assert "1 planned placement still to be bought: `impactflow place --webhooks` goes on with that." in shown.out
