"""The other commands, as a person and a program use them; and which of them are quick because they need no Prefect."""

import asyncio
import json
import re
import signal
from datetime import UTC, datetime

import httpx
import pytest
from processes import Impactflow, order, sandbox_thread
from typer.testing import CliRunner

from impactflow.__main__ import add_proof
from impactflow.cli.commands import app
from impactflow.cli.watching import Pace, progress
from impactflow.ledger import Delivery, Ledger, RefusedDeliveries, Status
from impactflow.models import ProviderName
from impactflow.proof.bookkeeping import NONE, differences, earned
from impactflow.proof.programs import base_environment, finish
from impactflow.reports.standing import Standing

COMMANDS = [
    "place", "track", "reconcile", "status", "show", "doctor", "demo", "sandbox", "policy schema", "policy check",
    "init", "campaigns",
]  # fmt: skip
#: Five weeks in less than a second.
SPEED = 10_000_000
ORDERS = [order(number) for number in range(1, 5)]
#: Runs commands one after the other and tells of each on standard error how it ended and whether Prefect was loaded.
WITNESSED = """
import json, sys
from impactflow.cli import main
for arguments in json.loads(sys.argv.pop()):
    sys.argv[1:] = arguments
    try:
        main()
    except SystemExit as ended:
        print(ended.code, "prefect" in sys.modules, file=sys.stderr)
"""


@pytest.fixture(scope="module")
def used(tmp_path_factory, command_line):
    """A sandbox whose orders were placed and tracked: (sandbox, command line, what placing and tracking printed)."""
    folder = tmp_path_factory.mktemp("used")
    for name in ("flows", "tasks"):  # somebody's own
        (folder / name).mkdir()
        (folder / name / "__init__.py").touch()
    with sandbox_thread(ORDERS, speed=SPEED) as sandbox:
        impactflow = command_line(folder, sandbox)
        placed = impactflow.run_anew("place")
        yield sandbox, impactflow, placed, impactflow.run_anew("track", "--wait", "30", "--json")


@pytest.fixture(scope="module")
def unset(tmp_path_factory):
    """A command line in an empty folder, without a single setting."""
    folder = tmp_path_factory.mktemp("unset")
    return Impactflow(folder, base_environment(folder))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_help_with_an_example(command):
    """That begins with the command itself."""
    add_proof()
    shown = CliRunner().invoke(app, [*command.split(), "--help"])
    assert shown.exit_code == 0
    assert f"Example: impactflow {command}" in " ".join(shown.output.split())


def test_place_tells_a_person_what_happened(used):
    """In words, with exit status 0 and everything bought once."""
    sandbox, _, placed, _ = used
    assert (placed.status, placed.says_traceback) == (0, False)
    assert "4 orders read, 4 new, 4 count." in placed.out
    assert "12 placed" in placed.out
    assert differences(earned(ORDERS), sandbox.purchases()) == NONE


def test_n25_python_m_impactflow_works_beside_folders_of_somebodys_own(used):
    """Which go by the names of ours."""
    _, impactflow, placed, _ = used
    assert (impactflow.folder / "flows").is_dir()
    assert placed.status == 0


def test_n8_n21_place_says_first_what_this_run_did_and_then_which_days_it_read(used):
    """A run with nothing to do says so; what stands is told as of earlier runs, too."""
    again = used[1].run("place")
    lines = again.out.splitlines()
    assert lines[0] == "Placements that this run has changed: none."
    assert lines[1] == "4 orders read, 0 new, 4 count."
    assert re.match(r"Orders of \d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d are read: ", lines[2])
    assert not re.search("Bought by this run|Left in the ledger|Placed means ordered", again.out)


def test_n23_a_run_says_every_few_seconds_how_far_it_is():
    """With how much was bought and how fast, and what stands."""
    before, now = Standing(0, 10, 10, 0, 0, 0, 0, 0, 0, 0), Standing(5, 50, 12, 1, 0, 0, 0, 0, 0, 0)
    line = progress("placing", before, now, 8.0)
    assert line == (
        "placing, 8 s: 40 placed (5.0 a second), 2 completed (0.2 a second); in all 5 planned, 50 placed, 12 completed,"
        " 1 failed"
    )
    assert progress("looking", before, before, 5.0).startswith("looking, 5 s: nothing bought or completed by now")


def test_n23_a_request_under_way_is_no_doubt_while_a_run_goes_on():
    """In doubt is what was cut off."""
    now = Standing(0, 0, 0, 0, 0, 0, 5, 0, 0, 0)
    assert progress("placing", now, now, 3.0, sending=3).endswith("; in all 2 in doubt, 3 being sent")


def test_n23_a_line_that_stays_says_something_new_or_comes_ever_more_rarely():
    """A first one at the first look; then each change at once, and the same at growing distances."""
    pace, counts = Pace(), {(ProviderName.CNAUGHT, Status.PLACED): 7}
    times = [2.5 * number for number in range(1, 25)]
    assert [at for at in times if pace.is_due(counts, at)] == [2.5, 7.5, 17.5, 37.5]
    assert pace.is_due({(ProviderName.CNAUGHT, Status.COMPLETED): 7}, 62.5)


