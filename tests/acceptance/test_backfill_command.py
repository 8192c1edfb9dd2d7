"""``impactflow backfill`` as a person types it: killed in the midst of its second window, it goes on there."""

import time
from datetime import date

import pytest
from processes import order, sandbox_thread

from impactflow.proof.bookkeeping import NONE, differences, earned, in_books, in_ledger

RANGE = ("backfill", "--from", "2024-03-01", "--to", "2024-03-20", "--window-days", "10")
TIMES = {"IMPACTFLOW_LEASE_S": "2", "IMPACTFLOW_REQUEST_TIMEOUT_S": "0.9", "IMPACTFLOW_SETTLE_S": "3"}
#: Of each window.
ORDERS = 20


@pytest.fixture(scope="module")
def after_a_kill(tmp_path_factory, command_line):
    """The sandbox, the command line, the run after a kill, and what further commands said."""
    folder = tmp_path_factory.mktemp("backfill")
    days = [date(2024, 3, day) for day in (3, 13) for _ in range(ORDERS)]
    orders = [order(number, date=f"{day}T10:00:00Z") for number, day in enumerate(days, 1)]
    with sandbox_thread(orders, latency_s=0.15) as sandbox:
        impactflow = command_line(folder, sandbox).but(**TIMES, IMPACTFLOW_CONCURRENCY="4")
        killed = impactflow.start(*RANGE)
        until = time.monotonic() + 90
        while len(sandbox.books.as_json()["purchases"]) < 3 * ORDERS + 10:
            assert killed.poll() is None, killed.communicate()
            assert time.monotonic() < until
            time.sleep(0.02)
        killed.kill()
        killed.communicate()
        runs = [impactflow.run(*RANGE, "--json"), impactflow.run(*RANGE)]
        yield sandbox, impactflow, runs


def test_a_killed_backfill_goes_on_in_the_window_it_had_come_to(after_a_kill):
    """What the killed run had finished is not read again."""
    output = after_a_kill[2][0].json
    assert (output["orders"], output["backfill"]["windows"]) == (
        {"read": ORDERS, "new": 0, "eligible": ORDERS, "broken": 0, "may_be_missing": 0},
        1,
    )
    assert (output["undone"], output["backfill"]["left_from"], after_a_kill[2][0].status) == (False, None, 0)


def test_a_killed_backfill_buys_everything_once(after_a_kill):
    """As the orders have earned, and as the ledger says."""
    sandbox, impactflow, _ = after_a_kill
    purchases = sandbox.purchases()
    assert differences(earned(sandbox.shop.orders), purchases) == NONE
    assert in_books(purchases) == in_ledger(impactflow.ledger_url)


def test_a_range_that_is_done_is_not_read_again_and_says_so(after_a_kill):
    """And how to have it read again."""
    again = after_a_kill[2][1]
    assert again.status == 0, again.err
    assert "planned to its end before" in again.out
    assert "impactflow place --from 2024-03-01 --to 2024-03-20" in again.out


def test_days_to_come_are_refused_at_once(after_a_kill):
    """Before a server is asked."""
    ended = (
        after_a_kill[1].but(PREFECT_API_URL="http://127.0.0.1:9/api").run(*RANGE[:3], "--to", "2999-01-01", "--json")
    )
    assert ended.status == 2
    assert "a backfill is of the past" in ended.json["error"]
