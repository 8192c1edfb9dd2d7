"""``policy check``, ``policy schema``, ``campaigns`` and ``doctor`` about the policy."""

from pathlib import Path

from world import OFFSET, TREES, policy_of, sold

POLICY = (Path(__file__).parents[2] / "policy.yaml").read_text()


async def bought(world, run):
    await world.plan(run)
    await world.place_all(run)


def test_n9_doctor_names_a_slot_that_is_gone_from_the_policy(terminal):
    """Before anything is bought again."""
    terminal.fill(bought, policy=policy_of(TREES, OFFSET), orders=[sold(1)])
    (terminal.folder / "policy.yaml").write_text(POLICY.replace("slot: trees", "slot: trees2"))
    ended = terminal.type("doctor", "--json")
    wrong = [check["said"] for check in ended.json["checks"] if check["what"] == "policy" and not check["ok"]]
    assert ended.status == 2
    assert any("slot trees2 of store acme is new" in said for said in wrong)


def test_n9_place_refuses_it_before_a_server_is_started(terminal):
    """With exit status 2."""
    terminal.fill(bought, policy=policy_of(TREES), orders=[sold(1)])
    (terminal.folder / "policy.yaml").write_text(
        "store: acme\nrules:\n- {slot: wood, provider: oneclickimpact, impact: plant_trees, quantity: {per_order: 1}}\n"
    )
    terminal.set(ONECLICKIMPACT_API_KEY="a-key-of-no-account", WICKED_REPORTS_API_KEY="a-key-of-no-account")
    ended = terminal.type("place", "--json")
    assert ended.status == 2
    assert "new_slots: [wood]" in ended.json["error"]