def test_place_says_what_was_bought_by_slot_where_each_purchase_is_written_and_what_comes_next(used):
    """With units and prices; of prices that nobody tells it says so. A program reads the same."""
    placed = used[2]
    words = " ".join(re.sub(r"[^\w. ]", " ", placed.out).split())
    for bought in ("trees oneclickimpact 4 4 trees", "offset cnaught 4 20 kg CO2", "giving impactapi 4 3.2 USD 3.2"):
        assert bought in words
    assert "1ClickImpact tells none" in placed.out
    assert "Each purchase: reports/bought-" in placed.out
    assert "`impactflow track` asks how far they are" in placed.out


def test_place_buys_what_webhooks_told_of_without_wicked_reports_and_without_a_file(command_line, tmp_path):
    """A shop that has only webhooks needs no more than its sellers' keys."""
    body = {"id": 77, "financial_status": "paid", "total_price": "80.00", "currency": "USD", "email": "a@example.com"}
    at = datetime.now(UTC)
    with sandbox_thread([]) as sandbox:
        impactflow = command_line(tmp_path, sandbox).but(WICKED_REPORTS_API_KEY=None, WICKED_REPORTS_URL=None)
        with Ledger.open(impactflow.variables["IMPACTFLOW_LEDGER_URL"]) as ledger:
            delivery = Delivery("acceptance", "shopify", "w1", "orders/paid", at, json.dumps(body).encode())
            asyncio.run(ledger.store_delivery(delivery))
        refused = impactflow.run("place", "--webhooks", "--orders", "orders.csv", "--json")
        placed = impactflow.run("place", "--webhooks", "--json")
        bought = sandbox.purchases()
    assert refused.status == 2
    assert placed.json["webhooks"]["deliveries"] == 1
    assert placed.json["this_run"]["placed"] == len(bought) > 0
    assert {each["order_id"] for each in bought} == {"shopify:77"}


def test_track_waits_until_all_is_complete(used):
    """And its JSON says how much was looked at."""
    tracked = used[3]
    counts = {name: tracked.json[name] for name in ("completed", "open")}
    assert (tracked.status, counts) == (0, {"completed": 12, "open": 0})
    assert tracked.json["checked"] >= 12


def test_reconcile_finds_nothing_to_settle(used):
    """After a run in which no answer was lost."""
    ended = used[1].run("reconcile", "--json")
    assert (ended.status, ended.json["all_placements"]["in_doubt"]) == (0, 0)


def test_commands_that_need_no_prefect_do_not_load_it(used):
    """Loading it would take two seconds."""
    commands = [["status"], ["show", "WR-1"], ["doctor"], ["policy", "schema"]]
    ended = used[1].python_anew(WITNESSED, json.dumps(commands))
    assert ended.err.splitlines() == ["0 False"] * len(commands)


def test_status_counts_by_provider_and_status(used):
    """For a program; a person sees the same as a table."""
    result, shown = used[1].run("status", "--json"), used[1].run("status")
    completed = {provider: statuses["completed"] for provider, statuses in result.json["placements"].items()}
    assert completed == {"oneclickimpact": 4, "cnaught": 4, "impactapi": 4}
    assert (result.json["undone"], result.status, shown.status) == (False, 0, 0)
    assert "completed" in shown.out


def test_show_tells_an_orders_whole_story_without_its_customer(used):
    """Each event of each placement, by any of the order's names."""
    result = used[1].run("show", "src:shopify:1001", "--json")
    stories = {placement["slot"]: placement["events"] for placement in result.json["placements"]}
    assert set(stories) == {"trees", "offset", "giving"}
    for events in stories.values():
        statuses = [event["to_status"] for event in events]
        assert statuses == ["planned", "placing", "placed", "completed"]
    assert "@example" not in result.out + used[1].run("show", "WR-1").out


def test_show_of_an_unknown_order_is_a_wrong_usage(used):
    """One JSON object for a program, here too."""
    ended = used[1].run("show", "WR-404", "--json")
    assert (ended.status, ended.says_traceback) == (2, False)
    assert "WR-404" in ended.json["error"]


def test_doctor_checks_everything_and_changes_nothing(used):
    """Policy, ledger, the orders' source and each provider."""
    sandbox, impactflow, *_ = used
    before = sandbox.purchases()
    ended = impactflow.run("doctor", "--json")
    assert {check["what"]: check["ok"] for check in ended.json["checks"]} == dict.fromkeys(
        (
            "policy",
            "live",
            "webhooks",
            "reports",
            "prefect",
            "ledger",
            "wickedreports",
            "oneclickimpact",
            "cnaught",
            "impactapi",
            "purchases",
        ),
        True,
    )
    assert (ended.status, ended.json["ok"], sandbox.purchases()) == (0, True, before)


