"""``impactflow webhooks`` as a process: what it prints, what it refuses, how it ends."""

import asyncio
import json
import shutil
import signal
import socket
import subprocess
import sys
from datetime import date
from pathlib import Path

import httpx
import pytest
import typer
from ledgers import new_ledger
from processes import Impactflow

from benchmarks.storm.senders import SECRETS, VARIABLES, signed
from impactflow.cli.webhooks import serve_webhooks
from impactflow.errors import ConfigurationError
from impactflow.ledger import Ledger
from impactflow.proof.programs import base_environment, finish
from impactflow.settings import load_settings
from impactflow.webhooks.sources import Secrets

POLICY = Path(__file__).parents[2] / "policy.yaml"


@pytest.fixture
def command(tmp_path):
    """The command line with a policy, a ledger and every secret."""
    shutil.copy(POLICY, tmp_path)
    new_ledger(tmp_path / "impactflow.db")
    secrets = {VARIABLES[source]: secret for source, secret in SECRETS.items()}
    return Impactflow(tmp_path, base_environment(tmp_path) | secrets)


def test_o9_it_serves_what_has_a_secret_and_ends_in_peace(command, tmp_path):
    """One line of JSON once it listens; SIGTERM is exit 143; nothing secret is printed, and what came is on disk."""
    process = command.but(IMPACTFLOW_STRIPE_SECRETS=None).start("webhooks", "--port", "0", "--json")
    output = json.loads(process.stdout.readline())
    post = signed("shopify", "d1")
    with httpx.Client(base_url=output["url"], trust_env=False) as client:
        statuses = [client.post(post.path, content=post.body, headers=post.headers).status_code for _ in range(2)]
        statuses += [client.get("/health").status_code, client.post("/webhooks/stripe").status_code]
    process.send_signal(signal.SIGTERM)
    ended = finish(process, 20)
    with Ledger.open(f"sqlite:///{tmp_path / 'impactflow.db'}") as ledger:
        [delivery] = asyncio.run(ledger.pending_deliveries("acme"))

    assert [202, 200, 200, 404] == statuses
    assert delivery.body == post.body
    assert output["not_served"] == {"stripe": "IMPACTFLOW_STRIPE_SECRETS"}
    assert output["addresses"]["shopify"] == output["url"] + "/webhooks/shopify"
    assert (143, "") == (ended.status, ended.out)
    assert not any(secret in ended.err for secret in SECRETS.values())
    assert ended.err.count("INFO stored 1 delivery of shopify: 1 ") == 1
    assert "PREFECT_API_URL is not set: what comes waits for the next `impactflow place --webhooks`" in ended.err  # B2


def test_c20_what_was_refused_is_counted_although_the_receiver_is_ended_at_once(command, tmp_path):
    """The last numbers are kept before it ends; the log says so once."""
    process = command.start("webhooks", "--port", "0", "--json")
    output = json.loads(process.stdout.readline())
    post = signed("shopify", "d1", secret="another-secret-altogether")
    with httpx.Client(base_url=output["url"], trust_env=False) as client:
        statuses = [client.post(post.path, content=post.body, headers=post.headers).status_code for _ in range(3)]
    process.send_signal(signal.SIGTERM)
    ended = finish(process, 20)
    with Ledger.open(f"sqlite:///{tmp_path / 'impactflow.db'}") as ledger:
        refused = asyncio.run(ledger.refused(date(2000, 1, 1)))

    assert ([401, 401, 401], 143) == (statuses, ended.status)
    assert {"shopify": {401: 3}} == refused
    assert 1 == ended.err.count("of shopify was refused: 1 with a bad signature (401)")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (dict.fromkeys(VARIABLES.values()), "IMPACTFLOW_SHOPIFY_SECRETS"),
        ({"PREFECT_API_URL": "nowhere"}, "PREFECT_API_URL"),
    ],
)
def test_wrong_settings_are_named(command, changes, named):
    """Exit 2 with the variable to set, before anything is served."""
    ended = command.but(**changes).run("webhooks", "--port", "0", "--json", timeout_s=30)

    assert ended.status == 2
    assert named in ended.json["error"]


@pytest.mark.parametrize(
    ("variable", "secret"),
    [
        ("IMPACTFLOW_CALLBACK_SECRET", "short"),
        ("IMPACTFLOW_WEBHOOK_SECRETS", "whsec_"),
        ("IMPACTFLOW_WEBHOOK_SECRETS", "a"),
        ("IMPACTFLOW_WEBHOOK_SECRETS", "whsec_" + "YS1b-2xlc3M_b2YgYWxsIGxldHRlcnM="),
        ("IMPACTFLOW_WEBHOOK_SECRETS", "whsec_" + "c2hvcnQ="),
        ("IMPACTFLOW_SHOPIFY_SECRETS", "shpat_" + "0" * 32),
        ("IMPACTFLOW_SHOPIFY_SECRETS", "short"),
        ("IMPACTFLOW_WOOCOMMERCE_SECRETS", "cs_" + "0" * 40),
        ("IMPACTFLOW_WOOCOMMERCE_SECRETS", "kQ3nV0tYx,Lw2a [uP;8 }m{Zr"),  # one that WooCommerce made up, in pieces
        ("IMPACTFLOW_STRIPE_SECRETS", "sk_live_" + "0" * 24),
        ("IMPACTFLOW_STRIPE_SECRETS", "whsec_"),
    ],
)
def test_a_secret_that_cannot_be_used_is_named(monkeypatch, variable, secret):
    """Before anything is served with it."""
    monkeypatch.setenv(variable, secret)
    with pytest.raises(ConfigurationError, match=variable):
        Secrets.of(load_settings())


def test_secrets_are_listed_with_spaces_or_commas(monkeypatch):
    """Two while one takes the other's place."""
    monkeypatch.setenv("IMPACTFLOW_SHOPIFY_SECRETS", f" {'a' * 32}, {'b' * 32}\t{'c' * 32} ")

    assert Secrets.of(load_settings()).signing == {"shopify": ("a" * 32, "b" * 32, "c" * 32)}


def test_a_port_that_is_taken_is_wrong_usage(monkeypatch):
    """The option is named."""
    monkeypatch.setenv("IMPACTFLOW_SHOPIFY_SECRETS", "a" * 32)
    monkeypatch.setenv("IMPACTFLOW_POLICY", str(POLICY))
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(typer.BadParameter, match="--port"):
        serve_webhooks("127.0.0.1", taken.getsockname()[1], as_json=True)


def test_it_does_not_import_prefect(command):
    """That would cost seconds and a hundred megabytes."""
    code = "import sys, impactflow.cli.webhooks; sys.exit('prefect' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], env=command.variables, check=False, timeout=60).returncode == 0
