"""One module writes statuses, and it keeps to the table, whoever asks."""

import ast
import inspect
from pathlib import Path

import pytest
from ledger_helpers import NOON, claim, life, plan_one
from sqlalchemy import update

import impactflow
from impactflow.errors import TransitionRefused
from impactflow.ledger import TRANSITIONS, Status, transitions
from impactflow.ledger.states import WAITING
from impactflow.ledger.tables import placements
from impactflow.ledger.transitions import Seen

PACKAGE = Path(inspect.getfile(impactflow)).parent


def is_statement(call, verb):
    """Whether a call begins to write placements: ``placements.update()``, ``update(placements)``."""
    match call.func:
        case ast.Attribute(value=ast.Name(id="placements"), attr=name):
            return name == verb
        case ast.Name(id=name):
            return name == verb and any(isinstance(each, ast.Name) and each.id == "placements" for each in call.args)
    return False


def status_writers(tree):
    """The lines that insert placements, and those that set a status in an update of them."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for call in calls:
        if is_statement(call, "insert"):
            yield call.lineno
        if isinstance(call.func, ast.Attribute) and call.func.attr == "values":
            begins = [each for each in ast.walk(call.func) if isinstance(each, ast.Call)]
            names = {each.arg for each in call.keywords} | {
                key.value
                for argument in call.args
                if isinstance(argument, ast.Dict)
                for key in argument.keys
                if isinstance(key, ast.Constant)
            }
            if "status" in names and any(is_statement(each, "update") for each in begins):
                yield call.lineno


def test_no_other_module_writes_a_status():
    """Whoever wants another status asks ``transitions``; migrations aside, which are frozen."""
    found = {
        str(file.relative_to(PACKAGE)): lines
        for file in sorted(PACKAGE.rglob("*.py"))
        if "migrations" not in file.parts and (lines := list(status_writers(ast.parse(file.read_text()))))
    }
    assert list(found) == ["ledger/transitions.py"]
    assert len(found["ledger/transitions.py"]) == 3  # start, claim, move; revise is given its columns


@pytest.mark.parametrize("detail", [None, "because"])
async def test_a_revision_keeps_to_the_table(ledger, detail):
    """What waits may stay where it is, and whatever is told of nothing; all else is refused, and nothing is written."""
    await plan_one(ledger)
    sent = await claim(ledger)
    for from_ in Status:
        for to in Status:
            stays = from_ is to and (detail is None or from_ in WAITING)
            with ledger._engine.begin() as connection:
                connection.execute(update(placements).values(status=from_))
            events = len((await life(ledger))["events"])
            with ledger._engine.begin() as connection:
                change = (connection, Seen(sent.id, from_, 1), {"status": to.value}, detail, NOON, "run-1")
                if to in TRANSITIONS[from_] or stays:
                    assert transitions.revise(*change), (from_, to)
                else:
                    with pytest.raises(TransitionRefused):
                        transitions.revise(*change)
            found = await life(ledger)
            is_changed = to in TRANSITIONS[from_] or stays
            assert found["status"] == (to if is_changed else from_)
            assert len(found["events"]) - events == (is_changed and detail is not None), (from_, to)


async def test_a_revision_of_what_has_changed_since_changes_nothing(ledger):
    """Another run has sent it."""
    await plan_one(ledger)
    sent = await claim(ledger)
    with ledger._engine.begin() as connection:
        assert not transitions.withdraw(connection, Seen(sent.id, Status.PLANNED, 0), "refunded", NOON, "run-2")
    assert Status.PLACING == (await life(ledger))["status"]
