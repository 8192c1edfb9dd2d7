"""
What a person gets wrong, and what breaks around a run: one clear line, the right exit status, nothing lost.

What takes long (no answer, a locked ledger) begins with the module, in threads, and is looked at last.
"""

import re
import sqlite3
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from processes import Impactflow, Served, order, sandbox_thread

from impactflow.ledger import Ledger
from impactflow.proof.bookkeeping import NONE, differences, earned
from impactflow.proof.programs import Ended

DONE, UNDONE, MISUSED = 0, 1, 2
ORDERS = [order(number) for number in range(1, 6)]
#: A port on loopback that nobody listens on.
UNREACHABLE = "http://127.0.0.1:9"
#: The command line, but a locked ledger is waited for only a moment.
IMPATIENT = "import impactflow.ledger.engine as e; e.BUSY_S = 0.5; from impactflow.cli import main; main()"
#: The command line, but no file may grow beyond what it takes to make the ledger: purchases cannot be recorded.
CRAMPED = "import resource as r; r.setrlimit(r.RLIMIT_FSIZE, (150_000,) * 2); from impactflow.cli import main; main()"


#: Stands in for the program of a Prefect server: it answers, and prints at its beginning and at its end.
NOISY = """#!{python}
import http.server, signal, sys

class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

def end(*_):
    print("Traceback of the end", file=sys.stderr, flush=True)
    sys.exit(1)

signal.signal(signal.SIGTERM, end)
print("Traceback of the beginning", flush=True)
port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.HTTPServer(("127.0.0.1", port), Healthy).serve_forever()
"""
#: Starts a temporary server by that program, and shows what is in the folder of temporary files meanwhile.
STARTED = """
import pathlib, sys, tempfile
sys.executable, folder = sys.argv[1], pathlib.Path(tempfile.gettempdir())
from tasks.server import server_settings
with server_settings():
    print([file.read_text().splitlines()[0] for file in folder.glob("impactflow-prefect-*.log")])
"""


#: What a run that takes its time says every few seconds.
PROGRESS = re.compile(r"\w+, \d+ s: ")


def status_and_message(ended: Ended) -> tuple[int, str]:
    """The exit status and the one line, which standard output (as JSON) and standard error (for a person) share."""
    assert not ended.says_traceback, ended.err
    (line,) = [line for line in ended.err.strip().splitlines() if not PROGRESS.match(line)]
    message = line.removeprefix("error: ")
    assert ended.json == {"error": message}
    return ended.status, message


@contextmanager
def opened(folder: Path, command_line) -> Iterator[tuple[Served, Impactflow]]:
    """A sandbox of its own with five orders, and a command line that works against it."""
    folder.mkdir(exist_ok=True)
    with sandbox_thread(ORDERS) as sandbox:
        yield sandbox, command_line(folder, sandbox)


@pytest.fixture(scope="module")
def impactflow(tmp_path_factory, command_line):
    """A command line for what is refused before anything is sent; nothing may be bought with it."""
    with opened(tmp_path_factory.mktemp("refused"), command_line) as (sandbox, made):
        yield made
        assert sandbox.purchases() == []


def good_run_after(sandbox: Served, impactflow: Impactflow) -> tuple[int, dict]:
    """Whatever went wrong before, a good run places everything once."""
    good = impactflow.run("place", "--json")
    return good.status, differences(earned(ORDERS), sandbox.purchases())


def first_run(sandbox: Served, impactflow: Impactflow) -> None:
    """One order is bought: from then on the ledger is known to be the one that buys."""
    sandbox.shop.orders[:] = ORDERS[:1]
    assert impactflow.run("place", "--json").status == DONE
    sandbox.shop.orders[:] = ORDERS


def unreachable_shop(folder, command_line) -> Ended:
    """Wicked Reports cannot be reached."""
    with opened(folder, command_line) as (_, impactflow):
        return impactflow.but(WICKED_REPORTS_URL=UNREACHABLE).run_anew("place", "--json")