def test_c10_doctor_says_of_what_a_sender_has_not_told(used):
    """A webhook that was not subscribed to a topic is silent about that."""
    ended = used[1].but(IMPACTFLOW_SHOPIFY_SECRETS="hush-hush-hush-hush-hush-hush-hu").run("doctor", "--json")
    notes = "\n".join(check["said"] for check in ended.json["checks"] if check["note"])
    assert ended.status == 0
    assert "shopify has not sent orders/cancelled, orders/paid, orders/updated, refunds/create yet" in notes
    assert "stripe has not" not in notes


def test_c11_doctor_names_the_rules_that_earn_nothing_of_stripe(used):
    """Its events list no products; nothing is wrong, for Wicked Reports may list them."""
    ended = used[1].but(IMPACTFLOW_STRIPE_SECRETS="whsec_hush-hush-hush-hush").run("doctor", "--json")
    lines = [check["said"] for check in ended.json["checks"] if check["what"] == "policy"]
    assert ended.status == 0
    [line] = [each for each in lines if "stripe" in each]
    assert line.startswith("offset (per_item): ")


def test_c20_doctor_and_status_tell_what_was_refused(used):
    """With what to do about it; not what another store's receiver refused."""
    _, impactflow, *_ = used
    today = datetime.now(UTC).date()
    with Ledger.open(impactflow.variables["IMPACTFLOW_LEDGER_URL"]) as ledger:
        refused = [RefusedDeliveries(store, "shopify", today, 413, 10) for store in ("acceptance", "another")]
        asyncio.run(ledger.count_refused(refused))
    examined, shown = impactflow.run("doctor", "--json"), impactflow.run("status")
    [line] = [check["said"] for check in examined.json["checks"] if "refused" in check["said"]]
    assert (examined.status, shown.status) == (0, 0)
    assert line.startswith("10 deliveries of shopify were refused in the last 7 days: 10 too large (413); ")
    assert "IMPACTFLOW_WEBHOOKS_MAX_BYTES" in line
    assert "20 deliveries of shopify were refused" in shown.out


def test_doctor_says_of_a_secret_that_cannot_be_used_and_of_everything_else(used):
    """What depends on the secret is left out; nothing else is."""
    ended = used[1].but(IMPACTFLOW_SHOPIFY_SECRETS="short").run("doctor", "--json")
    checks = [(check["what"], check["ok"]) for check in ended.json["checks"]]
    assert [("webhooks", False)] == [each for each in checks if not each[1]]
    assert ("ledger", True) in checks


def test_doctor_says_everything_that_is_wrong_at_once(used):
    """A wrong key is a wrong configuration, and the other checks still run."""
    ended = used[1].but(CNAUGHT_API_KEY="canary-wrong", IMPACTAPI_API_KEY=None).run("doctor", "--json")
    wrong = {check["what"]: check["said"] for check in ended.json["checks"] if not check["ok"]}
    assert (ended.status, set(wrong)) == (2, {"cnaught", "impactapi"})
    assert "CNAUGHT_API_KEY" in wrong["cnaught"]
    assert "IMPACTAPI_API_KEY" in wrong["impactapi"]
    assert "canary-wrong" not in ended.out + ended.err


def test_the_schema_describes_the_policy(unset):
    """As one JSON object."""
    schema = unset.run("policy", "schema", "--json").json
    assert {"store", "rules"} <= set(schema["properties"])


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_o9_the_sandbox_prints_its_environment_and_serves_until_it_is_ended(unset, number, status):
    """One line of JSON once it listens; then a signal ends it with the signal's status, without a word."""
    process = unset.start("sandbox", "--json", "--orders", "3")
    variables = json.loads(process.stdout.readline())
    headers = {"apikey": variables["WICKED_REPORTS_API_KEY"]}
    query = {"from": "2000-01-01", "to": "2999-01-01"}
    page = httpx.get(f"{variables['WICKED_REPORTS_URL']}/orders", params=query, headers=headers, trust_env=False)
    process.send_signal(number)
    ended = finish(process, 10)
    assert page.json()["total"] == 3
    assert (ended.status, ended.out, ended.says_traceback) == (status, "", False)


def test_the_sandbox_prints_shell_lines_for_a_person(unset):
    """Each a variable that impactflow reads."""
    process = unset.start("sandbox", "--orders", "0")
    lines = [process.stdout.readline() for _ in range(8)]
    process.terminate()
    finish(process, 5)
    assert all(line.startswith("export ") and "=" in line for line in lines)


def test_the_demo_ends_well(unset, server):
    """It needs no setting; the books equal the ledger although answers got lost."""
    ended = unset.but(PREFECT_API_URL=server.api_url).run("demo", "--orders", "40", "--json")
    books = ended.json["books"]
    assert (ended.status, ended.json["ok"], books["differences"]) == (0, True, 0)
    assert books["bought"] == books["recorded"] > 0
