"""The usual alternatives go through the harness, and it tells who buys twice from who does not."""

import os
from dataclasses import replace

import pytest

from benchmarks.baselines.harness import MARK_AND_RETRY, OURS, Row, measure

ORDERS, SEED = 10, 1
ROW = Row("somebody", orders=100, faults=290, kills=10, duplicates=3, losses=0)


async def test_mark_and_retry_buys_twice_where_answers_are_lost():
    """An order whose answer was lost is marked as failed, and tried again although it was bought."""
    row = await measure(MARK_AND_RETRY, ORDERS, SEED, os.environ)
    assert row.faults > 0
    assert row.kills > 0
    assert row.duplicates > 0
    assert row.losses == 0


async def test_impactflow_buys_each_order_once_in_the_same_harness(server):
    """With the same faults and at least one kill."""
    row = await measure(OURS, ORDERS, SEED, {**os.environ, "PREFECT_API_URL": server.api_url})
    assert row.faults > 0
    assert row.kills > 0
    assert (row.duplicates, row.losses) == (0, 0)


async def test_who_is_never_done_is_an_error_and_no_result(monkeypatch):
    """The end of what it printed says why."""
    monkeypatch.setattr("benchmarks.baselines.harness._LONGEST_S", 2.0)
    monkeypatch.setattr("benchmarks.baselines.harness._LONGEST_PER_ORDER_S", 0.0)
    with pytest.raises(RuntimeError, match=r"broken was not done in 2 s; [\s\S]*No module named no_such_module"):
        await measure(replace(MARK_AND_RETRY, name="broken", command=("no_such_module",)), 1, SEED, os.environ)


def test_rates_are_for_a_thousand_faults_and_kills():
    """A count of 0 says which rate it rules out: about three in so many trials."""
    assert ROW.per_1000(ROW.duplicates) == 10
    assert ROW.bound_per_1000 == pytest.approx(1000 * 3 / 300, rel=0.01)
    shown = ROW.as_json()
    assert shown["duplicates_per_1000_below"] is None
    assert shown["losses_per_1000_below"] == ROW.bound_per_1000