def unreachable_provider(folder, command_line) -> tuple[Ended, tuple[int, dict]]:
    """CNaught cannot be reached, and later can be."""
    with opened(folder, command_line) as (sandbox, impactflow):
        first_run(sandbox, impactflow)
        ended = impactflow.but(CNAUGHT_URL=f"{UNREACHABLE}/v1").run("place", "--json", "--patience", "5")
        return ended, good_run_after(sandbox, impactflow)


def locked_ledger(folder, command_line) -> tuple[Ended, Ended, tuple[int, dict]]:
    """Another program holds the ledger's lock while it is written and while it is read, and later lets go."""
    with opened(folder, command_line) as (sandbox, impactflow):
        Ledger.open(impactflow.ledger_url).close()
        with sqlite3.connect(folder / "impactflow.db", isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            writing, reading = (
                impactflow.python_anew(IMPATIENT, "place", "--json"),
                impactflow.run("status", "--json"),
            )
            other.execute("ROLLBACK")
        return writing, reading, good_run_after(sandbox, impactflow)


@pytest.fixture(scope="module", autouse=True)
def begun(tmp_path_factory, command_line) -> Iterator[dict[str, Future]]:
    """The slow cases by name, under way."""
    with ThreadPoolExecutor(3) as pool:
        yield {
            case.__name__: pool.submit(case, tmp_path_factory.mktemp(case.__name__), command_line)
            for case in (unreachable_shop, unreachable_provider, locked_ledger)
        }


@pytest.mark.parametrize(
    "variable",
    ["WICKED_REPORTS_API_KEY", "ONECLICKIMPACT_API_KEY", "CNAUGHT_API_KEY", "IMPACTAPI_API_KEY", "IMPACTAPI_URL"],
)
def test_a_variable_that_is_not_set_is_named(impactflow, variable):
    """Before anything is read or bought."""
    status, message = status_and_message(impactflow.but(**{variable: None}).run("place", "--json"))
    assert (status, message.partition(" ")[0]) == (MISUSED, variable)


@pytest.mark.parametrize(
    ("variable", "wrong"),
    [
        ("WICKED_REPORTS_URL", "{}/v1"),
        ("ONECLICKIMPACT_URL", "{}/v1"),
        ("CNAUGHT_URL", "{}/v1"),
        ("CNAUGHT_URL", "{}/.."),
        ("IMPACTAPI_URL", "{}/v1"),
    ],
)
def test_n11_a_url_with_another_path_is_named(impactflow, variable, wrong):
    """As with ``/v1`` twice or missing: what every account has is not there. Exit status 2."""
    url = wrong.format(impactflow.variables[variable]).replace("/v1/..", "")
    ended = impactflow.but(**{variable: url}).run("doctor", "--json")
    [found] = [check for check in ended.json["checks"] if not check["ok"] and check["what"] != "policy"]
    assert (ended.status, found["status"]) == (MISUSED, MISUSED)
    assert f"(HTTP 404): nothing is there: check the path in {variable}" in found["said"]


def test_n11_nothing_is_read_or_bought_where_the_shops_url_is_wrong(impactflow):
    """One line, with exit status 2."""
    url = f"{impactflow.variables['WICKED_REPORTS_URL']}/v1"
    status, message = status_and_message(impactflow.but(WICKED_REPORTS_URL=url).run("place", "--json"))
    assert status == MISUSED
    assert "check the path in WICKED_REPORTS_URL" in message


def test_n6_a_folder_for_reports_that_cannot_be_written_is_named_before_anything_is_bought(impactflow, tmp_path):
    """By ``doctor``, too."""
    (tmp_path / "file").write_text("")
    mistaken = impactflow.but(IMPACTFLOW_REPORTS=str(tmp_path / "file" / "reports"))
    status, message = status_and_message(mistaken.run("place", "--json"))
    assert status == MISUSED
    assert message == f"IMPACTFLOW_REPORTS: nothing can be written into {tmp_path}/file: name another folder"
    checks = mistaken.run("doctor", "--json").json["checks"]
    assert [message] == [check["said"] for check in checks if check["what"] == "reports"]


def test_n5_a_home_that_prefect_cannot_write_into_is_named(impactflow, tmp_path):
    """Before a server is started that would say so in thousands of lines; as where HOME is missing or read-only."""
    (tmp_path / "file").write_text("")
    for own in ({"PREFECT_HOME": f"{tmp_path}/file/home"}, {"PREFECT_HOME": None, "HOME": f"{tmp_path}/file"}):
        ended = impactflow.but(PREFECT_API_URL=None, **own).run("place", "--json")
        message = ended.json["error"]
        assert (ended.status, ended.says_traceback) == (MISUSED, False)
        assert message.startswith(f"Prefect cannot write into {tmp_path}/file/")
        assert "set PREFECT_HOME to a folder" in message


def test_n4_what_a_temporary_server_prints_goes_to_a_file_that_is_removed_with_it(impactflow, tmp_path):
    """Its tracebacks, of its end too, are no one's business where the run succeeded."""
    program = tmp_path / "python"
    program.write_text(NOISY.format(python=sys.executable))
    program.chmod(0o755)
    ended = impactflow.but(PREFECT_API_URL=None, TMPDIR=str(tmp_path)).python(STARTED, str(program))
    assert (ended.status, ended.out, ended.err) == (DONE, "['Traceback of the beginning']\n", "")
    assert [] == list(tmp_path.glob("*.log"))


def test_n4_where_a_temporary_server_fails_the_file_of_what_it_printed_is_named(impactflow, tmp_path):
    """And stays."""
    broken = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": "nonsense://", "TMPDIR": str(tmp_path)}
    ended = impactflow.but(PREFECT_API_URL=None, **broken).run("place", "--json")
    message = ended.json["error"]
    [log] = tmp_path.glob("impactflow-prefect-*.log")
    assert (ended.status, ended.says_traceback) == (UNDONE, False)
    assert f"did not start, {log} says why: mend that, or set PREFECT_API_URL" in message
    assert "nonsense" in log.read_text()


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (("impact: plant_trees", "impact: plant_trees\n    colour: green"), ("policy.yaml", "9", "colour")),
        (("slot: trees", "slot: Trees!"), ("policy.yaml", "6", "slot")),
        (("{per_item: 2.5}", "{per_item: many}"), ("policy.yaml", "14", "per_item")),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused_with_line_and_field(impactflow, tmp_path, edit, words):
    """An unknown field, a bad slot, a nonsense quantity."""
    policy = tmp_path / "policy.yaml"
    policy.write_text((impactflow.folder / "policy.yaml").read_text().replace(*edit))
    status, message = status_and_message(impactflow.run("place", "--json", "--policy", str(policy)))
    assert (status, [word for word in words if word not in message]) == (MISUSED, [])


def test_a_missing_policy_is_named(impactflow):
    """With the two ways to name another."""
    status, message = status_and_message(impactflow.run_anew("place", "--json", "--policy", "nowhere.yaml"))
    assert status == MISUSED
    assert "nowhere.yaml" in message
    assert "IMPACTFLOW_POLICY" in message


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--from", "yesterday"), "--from 'yesterday' is not a day"),
        (("--from", "2025-02-01", "--to", "2025-01-31"), "--from 2025-02-01 is after --to 2025-01-31"),
        (("--patience", "-1"), "--patience"),
        (("--colour", "green"), "--colour"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(impactflow, arguments, words):
    """With one JSON object for a program, too."""
    ended = impactflow.run("place", "--json", *arguments)
    assert (ended.status, ended.says_traceback) == (MISUSED, False)
    assert words in ended.json["error"]


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("IMPACTFLOW_LEASE_S", "soon"),
        ("CNAUGHT_URL", "http://api.cnaught.example/v1"),
        ("IMPACTFLOW_LEDGER_URL", "mysql://user:canary-secret@127.0.0.1/ledger"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named_and_not_repeated(impactflow, variable, text):
    """Its value might be a secret."""
    status, message = status_and_message(impactflow.but(**{variable: text}).run("status", "--json"))
    assert status == MISUSED
    assert variable in message
    assert text not in message
    assert "canary-secret" not in message


@pytest.mark.parametrize("command", ["place", "status"])
def test_a_newer_ledger_is_left_alone(impactflow, tmp_path, command):
    """It asks for an upgrade."""
    with sqlite3.connect(tmp_path / "newer.db") as newer:
        newer.execute("CREATE TABLE alembic_version (version_num TEXT)")
        newer.execute("INSERT INTO alembic_version VALUES ('9999')")
    url = f"sqlite:///{tmp_path / 'newer.db'}"
    status, message = status_and_message(impactflow.but(IMPACTFLOW_LEDGER_URL=url).run(command, "--json"))
    assert status == MISUSED
    assert "upgrade impactflow" in message


def test_a_wrong_key_for_the_orders_is_named(impactflow):
    """And neither key nor anything else is repeated."""
    status, message = status_and_message(impactflow.but(WICKED_REPORTS_API_KEY="canary-wrong").run("place", "--json"))
    assert status == MISUSED
    assert "check WICKED_REPORTS_API_KEY" in message
    assert "canary-wrong" not in message


def test_a_wrong_key_for_one_provider_stops_only_that_one(tmp_path, command_line):
    """The others' purchases are made; its own are made by the next run with the right key."""
    with opened(tmp_path, command_line) as (sandbox, impactflow):
        first_run(sandbox, impactflow)
        ended = impactflow.but(CNAUGHT_API_KEY="canary-wrong").run("place", "--json")
        output = ended.json
        assert (ended.status, ended.says_traceback, output["refused_keys"]) == (MISUSED, False, ["cnaught"])
        assert (output["placements"]["placed"], output["placements"]["planned"]) == (11, 4)
        assert "check CNAUGHT_API_KEY" in ended.err
        assert "canary-wrong" not in ended.out + ended.err
        assert good_run_after(sandbox, impactflow) == (DONE, NONE)


def test_a_first_run_with_a_wrong_key_buys_nothing(tmp_path, command_line):
    """That provider may know what another ledger has bought; the next run with the right key buys all."""
    with opened(tmp_path, command_line) as (sandbox, impactflow):
        ended = impactflow.but(CNAUGHT_API_KEY="canary-wrong").run("place", "--json")
        output = ended.json
        assert (ended.status, ended.says_traceback, output["refused_keys"]) == (MISUSED, False, ["cnaught"])
        assert (output["placements"]["placed"], output["placements"]["planned"]) == (0, 15)
        assert "cnaught did not say whether another one has" in output["left_alone"]["impactapi"]
        assert "check CNAUGHT_API_KEY" in ended.err
        assert good_run_after(sandbox, impactflow) == (DONE, NONE)


def test_after_a_full_disk_a_run_with_room_buys_nothing_twice(tmp_path, command_line):
    """The one line asks for room; what was bought and could not be recorded is found."""
    with opened(tmp_path, command_line) as (sandbox, impactflow):
        status, message = status_and_message(impactflow.python_anew(CRAMPED, "place", "--json"))
        assert status == UNDONE
        assert "make room, then run this again" in message
        assert good_run_after(sandbox, impactflow) == (DONE, NONE)


def test_a_locked_ledger_is_told_and_nothing_is_lost(begun):
    """Reading goes on meanwhile."""
    writing, reading, good = begun["locked_ledger"].result()
    status, message = status_and_message(writing)
    assert status == UNDONE
    assert "locked by another program" in message
    assert (reading.status, good) == (DONE, (DONE, NONE))


def test_an_unreachable_provider_is_told_and_nothing_is_lost(begun):
    """The other providers' purchases are made."""
    ended, good = begun["unreachable_provider"].result()
    output = ended.json
    assert (ended.status, ended.says_traceback) == (UNDONE, False)
    assert (output["placements"]["placed"], output["placements"]["planned"]) == (11, 4)
    assert "CNAUGHT_URL" in output["left_alone"]["cnaught"]
    assert good == (DONE, NONE)


def test_an_unreachable_shop_is_told(begun):
    """With the variable to look at."""
    status, message = status_and_message(begun["unreachable_shop"].result())
    assert status == UNDONE
    assert "WICKED_REPORTS_URL" in message
