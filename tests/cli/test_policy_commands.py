"""``policy check``, ``policy schema``, ``campaigns`` and ``doctor`` about the policy."""

import json
from pathlib import Path

from processes import sandbox_thread
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
    assert any("slot trees2 of store acme is new" in text for text in wrong)


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


def test_n18_policy_check_says_what_a_policy_means(terminal):
    """Nobody is asked, and no ledger is made."""
    (terminal.folder / "policy.yaml").write_text(POLICY)
    shown, result = terminal.type("policy", "check"), terminal.type("policy", "check", "policy.yaml", "--json")
    assert (shown.status, result.status, result.json["ok"]) == (0, 0, True)
    assert [rule["slot"] for rule in result.json["rules"]] == ["trees", "offset", "giving"]
    assert result.json["rules"][2]["options"] == {"campaign": "trees-for-the-future"}
    assert "percent_of_order 1" in shown.out
    assert [file.name for file in terminal.folder.iterdir()] == ["policy.yaml"]


def test_n18_policy_check_says_units_rounding_and_limits_set_or_not(terminal):
    """A limit of a donation is in cents, which nobody guesses; what is true or false is said as the file has it."""
    changed = POLICY.replace(
        "minimum: 1\n", "minimum: 20\n    approve_above: 50\n    approve_above_per_day: unlimited\n"
    )
    changed = changed.replace("quantity: {per_order: 1}", "quantity: {per_order: 0.5}\n    when: {first_order: true}")
    (terminal.folder / "policy.yaml").write_text(changed)
    shown, result = terminal.type("policy", "check"), terminal.type("policy", "check", "--json")
    for words in (
        "trees: quantity, minimum and limits are in trees; bought whole, rounded to the nearest, halves up",
        "up to 500 trees for one order (the default), up to 50,000 trees planned on one UTC day (the default)",
        "offset: quantity, minimum and limits are in kg; bought in whole grams",
        "giving: quantity, minimum and limits are in cents",
        "nothing below 0.2 USD (20 cents)",
        "up to 0.5 USD (50 cents) for one order, any amount planned on one UTC day",
        "first_order true",
        "with per_order 0.5 trees an order earns 1",
    ):
        assert words in shown.out
    trees, _, giving = result.json["rules"]
    assert (trees["approve_above"], trees["approve_above_is_default"]) == (500, True)
    assert (giving["counts_in"], giving["minimum"], giving["approve_above"]) == ("cents", 20, 50)
    assert (giving["approve_above_per_day"], giving["rounding"]) == (None, "nearest")


def test_n18_policy_check_names_a_currency_that_does_not_exist(terminal):
    """A remark, and no error: the file is as it was."""
    (terminal.folder / "policy.yaml").write_text(POLICY.replace("[USD, EUR, GBP]", "[USD, EUX]"))
    ended = terminal.type("policy", "check", "--json")
    assert (ended.status, ended.json["ok"]) == (0, True)
    assert any("EUX is not a currency" in note for note in ended.json["notes"])


def test_n18_policy_check_says_where_a_policy_is_wrong(terminal):
    """With the line; and names rates by which nothing would be bought."""
    (terminal.folder / "policy.yaml").write_text(POLICY.replace("per_order: 1", "per_oder: 1"))
    ended = terminal.type("policy", "check", "--json")
    assert ended.status == 2
    assert "line" in ended.json["error"]
    (terminal.folder / "policy.yaml").write_text(POLICY.replace("EUR: 1.08", "JPY: 175.68"))
    ended = terminal.type("policy", "check", "--json")
    assert ended.status == 2
    assert "JPY" in ended.json["wrong"][0]


def test_n18_the_schema_is_indented_unless_a_program_reads_it(terminal):
    """The same object."""
    shown, result = terminal.type("policy", "schema"), terminal.type("policy", "schema", "--json")
    assert len(shown.out.splitlines()) > 100
    assert json.loads(shown.out) == result.json


def test_n18_campaigns_lists_what_can_be_given_to(terminal):
    """As a rule names it."""
    with sandbox_thread([]) as sandbox:
        terminal.set(**sandbox.variables)
        shown, result = terminal.type("campaigns"), terminal.type("campaigns", "--json")
    slugs = [each["campaign"] for each in result.json["campaigns"]]
    assert (shown.status, "trees-for-the-future" in slugs) == (0, True)
    assert all(slug in shown.out for slug in slugs)


def test_n18_campaigns_without_a_key_names_the_variable(terminal):
    """In one line."""
    ended = terminal.type("campaigns", "--json")
    assert ended.status == 2
    assert "IMPACTAPI_" in ended.json["error"]


def test_n24_doctor_looks_at_another_policy(terminal):
    """One that is tried before it takes the other's place."""
    (terminal.folder / "other.yaml").write_text(POLICY.replace("store: acme", "store: other"))
    ended = terminal.type("doctor", "--policy", "other.yaml", "--json")
    assert any("3 rules for store other" in check["said"] for check in ended.json["checks"])


def test_n24_version_and_short_help(terminal):
    """As everywhere."""
    from importlib.metadata import version

    assert terminal.type("--version").out == f"impactflow {version('impactflow')}\n"
    assert "Set up" in terminal.type("-h").out
    assert "Example: impactflow show" in terminal.type("show", "-h").out


def test_n24_the_help_of_place_shows_each_source_of_orders():
    """An example for each."""
    from typer.main import get_command

    from impactflow.cli.commands import app

    epilog = get_command(app).commands["place"].epilog
    assert all(option in epilog for option in ("--from", "--orders", "--webhooks"))
