"""The result of resolving and of an audit: what it leaves undone, and what a person must correct first."""

from collections import Counter
from datetime import date

import pytest

from impactflow.accounts import Halt
from impactflow.audit import Disagreement, Tally
from impactflow.buying.rounds import Round
from impactflow.ledger import Status
from impactflow.models import ProviderName
from impactflow.reports.files import Reported
from impactflow.reports.reconciled import AuditOutcome, ReconcileOutcome
from impactflow.reports.summary import LedgerState, Outcome
from impactflow.window import Window

CNAUGHT = ProviderName.CNAUGHT
REFUSED = Halt("check CNAUGHT_API_KEY", unauthorized=True)


def result(status=Status.PLACED, halt=None, tally=None):
    """A run after which one placement is in a status."""
    counts = {(CNAUGHT, status): 1}
    rounds = {CNAUGHT: Round(0, halt) if halt else Round(0)}
    resolved = Outcome(
        None, LedgerState(counts, counts), rounds, requests=1, duration_s=0.1, report=Reported("r.csv", None, ())
    )
    days = Window(date(2026, 3, 1), date(2026, 3, 2))
    return ReconcileOutcome(resolved, AuditOutcome(days, {CNAUGHT: tally}, (), "a.csv") if tally else None)


@pytest.mark.parametrize("status", Status)
def test_doubts_and_parked_placements_are_left_undone_and_no_others(status):
    """What is planned or failed is the business of a run that places; the JSON says the same as the exit status."""
    done = result(status)
    assert (status in {Status.PLACING, Status.IN_DOUBT, Status.PARKED}) == done.undone == done.as_json()["undone"]


def test_an_audit_that_disagrees_or_ended_early_is_left_undone():
    """One that agrees is not."""
    assert not result(tally=Tally(read=3, agreed=3)).undone
    assert result(tally=Tally(read=3, found=Counter({Disagreement.DUPLICATE: 1}))).undone
    assert not result(tally=Tally(read=3, found=Counter({Disagreement.DUPLICATE: 1}), repaired=1)).undone
    assert result(tally=Tally(halted=Halt("it is down"))).undone


@pytest.mark.parametrize(("halt", "tally"), [(REFUSED, None), (None, Tally(halted=REFUSED))])
def test_a_key_that_was_not_accepted_is_for_a_person_to_correct(halt, tally):
    """By the doubts or by the audit; a provider that is only down is not."""
    assert (None, "check CNAUGHT_API_KEY") == (
        result(halt=Halt("it is down")).refused,
        result(Status.PLACED, halt, tally).refused,
    )


def test_without_an_audit_the_json_has_none():
    """As ever."""
    assert "audit" not in result().as_json()
    assert {"providers", "findings", "remaining", "csv"} <= result(tally=Tally()).as_json()["audit"].keys()
