"""``impactflow caps``: how much of each cap is used, what waits, and when there is room again."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from world import TREES, policy_of, sold

from impactflow.cli.capping import show_caps

POLICY = """\
store: acme
time_zone: Europe/Berlin
caps: {caps}
rules:
- {{slot: trees, provider: oneclickimpact, impact: plant_trees, quantity: {{per_order: 1}}, price_usd: 0.8}}
"""
CAPS = [{"per": "month", "slot": "trees", "quantity": 2}, {"per": "day", "usd": 40}]


class Stopped:
    """A clock that stands still, some hours after the purchases."""

    def now(self):
        return datetime(2026, 3, 2, 16, tzinfo=UTC)


@pytest.fixture
def shop(terminal):
    """A shop that has sold three trees on 2 March and may buy two in a month."""

    async def three(world, run):
        await world.plan(run)
        await world.place_all(run)

    orders = [sold(number) for number in (1, 2, 3)]
    policy = policy_of(TREES | {"price_usd": Decimal("0.8")}, time_zone="Europe/Berlin", caps=CAPS)
    terminal.fill(three, orders=orders, policy=policy)
    (terminal.folder / "policy.yaml").write_text(POLICY.format(caps=json.dumps(CAPS)))
    return terminal


def test_a_program_reads_numbers_in_the_unit_of_each_cap(shop, capsys):
    """With the bounds of the present period, in UTC, and the time at which it is full at the present pace."""
    show_caps(None, Stopped(), as_json=True)
    month, day = json.loads(capsys.readouterr().out)["caps"]
    assert month == {
        "cap": "2 trees a month in slot trees",
        "used": "2",
        "most": "2",
        "unit": "tree",
        "since": "2026-02-28T23:00:00+00:00",
        "until": "2026-03-31T22:00:00+00:00",
        "waiting": 1,
        "full_at": None,
    }
    assert ("1.6", "40", "usd", 0, None) == tuple(day[name] for name in ("used", "most", "unit", "waiting", "full_at"))


def test_a_person_reads_per_cents(shop, capsys):
    """Rounded down: what is not all used is not 100 %."""
    show_caps(None, Stopped(), as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert any("2 trees a month in slot trees" in line and "100 %" in line and " 1 " in line for line in lines)
    assert any("40 USD a day" in line and " 4 %" in line for line in lines)


def test_a_policy_without_caps_has_none_to_show(shop):
    """The command says so."""
    (shop.folder / "policy.yaml").write_text(POLICY.format(caps="[]"))
    ended = shop.type("caps")
    assert (0, True) == (ended.status, "The policy has no caps." in ended.out)
    assert [] == shop.type("caps", "--json").json["caps"]


def test_status_says_why_it_does_not_know_what_waits(shop):
    """Without a policy that can be read."""
    (shop.folder / "policy.yaml").write_text("rules: none")
    ended = shop.type("status")
    assert "What planned placements wait for is not known without the policy: " in ended.out
    assert "policy.yaml" in ended.out
