"""Two processes place the same orders at the same time, on one ledger, while answers get lost."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from processes import sandbox_thread

from impactflow.proof.bookkeeping import NONE, differences, earned, in_books, in_ledger
from impactflow.proof.experiment import FAULTS
from impactflow.sandbox import Faults, generate_orders
from impactflow.sandbox.orders import CONVERTIBLE_CURRENCIES


@pytest.fixture
def after_two_at_once(tmp_path, command_line, ledger_url):
    """The sandbox and the command line, once two runs that began together and whatever was left have ended."""
    orders = generate_orders(80, 3, datetime.now(UTC), currencies=CONVERTIBLE_CURRENCIES)
    options = {"seed": 3, "faults": Faults.parse(FAULTS), "latency_s": 0.08, "metadata": "ignored"}
    with sandbox_thread(orders, **options) as sandbox:
        impactflow = command_line(tmp_path, sandbox).but(IMPACTFLOW_LEDGER_URL=ledger_url)
        with ThreadPoolExecutor(2) as both:
            runs = list(both.map(lambda _: impactflow.run("place", "--json"), range(2)))
        if any(run.status for run in runs):
            runs.append(impactflow.run("place", "--json"))
        yield sandbox, impactflow, runs


def test_two_processes_buy_everything_once(after_two_at_once):
    """Whichever of them claims a placement, it is bought once, and recorded; in the end nothing is left undone."""
    sandbox, impactflow, runs = after_two_at_once
    purchases = sandbox.purchases()
    assert differences(earned(sandbox.shop.orders), purchases) == NONE
    assert in_books(purchases) == in_ledger(impactflow.ledger_url)
    assert (runs[-1].status, [run.says_traceback for run in runs]) == (0, [False] * len(runs))
