"""The receiver serves senders that a file names, by Standard Webhooks; and the commands that try and dismiss."""

import asyncio
import base64
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from ledgers import new_ledger
from processes import Impactflow
from standardwebhooks import Webhook

from impactflow.clock import SystemClock
from impactflow.errors import ConfigurationError
from impactflow.intake.senders.mapping import load_senders
from impactflow.ledger import Delivery, Ledger
from impactflow.policy import load_policy
from impactflow.proof.programs import base_environment
from impactflow.settings import load_settings
from impactflow.webhooks.app import make_app
from impactflow.webhooks.bounds import Bounds
from impactflow.webhooks.refusals import Refusals
from impactflow.webhooks.sources import Secrets

ROOT = Path(__file__).parents[2]
DOCUMENTED = ROOT / "docs" / "senders.yaml"
SECRET = "whsec_" + base64.b64encode(b"a made-up secret of Polar's 1234").decode()
ORDER = {
    "id": "o1",
    "created_at": "2026-11-20T10:00:00Z",
    "net_amount": 8010,
    "currency": "usd",
    "customer": {"email": "ana@example.com"},
}
PAID = {"type": "order.paid", "timestamp": "2026-11-20T10:00:05Z", "data": ORDER}


def signed(body, *, prefix="webhook", secret=SECRET, name="msg_1"):
    """A delivery as a sender of Standard Webhooks sends it: content and headers."""
    content, at = json.dumps(body).encode(), datetime.now(UTC)
    signature = Webhook(secret).sign(name, at, content.decode())
    headers = {"id": name, "timestamp": str(int(at.timestamp())), "signature": signature}
    return {"content": content, "headers": {f"{prefix}-{each}": value for each, value in headers.items()}}


@pytest.fixture
def client(ledger, monkeypatch, tmp_path):
    """The receiver of Polar, whose secret is set; Etsy's is not."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IMPACTFLOW_SENDERS", str(DOCUMENTED))
    monkeypatch.setenv("IMPACTFLOW_POLAR_SECRETS", SECRET)
    settings = load_settings()
    secrets = Secrets.of(settings, load_senders(settings.impactflow_senders).schemes)
    clock = SystemClock()
    app = make_app(ledger, "acme", secrets, clock, Bounds(), Refusals(ledger, "acme", clock))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://receiver")


@pytest.mark.parametrize("prefix", ["webhook", "svix"])
async def test_c18_a_delivery_of_a_mapped_sender_is_stored_once(ledger, client, prefix):
    """Under the sender's own name; Svix may call the headers by its own."""
    async with client:
        answers = [await client.post("/webhooks/polar", **signed(PAID, prefix=prefix)) for _ in range(2)]
    [delivery] = await ledger.pending_deliveries("acme")

    assert [(202, "stored"), (200, "known")] == [(each.status_code, each.json()["result"]) for each in answers]
    assert ("polar", "msg_1", "order.paid") == (delivery.source, delivery.webhook_id, delivery.topic)
    assert delivery.body == json.dumps(PAID).encode()


async def test_c18_what_a_mapping_does_not_list_is_not_kept_and_what_is_not_proven_is_refused(ledger, client):
    """Etsy has no secret, so that nobody answers there."""
    other = "whsec_" + base64.b64encode(b"another secret of another sender").decode()
    async with client:
        sent = [
            await client.post("/webhooks/polar", **signed(PAID | {"type": "customer.created"})),
            await client.post("/webhooks/polar", **signed({"data": {}})),
            await client.post("/webhooks/polar", **signed(PAID, secret=other)),
            await client.post("/webhooks/polar", **signed(PAID) | {"content": b"{}"}),
            await client.post("/webhooks/etsy", **signed(PAID)),
        ]
    assert [202, 400, 401, 401, 404] == [each.status_code for each in sent]
    assert "ignored" == sent[0].json()["result"]
    assert "topic" in sent[1].json()["error"]
    assert [] == await ledger.pending_deliveries("acme")


async def test_c18_a_secret_of_polars_older_kind_fits_once_it_is_encoded(ledger, client, monkeypatch):
    """Before 2026-09-08 Polar made the key of all letters of the secret; docs/webhooks.md says what to set."""
    old = "polar_whs_made-up"
    encoded = base64.b64encode(old.encode()).decode()
    monkeypatch.setenv("IMPACTFLOW_POLAR_SECRETS", f"{SECRET} {encoded}")
    secrets = Secrets.of(load_settings(), load_senders(DOCUMENTED).schemes)
    clock = SystemClock()
    app = make_app(ledger, "acme", secrets, clock, Bounds(), Refusals(ledger, "acme", clock))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://receiver") as receiver:
        answer = await receiver.post("/webhooks/polar", **signed(PAID, secret=encoded))
    assert 202 == answer.status_code

    monkeypatch.setenv("IMPACTFLOW_POLAR_SECRETS", old)
    with pytest.raises(ConfigurationError, match="IMPACTFLOW_POLAR_SECRETS"):
        Secrets.of(load_settings(), load_senders(DOCUMENTED).schemes)


