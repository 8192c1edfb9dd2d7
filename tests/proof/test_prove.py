"""What the whole proof says of its parts: what counts as a trial, as a failure, as left out."""

import json
import os
import signal
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from impactflow.proof import many, processes, prove, showing
from impactflow.proof.crashpoints import Crash, Setting
from impactflow.proof.experiment import Counts
from impactflow.proof.many import Crashed, Simulated
from impactflow.proof.mutations import MUTATIONS, Caught
from impactflow.proof.process import Act, Boundary
from impactflow.proof.processes import Processes
from impactflow.proof.prove import Proof, Row, Size
from impactflow.proof.simulation import Result
from impactflow.stopping import Stopped


@pytest.fixture(autouse=True)
def _nothing_wrong(monkeypatch):
    """All is well in the parts that are never left out."""
    monkeypatch.setattr(prove, "simulate", lambda seeds, **_: Simulated(len(seeds)))
    monkeypatch.setattr(prove, "crash_everywhere", lambda **_: Crashed(1, Counter({"somewhere": 3})))


def proved(**size) -> Proof:
    nothing_else = {"healthy_seeds": 0, "processes_s": 0, "baseline_orders": 0, "planted_bugs": False}
    return prove.prove(Size(seeds=5, **nothing_else | size), lambda *_: None)


def test_what_was_tried_in_full_has_no_bound():
    """Of all crash points none is left that a share could be of; of seeds there are always others."""
    parts = proved().as_json()["parts"]
    assert {"simulated seeds": 5, "crash points, all of them": 3} == {row["part"]: row["trials"] for row in parts}
    assert [pytest.approx(0.4507, abs=1e-4), None] == [row["at_most"] for row in parts]


def test_no_trials_support_nothing():
    """A part without any has the bound that says so."""
    assert 1.0 == Row("nothing", 0, 0, "", 0.0).bound


def test_what_nothing_could_happen_to_is_no_trial(monkeypatch):
    """Once nobody is killed any more, what is left is bought without a fault: that supports nothing."""
    counts = Counts(purchases=10, afterwards=6, kills=2)
    monkeypatch.setattr(processes, "run", lambda *_: Processes({("SQLite", "echo"): counts}, 0, None))
    row = proved(processes_s=1).rows[-1]
    assert (4, 0) == (row.trials, row.wrong)
    assert "not counted: 6 " in row.of


def test_planted_bugs_show_how_far_they_are(monkeypatch):
    """One step for each; and what nobody noticed is told with the command that plants it again."""

    def catch_all(mutations, *, report, **_):
        caught = [Caught(mutation, number or None, "") for number, mutation in enumerate(mutations)]
        for each in caught:
            report(each)
        return caught

    monkeypatch.setattr(prove, "catch_all", catch_all)
    progress = []
    proof = prove.prove(Size(seeds=5, processes_s=0, baseline_orders=0), lambda *how_far: progress.append(how_far))
    total = len(MUTATIONS)
    assert [("planting bugs", done, total) for done in range(total + 1)] == progress[-total - 1 :]
    assert not proof.holds
    (failure,) = proof.failures
    assert f"python -m impactflow.proof.mutations '{MUTATIONS[0].name}'" in failure


def test_a_crash_that_is_not_recovered_from_is_told_with_how_to_see_it_again(monkeypatch):
    """The command crashes in that setting again."""
    setting, result = Setting("trees", "echo", "lost_answer=1"), Result(0, ("something",), 0, 1, {})
    crash = Crash(setting, Boundary.COMMIT, 3, Act.DIE, result)
    monkeypatch.setattr(many, "crashes", lambda _, where: [replace(crash, setting=each) for each in where])
    _, failures = many._crash_in(setting)
    assert failures == many._run_again(["trees", "echo", "lost_answer=1"])
    assert len(failures) == 1
    assert failures[0].startswith("it is killed before a commit (boundary 3 of trees echo lost_answer=1): something")
    assert failures[0].endswith("(python -m impactflow.proof.many trees echo lost_answer=1)")


@pytest.fixture
def alternatives(monkeypatch):
    """Have the usual alternatives come to something without running them."""

    def come_to(*rows, status=0, stderr="", left_out=()):
        def run(command, **_):
            Path(command[-1]).write_text(json.dumps({"rows": rows, "left_out": left_out}))
            return subprocess.CompletedProcess(command, status, "", stderr)

        monkeypatch.setattr(prove.subprocess, "run", run)
        return proved(baseline_orders=1)

    return come_to


def _row(name, duplicates=0, losses=0):
    return {"name": name, "duplicates": duplicates, "losses": losses}


@pytest.mark.parametrize("wrong", [{"duplicates": 1}, {"losses": 1}])
def test_among_the_alternatives_only_ours_must_not_buy_twice_nor_lose(alternatives, wrong):
    """Theirs are there to be compared with; ours is held to its promise there, too."""
    assert alternatives(_row("impactflow"), _row("mark_first", **wrong)).holds
    proof = alternatives(_row("impactflow", **wrong), _row("mark_first"))
    assert not proof.holds
    assert "benchmarks.baselines --orders 1" in proof.failures[0]


def test_who_cannot_take_part_is_told(alternatives):
    """What is not installed was not tried."""
    assert ["dbos_step: dbos is not installed"] == alternatives(left_out=["dbos_step: dbos is not installed"]).left_out


def test_who_is_not_done_in_time_is_told(alternatives):
    """It is a failure where it is us."""
    assert "mark_first was not done" in alternatives(status=1, stderr="mark_first was not done in 9 s").left_out[0]
    assert not alternatives(status=1, stderr="impactflow was not done in 9 s").holds


@pytest.mark.parametrize("error", [RuntimeError("no server"), TimeoutError("it did not end")])
def test_processes_that_come_to_no_end_are_a_failure_among_the_others(monkeypatch, error):
    """The figures of what was tried before are told all the same."""

    def run(*_):
        raise error

    monkeypatch.setattr(processes, "run", run)
    proof = proved(processes_s=1)
    assert (2, [f"real processes could not be tried to the end: {error}"]) == (len(proof.rows), proof.failures)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_who_ends_it_ends_its_servers_too(monkeypatch, number):
    """A SIGTERM and a closed terminal as much as Ctrl-C: each unwinds whatever is open."""
    closed = []

    def prove(*_):
        try:
            os.kill(os.getpid(), number)
            signal.pause()
        finally:
            closed.append(number)

    monkeypatch.setattr(showing, "prove", prove)
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    with pytest.raises(Stopped):
        showing.run_proof(Size(), as_json=True)
    for each, handler in before.items():  # once a signal came, the others are ignored until the process has ended
        signal.signal(each, handler)
    assert [number] == closed


def test_n25_prove_says_how_far_it_is_where_nothing_can_move(monkeypatch, capsys):
    """A line now and then on standard error; the one object stays alone on standard output."""

    def slow(size, report):
        for done in range(3):
            report("simulated seeds", done, 1000)
        return proof

    proof = proved()
    monkeypatch.setattr(showing, "prove", slow)
    showing.run_proof(Size(seeds=5), as_json=True)
    printed = capsys.readouterr()
    assert printed.err.splitlines() == ["simulated seeds: 0 of 1000"]
    assert json.loads(printed.out)["holds"] is True
