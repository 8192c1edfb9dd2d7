"""``place --webhooks --dry-run`` says what deliveries that wait would earn; nothing is written, no server started."""

from processes import sandbox_thread
from webhook_senders import shopify_paid
from world import TREES, policy_of

POLICY = """\
store: acme
at_most_days_old: unlimited
rules:
- {slot: trees, provider: oneclickimpact, impact: plant_trees, quantity: {per_item: 1}}
"""


async def deliveries(world, run):
    await shopify_paid(run, 1)
    await shopify_paid(run, 2)
    await shopify_paid(run, 3, total_price="a lot")


def test_what_webhooks_told_of_is_shown_before_anything_is_bought(terminal):
    """Also what cannot be read, for which the exit status is 1; the deliveries wait as before."""
    terminal.fill(deliveries, policy=policy_of(TREES))
    (terminal.folder / "policy.yaml").write_text(POLICY)
    with sandbox_thread([]) as sandbox:
        terminal.set(**{name: value for name, value in sandbox.variables.items() if "WICKED" not in name})
        result, shown = (terminal.type("place", "--webhooks", "--dry-run", *args) for args in (["--json"], []))
        assert sandbox.purchases() == []
    assert (result.status, result.json["would_place"], result.json["orders"]["broken"]) == (1, 2, 1)
    assert result.json["totals"][0]["quantity"] == 4
    assert "No orders are read, only what webhook deliveries told of." in shown.out
    assert terminal.type("status", "--json").json["waiting_deliveries"][0]["count"] == 3


def test_without_a_ledger_nothing_waits_and_none_is_made(terminal):
    """As with any dry run."""
    (terminal.folder / "policy.yaml").write_text(POLICY)
    with sandbox_thread([]) as sandbox:
        terminal.set(**sandbox.variables)
        ended = terminal.type("place", "--webhooks", "--dry-run", "--json")
    assert (ended.status, ended.json["would_place"]) == (0, 0)
    assert [file.name for file in terminal.folder.iterdir()] == ["policy.yaml"]


def test_a_dry_run_needs_no_key_of_a_seller_and_says_what_it_could_not_look_at(terminal):
    """What would be bought is known without one; the way to try all of it is named."""
    terminal.fill(deliveries, policy=policy_of(TREES))
    (terminal.folder / "policy.yaml").write_text(POLICY)
    output = terminal.type("place", "--webhooks", "--dry-run", "--json").json
    assert (output["would_place"], output["wrong_options"]) == (2, [])
    [note] = output["notes"]
    assert note.startswith("What oneclickimpact has sold to this store was not looked at, as a run does first: ")
    assert "ONECLICKIMPACT_API_KEY is not set" in note
    assert terminal.type("place", "--webhooks").status == 2