def test_a_secret_may_stand_in_the_env_file(monkeypatch, tmp_path):
    """As any other; the environment wins."""
    monkeypatch.chdir(tmp_path)
    schemes = load_senders(DOCUMENTED).schemes
    (tmp_path / ".env").write_text(f"IMPACTFLOW_POLAR_SECRETS={SECRET}\n")
    assert {"polar": (SECRET,)} == Secrets.of(load_settings(), schemes).signing
    other = "whsec_" + base64.b64encode(b"another secret of another sender").decode()
    monkeypatch.setenv("IMPACTFLOW_POLAR_SECRETS", other)
    assert {"polar": (other,)} == Secrets.of(load_settings(), schemes).signing


@pytest.fixture
def command(tmp_path):
    """The command line with a policy, a ledger and the documented senders."""
    shutil.copy(ROOT / "policy.yaml", tmp_path)
    new_ledger(tmp_path / "impactflow.db")
    return Impactflow(tmp_path, base_environment(tmp_path) | {"IMPACTFLOW_SENDERS": str(DOCUMENTED)})


def test_c18_a_mapping_is_tried_on_a_file(command, tmp_path):
    """In plain words or as JSON; exit 1 where it is broken, 2 where there is no such sender; no address is repeated."""
    paid, broken = tmp_path / "paid.json", tmp_path / "broken.json"
    paid.write_text(json.dumps(PAID))
    broken.write_text(json.dumps(PAID | {"data": ORDER | {"net_amount": "80.10"}}))
    before = (tmp_path / "impactflow.db").read_bytes()

    read = command.run("webhooks", "try", str(paid), "--sender", "polar", "--json", timeout_s=60)
    assert (0, "paid", "polar:o1", "80.10", "USD", True) == (
        read.status, *(read.json[name] for name in ("means", "order", "amount", "currency", "has_customer_email"))
    )  # fmt: skip
    in_words = command.run("webhooks", "try", str(paid), "--sender", "polar", timeout_s=60)
    assert (0, True) == (in_words.status, in_words.out.startswith("Paid: order polar:o1 was sold."))
    wrong = command.run("webhooks", "try", str(broken), "--sender", "polar", timeout_s=60)
    assert (1, True) == (wrong.status, "data.net_amount" in wrong.out)
    unknown = command.run("webhooks", "try", str(paid), "--sender", "pola", "--json", timeout_s=60)
    assert (2, True) == (unknown.status, "polar, etsy" in unknown.json["error"])
    assert not any("ana@example.com" in each.out + each.err for each in (read, in_words, wrong, unknown))
    assert (tmp_path / "impactflow.db").read_bytes() == before


def test_c18_n16_what_could_not_be_read_is_dismissed_and_the_exit_status_is_0_again(command, tmp_path):
    """`status` and `show` say how; `show` says afterwards who did it and why."""
    from impactflow.intake.deliveries import process

    policy = load_policy(ROOT / "policy.yaml")
    with Ledger.open(f"sqlite:///{tmp_path / 'impactflow.db'}") as ledger:
        clock, content = SystemClock(), json.dumps(PAID | {"data": {"id": "o1"}}).encode()
        delivery = Delivery(policy.store, "polar", "msg_1", "order.paid", clock.now(), content)
        asyncio.run(ledger.store_delivery(delivery))
    with Ledger.open(f"sqlite:///{tmp_path / 'impactflow.db'}") as ledger:
        asyncio.run(process(ledger, policy, clock, "run", load_senders(DOCUMENTED)))

    listed = command.run("status", timeout_s=60)
    assert (1, True, True) == (listed.status, "polar:o1" in listed.out, "impactflow dismiss 'NAME'" in listed.out)
    assert "impactflow dismiss 'NAME'" in command.run("show", "polar:o1", timeout_s=60).out
    assert 2 == command.run("dismiss", "polar:o1", "--why", " ", timeout_s=60).status
    done = command.run("dismiss", "polar:o1", "--why", "a test of ours", "--by", "ana", "--json", timeout_s=60)
    assert (0, "polar:o1", "ana", "a test of ours") == (
        done.status, *(done.json[name] for name in ("dismissed", "by", "why"))
    )  # fmt: skip

    after = command.run("status", "--json", timeout_s=60)
    assert (0, []) == (after.status, after.json["broken_orders"])
    story = command.run("show", "polar:o1", timeout_s=60).out
    assert "dismissed by ana: a test of ours" in story
    assert "impactflow dismiss" not in story
    assert 2 == command.run("dismiss", "polar:o1", "--why", "again", timeout_s=60).status
