"""The proof with real processes: several workers on one ledger and a database that is stopped hard; and it can fail."""

import asyncio
from contextlib import closing, nullcontext

import psycopg
import pytest
from processes import order

from impactflow.proof import processes
from impactflow.proof.bookkeeping import differences, earned
from impactflow.proof.experiment import Counts, Experiment
from impactflow.proof.forkserver import ForkServer
from impactflow.proof.postgres import PostgresServer

#: Enough for some kills and stops on a machine that is busy, in seconds; with 30 nobody was hit there.
BUDGET_S = 65.0
#: A worker with a bug: it buys again whatever is in doubt, without a look at what the provider's records say.
BUG = """\
from impactflow.buying import reconcile
from impactflow.providers import Absent
reconcile.Evidence.verdict = lambda *_, **__: Absent()
"""


@pytest.mark.timeout(480)
def test_the_promise_holds_whoever_is_killed():
    """Workers in the midst of buying, and Postgres; on both databases, with both kinds of metadata."""
    lines: list[str] = []
    proof = processes.run(BUDGET_S, 1, lines.append)
    print(f"\n{proof}")  # noqa: T201 - with -s, and where the test fails
    assert proof.left_out is None
    assert set(proof.experiments) == {(base, mode) for base in ("SQLite", "Postgres") for mode in ("echo", "ignored")}
    for counts in proof.experiments.values():
        assert (counts.violations, counts.undone, counts.tracebacks) == (0, 0, 0)
        assert counts.purchases == counts.earned > 0
    assert 0 < proof.total.endangered < proof.total.purchases
    assert proof.total.kills_in_flight > 0
    assert proof.database_stops > 0
    assert lines


def test_without_postgres_the_result_says_so(monkeypatch, server):
    """And the rest is tried; here without the time for a kill, and on the session's Prefect server."""
    monkeypatch.setattr(processes, "is_installed", lambda: False)
    monkeypatch.setattr(processes, "prefect_server", lambda _: nullcontext(server))
    proof = processes.run(0.0, 1, lambda _: None)
    assert "Postgres" in proof.left_out
    assert {base for base, _ in proof.experiments} == {"SQLite"}


def test_a_bug_is_noticed(tmp_path, monkeypatch, server):
    """Whoever buys again what is in doubt buys twice, where no second look at the records tells whose they are."""
    (tmp_path / "sitecustomize.py").write_text(BUG)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with ForkServer(tmp_path, server.api_url) as starter:
        experiment = Experiment(tmp_path / "work", "ignored", f"sqlite:///{tmp_path / 'ledger.db'}", starter, "bug")
        asyncio.run(experiment.conduct([0.0, 0.0], lambda: experiment.kills >= 3))
    counts = experiment.counts()
    assert counts.duplicates > 0
    assert counts.unrecorded > 0
    assert counts.violations > counts.duplicates
    assert 0 < counts.endangered < counts.purchases


def test_a_database_that_was_stopped_hard_has_what_was_committed():
    """And takes connections again, on the same port."""
    with closing(PostgresServer()) as server:
        url = server.new_database()
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept (number int)")
            connection.commit()
            connection.execute("INSERT INTO kept VALUES (1)")
            connection.commit()
            connection.execute("INSERT INTO kept VALUES (2)")
            server.crash()
            with pytest.raises(psycopg.OperationalError):
                connection.commit()
        server.start()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT number FROM kept").fetchall() == [(1,)]


def test_every_difference_is_told():
    """Bought twice, not bought, not earned, of a wrong amount."""
    orders = [order(number, currency=None, products=None) for number in range(1, 4)]
    bought = [("WR-1", 1), ("WR-1", 1), ("WR-3", 2), ("WR-9", 1)]
    books = [{"order_id": name, "provider": "oneclickimpact", "quantity": quantity} for name, quantity in bought]
    assert differences(earned(orders), books) == {
        "twice": [("WR-1", "oneclickimpact")],
        "lost": [("WR-2", "oneclickimpact")],
        "unasked": [("WR-9", "oneclickimpact")],
        "wrong": [("WR-3", "oneclickimpact")],
    }


def test_counts_add_up():
    """Each by itself; the violations are a sum of six."""
    broken = dict.fromkeys(("duplicates", "losses", "wrong_amounts", "unasked", "unrecorded", "unfounded"), 1)
    assert (Counts(kills=2) + Counts(kills=3, **broken)).kills == 5
    assert (Counts(**broken) + Counts(**broken)).violations == 12
