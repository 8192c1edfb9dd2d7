"""``doctor`` marks what is right, what is wrong, and what a person may want to change."""

import os

POLICY = """\
store: acme
rules:
- {slot: trees, provider: oneclickimpact, impact: plant_trees, quantity: {per_order: 1}}
"""


def test_topics_that_never_came_are_a_note_and_only_those_that_each_shop_is_told_to_add(terminal):
    """``order.restored`` is for shops that take orders out of the trash again."""
    (terminal.folder / "policy.yaml").write_text(POLICY)
    terminal.set(IMPACTFLOW_WOOCOMMERCE_SECRETS="hush-hush-hush-hush-hush-hush-hush")
    shown, output = terminal.type("doctor").out, terminal.type("doctor", "--json").json
    assert "note  webhooks: woocommerce has not sent order.created, order.deleted, order.updated yet" in shown
    assert "ok    webhooks: woocommerce has not" not in shown
    assert "restored" not in shown
    assert [check["ok"] for check in output["checks"] if check["note"]] == [True]


def test_a_ledger_that_cannot_be_made_is_wrong(terminal):
    """``place`` would fail for it."""
    (terminal.folder / "policy.yaml").write_text(POLICY)
    terminal.environment.setattr(os, "access", lambda *_: False)
    checks = {check["what"]: check for check in terminal.type("doctor", "--json").json["checks"]}
    assert (checks["ledger"]["ok"], checks["ledger"]["status"]) == (False, 2)
    assert f"none can be made in {terminal.folder}" in checks["ledger"]["said"]


def test_a_decision_that_is_none_is_said_in_our_words(terminal):
    """With those that there are."""
    ended = terminal.type("settle", "WR-1", "trees", "--as", "bogus", "--json")
    assert ended.status == 2
    assert ended.json["error"].endswith("'bogus' is no decision: write bought, not-bought or given-up")
