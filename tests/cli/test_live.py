"""``live`` in a policy: where purchases are to be real, hosts for tests are refused; where not, real ones."""

import pytest
from processes import order, sandbox_thread
from world import GIVING, TREES, policy_of

from impactflow.buying.hosts import wrong_hosts
from impactflow.models import ProviderName
from impactflow.policy import load_policy
from impactflow.settings import Settings

POLICY = """\
store: acme
{live}
rules:
- {{slot: trees, provider: oneclickimpact, impact: plant_trees, quantity: {{per_order: 1}}}}
- {{slot: giving, provider: impactapi, impact: donate, campaign: trees, quantity: {{percent_of_order: 1}}}}
"""
REAL, TEST = "https://api.1clickimpact.com", "https://sandbox.1clickimpact.com"
REAL_TOO, TEST_TOO = "https://shop.impactapi.co", "https://testing.impactapi.co"
MACHINE = "http://127.0.0.1:9"


async def nothing(_world, _run):
    """An empty ledger."""


def write(terminal, live):
    """A policy that says this, with keys for its two sellers."""
    (terminal.folder / "policy.yaml").write_text(POLICY.format(live=live))
    terminal.set(ONECLICKIMPACT_API_KEY="key", IMPACTAPI_API_KEY="key", WICKED_REPORTS_API_KEY="key")


@pytest.mark.parametrize(
    ("live", "trees", "giving", "refused"),
    [
        (True, REAL, REAL_TOO, []),
        (True, TEST, REAL_TOO, ["sandbox.1clickimpact.com is for tests"]),
        (True, REAL, TEST_TOO, ["testing.impactapi.co is for tests"]),
        (True, MACHINE, TEST_TOO, ["127.0.0.1 is for tests", "testing.impactapi.co is for tests"]),
        (True, "http://localhost:9", REAL_TOO, ["localhost is for tests"]),
        (False, TEST, TEST_TOO, []),
        (False, MACHINE, TEST_TOO, []),
        (False, REAL, TEST_TOO, ["api.1clickimpact.com is real"]),
        (False, TEST, "https://TESTING.impactapi.co", []),
        (False, TEST, "https://testing-shop.impactapi.co", ["testing-shop.impactapi.co is real"]),
        (None, REAL, TEST_TOO, []),
        (None, TEST, REAL_TOO, []),
    ],
)
def test_hosts_that_are_not_as_real_as_the_policy_says_are_refused(live, trees, giving, refused):
    """Each by its name."""
    settings = Settings(_env_file=None, oneclickimpact_url=trees, impactapi_url=giving)
    wrong = wrong_hosts(policy_of(TREES, GIVING, live=live), settings)
    assert sorted(host for each in wrong.values() for host in refused if host in each) == sorted(refused)
    assert len(wrong) == len(refused)


def test_a_seller_that_is_gone_from_the_policy_counts_where_it_has_a_key():
    """A doubt there may be sent again."""
    policy, used = policy_of(TREES, live=False), [ProviderName.CNAUGHT]
    without = Settings(_env_file=None, oneclickimpact_url=TEST)
    with_key = Settings(_env_file=None, oneclickimpact_url=TEST, cnaught_api_key="key")
    assert ([*wrong_hosts(policy, without, used)], [*wrong_hosts(policy, with_key, used)]) == ([], used)


def test_doctor_names_the_hosts(terminal):
    """And whether they are real."""
    with sandbox_thread([]) as sandbox:
        write(terminal, "live: false")
        terminal.set(**sandbox.variables)
        said = [check["said"] for check in terminal.type("doctor", "--json").json["checks"] if check["what"] == "live"]
    assert said == ["false; impactapi at 127.0.0.1 (tests), oneclickimpact at 127.0.0.1 (tests)"]


def test_refunds_are_not_undone_at_the_wrong_hosts_either(terminal):
    """Nothing is asked there."""
    ledger = terminal.fill(nothing)
    with sandbox_thread([order(1)]) as sandbox:
        write(terminal, "live: true")
        terminal.set(**sandbox.variables, IMPACTFLOW_LEDGER_URL=ledger)
        ended = terminal.type("refunds", "--json")
        assert (ended.status, "127.0.0.1 is for tests" in ended.json["error"]) == (2, True)


def test_a_run_that_would_buy_at_the_wrong_hosts_is_refused_before_it_begins(terminal):
    """Not one order is read, and the message says what to write."""
    with sandbox_thread([order(1)]) as sandbox:
        write(terminal, "live: true")
        terminal.set(**sandbox.variables)
        ended = terminal.type("place", "--json")
        assert ended.status == 2
        assert "Set ONECLICKIMPACT_URL to oneclickimpact's real URL, or write live: false" in ended.json["error"]
        assert sandbox.purchases() == []
        terminal.set(IMPACTFLOW_ALLOW_LOOPBACK="1")
        checks = terminal.type("doctor", "--json").json["checks"]
        assert [check["ok"] for check in checks if check["what"] == "live"] == [True]


def test_whether_purchases_are_real_makes_no_other_policy(terminal):
    """So nothing that is planned has to be read again for it."""
    digests = set()
    for live in ("", "live: true", "live: false"):
        write(terminal, live)
        digests.add(load_policy(terminal.folder / "policy.yaml").digest)
    assert len(digests) == 1
