"""``impactflow webhooks`` as a process: what it prints, what it refuses, how it ends."""

import json
import shutil
import signal
import socket
from pathlib import Path

import httpx
import pytest

from benchmarks.storm.senders import SECRETS, VARIABLES, signed
from impactflow.ledger import Ledger
from impactflow.proof.programs import Impactflow, base_environment, finish

POLICY = Path(__file__).parents[2] / "policy.yaml"


@pytest.fixture
def command(empty_ledger, tmp_path):
    """The command line with a policy, a ledger and every secret."""
    shutil.copy(POLICY, tmp_path)
    shutil.copy(empty_ledger, tmp_path / "impactflow.db")
    secrets = {VARIABLES[source]: secret for source, secret in SECRETS.items()}
    return Impactflow(tmp_path, base_environment(tmp_path) | secrets)


def test_it_serves_what_has_a_secret_and_ends_in_peace(command, tmp_path):
    """One line of JSON once it listens; SIGTERM is exit 0; nothing secret is printed, Prefect is not imported."""
    process = command.but(IMPACTFLOW_STRIPE_SECRETS=None).start("webhooks", "--port", "0", "--json")
    told = json.loads(process.stdout.readline())
    post = signed("shopify", "d1")
    modules = Path(f"/proc/{process.pid}/maps")
    with httpx.Client(base_url=told["url"], trust_env=False) as client:
        statuses = [client.post(post.path, content=post.body, headers=post.headers).status_code for _ in range(2)]
        statuses += [client.get("/health").status_code, client.post("/webhooks/stripe").status_code]
    assert not modules.exists() or "prefect" not in modules.read_text()
    process.send_signal(signal.SIGTERM)
    ended = finish(process, 20)
    with Ledger.open(f"sqlite:///{tmp_path / 'impactflow.db'}") as ledger:
        ledger.close()

    assert [202, 200, 200, 404] == statuses
    assert told["not_served"] == {"stripe": "IMPACTFLOW_STRIPE_SECRETS"}
    assert told["addresses"]["shopify"] == told["url"] + "/webhooks/shopify"
    assert (0, "") == (ended.status, ended.out)
    assert not any(secret in ended.err for secret in SECRETS.values())
    assert "PREFECT_API_URL is not set" in ended.err


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (dict.fromkeys(VARIABLES.values()), "IMPACTFLOW_SHOPIFY_SECRETS"),
        ({"IMPACTFLOW_CALLBACK_SECRET": "short"}, "IMPACTFLOW_CALLBACK_SECRET: must have at least 16 characters"),
        ({"IMPACTFLOW_WEBHOOK_SECRETS": "whsec_"}, "IMPACTFLOW_WEBHOOK_SECRETS"),
        ({"PREFECT_API_URL": "nowhere"}, "PREFECT_API_URL"),
    ],
)
def test_wrong_settings_are_named(command, changes, named):
    """Exit 2 with the variable to set, before anything is served."""
    ended = command.but(**changes).run("webhooks", "--port", "0", "--json", timeout_s=30)

    assert ended.status == 2
    assert named in ended.json["error"]


def test_a_port_that_is_taken_is_wrong_usage(command):
    """Exit 2, and the option is named."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = command.run("webhooks", "--port", str(taken.getsockname()[1]), "--json", timeout_s=30)

    assert ended.status == 2
    assert "--port" in ended.json["error"]
