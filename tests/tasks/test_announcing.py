"""Events stay small, and a failure to tell never fails a run that has bought."""

import json
from datetime import UTC, datetime
from fractions import Fraction

import pytest
from world import TREES

from impactflow.ledger import CapUse, Group, Status
from impactflow.ledger.activity import GroupLine
from impactflow.models import ProviderName
from impactflow.policy import Policy
from impactflow.reports.capped import Reached
from tasks import announcing

CAP = {"per": "day", "slot": "trees", "quantity": 10}
NOW = datetime(2026, 1, 31, tzinfo=UTC)
GROUP = Group(
    store="acme",
    provider=ProviderName.CNAUGHT,
    status=Status.PARKED,
    count=1_000_000,
    since=NOW,
    first=[GroupLine("WR-" + "7" * 1_000_000, "trees", "because " * 100_000, NOW)] * 20,
)


def test_f8_an_event_is_small_whatever_it_tells_of(monkeypatch: pytest.MonkeyPatch):
    """Prefect refuses one above 1.5 MB."""
    events = []
    monkeypatch.setattr(announcing, "emit_event", lambda **event: events.append(event))
    announcing._emit(announcing._emit_event, "parked", GROUP)
    assert len(json.dumps(events)) < 20_000
    assert 1_000_000 == events[0]["payload"]["count"]


def test_a_cap_is_warned_of_in_its_own_unit(monkeypatch: pytest.MonkeyPatch):
    """With what an automation matches by."""
    events = []
    monkeypatch.setattr(announcing, "emit_event", lambda **event: events.append(event))
    policy = Policy.model_validate({"store": "acme", "rules": [TREES], "caps": [CAP]})
    [cap] = policy.caps_at(NOW)
    announcing._emit(announcing._emit_cap, "acme", Reached(CapUse(cap, Fraction(8), 2), 80), NOW)
    [event] = events
    assert ("impactflow.cap.used", "80") == (event["event"], event["resource"]["impactflow.percent"])
    assert ("8", "10", "tree", 2) == tuple(event["payload"][name] for name in ("used", "most", "unit", "waiting"))
    json.dumps(event)


def test_f8_an_event_that_is_refused_fails_no_run(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    """The log says so."""

    def refuse(**_: object) -> None:
        raise ValueError("too large")

    monkeypatch.setattr(announcing, "emit_event", refuse)
    announcing._emit(announcing._emit_event, "parked", GROUP)
    assert "could not be told" in caplog.text
