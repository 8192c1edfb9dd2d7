"""A backfill as a flow: dry, under a cap, to its end; what a person and an automation are shown of it."""

import asyncio
import csv
import json
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from flow_runs import ROOT, WITH_PARAMETERS
from processes import Impactflow, order, sandbox_thread

from impactflow.intake.planning import SOURCE
from impactflow.ledger import Ledger
from impactflow.proof.bookkeeping import NONE, differences, earned, in_books, in_ledger
from impactflow.proof.programs import base_environment

MARCH = {"from_day": "2024-03-01", "to_day": "2024-03-31", "window_days": 10, "patience_s": 0}
STORE = "backfilled"


@pytest.fixture(scope="module")
def done(server, tmp_path_factory):
    """Eight orders of March, one of which cannot be converted: a dry run, then runs that plan at most eleven."""
    folder = tmp_path_factory.mktemp("backfilling")
    policy, ledger_url = folder / "policy.yaml", f"sqlite:///{folder / 'impactflow.db'}"
    policy.write_text((ROOT / "policy.yaml").read_text().replace("store: acme", f"store: {STORE}"))
    own = {
        "PREFECT_API_URL": server.api_url,
        "IMPACTFLOW_LEDGER_URL": ledger_url,
        "IMPACTFLOW_POLICY": str(policy),
        "IMPACTFLOW_REPORTS": str(folder / "reports"),
    }
    orders = [order(number, date=f"2024-03-{4 * number - 3:02}T10:00:00Z") for number in range(1, 9)]
    orders[4] |= {"currency": "SEK"}
    began = datetime.now(UTC)
    with sandbox_thread(orders, speed=1e7) as sandbox:
        ended = Impactflow(ROOT, {**base_environment(folder), **sandbox.variables, **own}).python(
            WITH_PARAMETERS,
            json.dumps(
                [
                    ["backfill_orders", {**MARCH, "dry_run": True, "at_most": 11}],
                    ["backfill_orders", {**MARCH, "at_most": 11}],
                    ["backfill_orders", {**MARCH, "at_most": 11}],
                    ["backfill_orders", {**MARCH, "at_most": 11}],
                    ["backfill_orders", {**MARCH, "from_day": "2024-04-01"}],
                    ["track_placements", {"wait_s": 5}],
                    ["reconcile_providers", {"patience_s": 0}],
                ]
            ),
        )
        assert ended.status == 0, ended.err
        outputs = json.loads(ended.out.splitlines()[-1])
        with Ledger.open(ledger_url) as ledger:
            watermark = asyncio.run(ledger.watermark(STORE, SOURCE))
        yield SimpleNamespace(
            began=began,
            outputs=outputs,
            folder=folder,
            ledger_url=ledger_url,
            orders=orders,
            sandbox=sandbox,
            watermark=watermark,
        )


@pytest.fixture(scope="module")
def runs(api, done):
    """The flow runs by name, the first of each."""
    found = api.filter("flow_runs", sort="START_TIME_DESC", flow_runs={"name": {"like_": STORE}})
    return {run["name"]: run for run in found}


@pytest.fixture(scope="module")
def artifacts(api, done, runs):
    """The artifacts of those runs by flow run's name and key, the latest of each."""
    by_id = {run["id"]: run["name"] for run in api.filter("flow_runs", flow_runs={"name": {"like_": STORE}})}
    found = reversed(api.filter("artifacts", sort="CREATED_DESC"))
    return {(by_id[each["flow_run_id"]], each["key"]): each for each in found if each["flow_run_id"] in by_id}


@pytest.fixture(scope="module")
def events(api, done, runs):
    """The events about this store, in the order in which they happened, once those of all its runs have come."""
    wanted = {"event": {"prefix": ["impactflow."]}, "resource": {"id": [f"impactflow.store.{STORE}"]}}
    wanted["occurred"] = {"since": done.began.isoformat()}
    until = time.monotonic() + 30
    while True:
        found = api.events(**wanted)
        if any(_waits_since(runs, each) for each in found):
            return found
        assert time.monotonic() < until, found
        time.sleep(0.2)


def _waits_since(runs, event):
    """Whether it is what the run that reconciles said of what waits."""
    run = f"prefect.flow-run.{runs[f'reconcile {STORE}']['id']}"
    return event["event"].endswith(".waiting") and run in {each["prefect.resource.id"] for each in event["related"]}


def test_a_dry_run_says_what_each_window_would_buy(done):
    """Up to the cap, and where it would stop; a window's orders, placements and what would be held."""
    output = done.outputs[0]
    windows = [
        (each["from"], each["to"], each["orders"]["read"], each["would_place"], each["would_hold"])
        for each in output["windows"]
    ]
    assert windows == [("2024-03-01", "2024-03-10", 3, 9, 0), ("2024-03-11", "2024-03-20", 2, 0, 0)]
    assert (output["would_place"], output["ends_before"]) == (9, "WR-4")


