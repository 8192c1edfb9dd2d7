"""The month of a made-up merchant: every figure on its page is the books', and a difference would be noticed."""

import json
from dataclasses import replace
from fractions import Fraction

import pytest

from impactflow import stopping
from impactflow.ledger import Ledger
from impactflow.proof import month as played


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """The month, played once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("month"))
        played.FOLDER.mkdir()
        yield stopping.run(played._play())


def test_every_figure_equals_the_books(seen):
    """Purchase by purchase, week by week, and in sum."""
    assert [] == seen.differences
    assert 1_000 < len(seen.bought) + sum(week["orders"] for week in seen.weeks)
    for slot, balance in seen.balances.items():
        assert balance.holds
        assert balance.bought == seen.sum_of(slot, seen.bought, cancelled=False)
        assert balance.bought == sum(week[slot] for week in seen.weeks)
    assert Fraction(0) < seen.balances["trees"].waiting["pool"] < 1


@pytest.mark.parametrize("changed", ["quantity", "cancelled", "lost", "twice"])
def test_a_figure_that_differs_is_noticed(seen, changed):
    """Whatever the books say instead."""
    first, *others = seen.bought
    books = {
        "quantity": [first | {"quantity": first["quantity"] + 1}, *others],
        "cancelled": [first | {"cancelled": not first["cancelled"]}, *others],
        "lost": others,
        "twice": [first, first, *others],
    }
    assert replace(seen, bought=books[changed]).differences


def test_the_page_tells_of_all_that_may_happen(seen):
    """A hold, a cap, credit, a cancellation, a refund of a part; each with an order to look at."""
    text = played.page(seen)
    assert "Every figure equals the sellers' books." in text
    told = " ".join(seen.stories)
    for what in ("within the hold", "cap was reached", "covered by", "seller cancelled", "in part", "credit"):
        assert what in told
    with Ledger.open(f"sqlite:///{played.FOLDER.resolve()}/impactflow.db") as ledger:
        for order in seen.stories.values():
            assert f"`impactflow show {order}`" in text
            assert stopping.run(ledger.story(order)) is not None


def test_the_command_ends_with_one_if_a_figure_differs(seen, monkeypatch, capsys):
    """And says which."""

    async def play():
        return replace(seen, bought=seen.bought[1:])

    monkeypatch.setattr(played, "_play", play)
    monkeypatch.chdir(played.FOLDER.resolve())
    assert 1 == played.run_month(as_json=True)
    answer = json.loads(capsys.readouterr().out)
    assert not answer["ok"]
    assert answer["differences"]