def test_a_capped_run_plans_no_more_and_says_where_it_stopped(done):
    """The next goes on there."""
    first, second, third = (output["backfill"] for output in done.outputs[1:4])
    assert [(each["planned"], each["left_from"]) for each in (first, second, third)] == [
        (9, "2024-03-11"),
        (10, "2024-03-21"),
        (3, None),
    ]
    assert "order WR-4 needs 3 placements and at_most leaves 2" in first["stopped"]
    assert "run again, goes on there" in first["said"]


def test_everything_is_bought_once(done):
    """Of the whole range; nothing of it was passed over."""
    purchases = done.sandbox.purchases()
    payable = [each | {"products": None, "amount": None} if each["id"] == "WR-5" else each for each in done.orders]
    wanted = earned(payable)
    assert differences(wanted, purchases) == NONE
    assert in_books(purchases) == in_ledger(done.ledger_url)


def test_the_watermark_of_place_stays(done):
    """Or place would take the days since for read."""
    assert done.watermark is None


def test_days_in_the_wrong_order_are_refused(done):
    """With what to do."""
    assert "give days in order" in done.outputs[4]


def test_runs_are_named_by_store_and_days(runs):
    """In the UI's list of runs."""
    assert {
        f"preview backfill {STORE} 2024-03-01 to 2024-03-31",
        f"backfill {STORE} 2024-03-01 to 2024-03-31",
        f"track {STORE}",
        f"reconcile {STORE}",
    } <= set(runs)


def test_a_person_sees_windows_progress_and_what_to_do(artifacts):
    """Of the latest run; and what it bought with its price, each link as the UI reads links."""
    name = f"backfill {STORE} 2024-03-01 to 2024-03-31"
    assert artifacts[name, "backfilling"]["data"] == 100
    assert [row["from"] for row in json.loads(artifacts[name, "backfill-windows"]["data"])] == [
        "2024-03-21",
        "2024-03-31",
    ]
    text = artifacts[name, "backfill-orders"]["data"]
    assert "is planned to its end" in text
    assert "1 held at cnaught since" in text
    assert "(WR-5 offset)" in text
    assert "(/artifacts/key/needs-attention)" in text
    tracked = json.loads(artifacts[f"track {STORE}", "purchases"]["data"])
    assert {row["became"] for row in tracked} == {"completed"}
    assert any(row["certificate"].startswith("[certificate](https://") for row in tracked)


def test_what_each_run_changed_is_announced_once_for_each_provider_and_status(events):
    """As the run left it, with how many and which; each run after it tells again what waits for a person."""
    announced = [
        (each["event"].removeprefix("impactflow.placement."), each["payload"]["provider"], each["payload"]["count"])
        for each in events
    ]
    first = [("placed", "cnaught", 3), ("placed", "impactapi", 3), ("placed", "oneclickimpact", 3)]
    second = [
        ("held", "cnaught", 1),
        ("placed", "cnaught", 3),
        ("placed", "impactapi", 3),
        ("placed", "oneclickimpact", 4),
    ]
    third = [("placed", "cnaught", 1), ("placed", "impactapi", 1), ("placed", "oneclickimpact", 1)]
    completed = [("completed", "cnaught", 7), ("completed", "impactapi", 7), ("completed", "oneclickimpact", 8)]
    waiting = ("waiting", "cnaught", 1)
    assert sorted(set(announced) - {waiting}) == sorted({*first, *second, *third, *completed})
    assert announced.count(waiting) > 1
    assert len(announced) - announced.count(waiting) == len([*first, *second, *third, *completed])


def test_an_event_tells_what_an_automation_needs(events, runs):
    """The store, provider and status to match by; the flow run; orders, slots and reasons, and nothing personal."""
    [waiting] = [each for each in events if _waits_since(runs, each)]
    assert waiting["resource"] == {
        "prefect.resource.id": f"impactflow.store.{STORE}",
        "prefect.resource.name": STORE,
        "impactflow.provider": "cnaught",
        "impactflow.status": "held",
    }
    [line] = waiting["payload"]["first"]
    assert (line["order"], line["slot"]) == ("WR-5", "offset")
    assert "fx.usd_per" in line["reason"]
    assert line["since"] == waiting["payload"]["since"]
    assert "@" not in json.dumps([each["payload"] for each in events])


def test_all_purchases_of_a_run_are_in_a_file(done):
    """Each run that bought or saw completed something wrote its own."""
    files = sorted((done.folder / "reports").glob("*-purchases-*.csv"))
    rows = []
    for file in files:
        with file.open(newline="") as opened:
            rows += list(csv.DictReader(opened))
    placed = [(row["order"], row["slot"]) for row in rows if row["became"] == "placed"]
    assert len(placed) == len(set(placed)) == len(done.sandbox.purchases()) == 22
    assert {row["amount"] + " " + row["unit"] for row in rows if row["slot"] == "offset"} == {"5 kg CO2"}
