"""``impactflow webhooks send`` against a real receiver: what it sends, what it prints, and that a test buys nothing."""

import asyncio
import base64
import json
import re
import shutil
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from ledgers import new_ledger

from benchmarks.storm.senders import SECRETS, VARIABLES
from impactflow.cli.sending import send_deliveries
from impactflow.clock import SystemClock
from impactflow.errors import ConfigurationError, ImpactError
from impactflow.intake.deliveries import process
from impactflow.intake.senders.events import read
from impactflow.intake.senders.mapping import load_senders
from impactflow.intake.senders.samples import TOPICS, Sale, sample
from impactflow.ledger import Delivery, Ledger
from impactflow.policy import Policy
from impactflow.proof.programs import Impactflow, base_environment, finish
from impactflow.webhooks.sources import SCHEMES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
MAPPED = {"polar": ["order.paid", "order.refunded"], "etsy": ["order.paid"]}
KINDS = {**{source: list(topics) for source, topics in TOPICS.items()}, **MAPPED}
SETTINGS = {
    **{VARIABLES[source]: secret for source, secret in SECRETS.items()},
    **{
        f"IMPACTFLOW_{name.upper()}_SECRETS": "whsec_" + base64.b64encode(name.encode() * 8).decode() for name in MAPPED
    },
    "IMPACTFLOW_SENDERS": str(DOCS / "senders.yaml"),
}
#: Under it whatever was paid is bought for, however little is known of it and however long ago it was sold.
ANYTHING = Policy.model_validate(
    {
        "store": "acme",
        "at_most_days_old": "unlimited",
        "rules": [
            {"slot": "trees", "provider": "oneclickimpact", "impact": "plant_trees", "quantity": {"per_order": 1}}
        ],
    }
)


@pytest.fixture(scope="module")
def receiver(tmp_path_factory):
    """A receiver of every sender, as a process: its URL and its ledger's."""
    folder = tmp_path_factory.mktemp("receiver")
    shutil.copy(ROOT / "policy.yaml", folder)
    new_ledger(folder / "impactflow.db")
    process = Impactflow(folder, base_environment(folder) | SETTINGS).start("webhooks", "--port", "0", "--json")
    yield json.loads(process.stdout.readline())["url"], f"sqlite:///{folder / 'impactflow.db'}"
    process.send_signal(signal.SIGTERM)
    finish(process, 20)


@pytest.fixture
def sender(monkeypatch, tmp_path):
    """Whoever sends, with every secret."""
    monkeypatch.chdir(tmp_path)
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)


def sent(capsys, *arguments, url, file=None):
    """What the command prints as JSON, and its exit status."""
    source, kind = (*arguments, None)[:2]
    status = send_deliveries(source, kind, url, file, as_json=True)
    return json.loads(capsys.readouterr().out), status


async def taken_up(ledger):
    """How many placements are planned for what was stored, and what was handled."""
    taken = await process(ledger, ANYTHING, SystemClock(), "run", load_senders(DOCS / "senders.yaml"))
    return sum((await ledger.counts()).values()), taken


def test_there_is_a_sample_of_everything_that_the_receiver_handles_and_the_docs_name():
    """And of nothing else."""
    documented, source = {}, ""
    for line in (DOCS / "webhooks-events.md").read_text().partition("Any other topic")[0].splitlines():
        if found := re.match(r"\|([^|]*)\| (`[^|]+) \|", line):
            source = found[1].split()[0].lower() if found[1].strip() else source
            documented.setdefault(source, []).extend(re.findall(r"`([^`]+)`", found[2]))

    assert {scheme.source: scheme.topics for scheme in SCHEMES} == {name: set(TOPICS[name]) for name in documented}
    assert {name: set(topics) for name, topics in documented.items()} == {
        name: set(topics) for name, topics in TOPICS.items() if name != "cnaught"
    }


@pytest.mark.parametrize("source", KINDS)
def test_o9_a_test_of_each_kind_is_stored_and_buys_nothing(receiver, sender, capsys, source):
    """Also sent again; nothing is planned, broken or held, and `doctor` still says that the sender never told of it."""
    url, ledger_url = receiver
    output, status = sent(capsys, source, url=url)
    again, _ = sent(capsys, source, KINDS[source][0], url=url + "/")
    with Ledger.open(ledger_url) as ledger:
        pending = asyncio.run(ledger.pending_deliveries("acme"))
        planned, taken = asyncio.run(taken_up(ledger))
        broken, topics = asyncio.run(ledger.broken()), asyncio.run(ledger.topics("acme"))

    assert KINDS[source] == [each["kind"] for each in output["deliveries"]]
    assert {"stored"} == {each["result"] for each in [*output["deliveries"], *again["deliveries"]]}
    assert all(200 <= each["status"] < 300 for each in output["deliveries"])
    assert (True, 0) == (output["accepted"], status)
    assert [*KINDS[source], KINDS[source][0]] == [each.topic for each in pending]
    assert (0, 0, 0) == (planned, taken.planned.read, taken.refunds)
    assert [] == list(broken)
    assert source == "cnaught" or source not in {whose for whose, _ in topics}


@pytest.mark.parametrize("source", [source for source in TOPICS if source != "cnaught"])
def test_a_test_order_is_none_by_its_senders_own_mark_too(source):
    """So that nothing is bought where somebody sends it on under another id."""
    now = datetime.now(UTC)
    for topic in TOPICS[source]:
        body = json.dumps(sample(source, topic, "n1", Sale("s1", now, is_test=True))).encode()
        event = read(Delivery("acme", source, "n1", topic, now, body))
        paid = getattr(event, "payments", ())
        assert not ANYTHING.earnings(event).eligible if paid else not paid


def test_what_a_run_will_read_in_a_file_is_said_at_once(receiver, sender, capsys, tmp_path):
    """Stored is not read: what nothing can be read in is told before the run is waited for, and is exit status 1."""
    url, _ = receiver
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    body = sample("shopify", "refunds/create", "r-1", Sale(4711, datetime.now(UTC)))
    good.write_text(json.dumps(body))
    bad.write_text(json.dumps(body | {"transactions": "a lot"}))
    (read, fine), (broken, status) = (
        sent(capsys, "shopify", "refunds/create", url=url, file=each) for each in (good, bad)
    )
    assert (fine, status, broken["accepted"]) == (0, 1, False)
    assert "of order id:shopify:4711" in read["deliveries"][0]["means"]
    assert "field transactions: it is no list" in broken["deliveries"][0]["means"]


def test_a_file_is_sent_as_it_is_and_bought_for(receiver, sender, capsys, tmp_path):
    """That is what tells it from a test; sent again, it is known."""
    url, ledger_url = receiver
    file = tmp_path / "order.json"
    file.write_text(json.dumps(sample("woocommerce", "order.updated", "", Sale(1843, datetime.now(UTC)))))
    (first, _), (again, status) = (sent(capsys, "woocommerce", "order.updated", url=url, file=file) for _ in range(2))
    with Ledger.open(ledger_url) as ledger:
        planned, _ = asyncio.run(taken_up(ledger))

    assert ["stored", "known"] == [each["deliveries"][0]["result"] for each in (first, again)]
    assert (0, 1) == (status, planned)


@pytest.mark.parametrize(
    ("content", "raises", "named"),
    [
        (b"\xff", ConfigurationError, "no JSON object"),
        (b"[]", ConfigurationError, "no JSON object"),
        (b'{"type": "charge.refunded"}', typer.BadParameter, "about charge.refunded, not about refund.failed"),
    ],
)
def test_a_file_that_is_not_what_was_said_is_not_sent(sender, tmp_path, content, raises, named):
    """Or what is printed would be of something else."""
    file = tmp_path / "event.json"
    file.write_bytes(content)
    with pytest.raises(raises, match=named):
        send_deliveries("stripe", "refund.failed", None, file, as_json=True)


def test_a_delivery_that_is_refused_is_said_with_its_reason(receiver, sender, capsys, monkeypatch):
    """Exit 1: here the secret is another one than the receiver's."""
    monkeypatch.setenv("IMPACTFLOW_SHOPIFY_SECRETS", "f" * 32)
    status = send_deliveries("shopify", "orders/paid", receiver[0], None, as_json=False)

    assert status == 1
    assert "orders/paid  401  refused: x-shopify-hmac-sha256 fits none of our secrets" in capsys.readouterr().out


def test_a_receiver_that_does_not_serve_the_sender_is_said(sender, capsys, monkeypatch, receiver, tmp_path):
    """Exit 1, with the variable that is missing there."""
    other = tmp_path / "senders.yaml"
    other.write_text("senders: {myshop: {topics: {sold: {means: paid, source_id: data.id}}}}")
    monkeypatch.setenv("IMPACTFLOW_SENDERS", str(other))
    monkeypatch.setenv("IMPACTFLOW_MYSHOP_SECRETS", SETTINGS["IMPACTFLOW_POLAR_SECRETS"])
    output, status = sent(capsys, "myshop", url=receiver[0])

    assert (1, 404, False) == (status, output["deliveries"][0]["status"], output["accepted"])
    assert "set IMPACTFLOW_MYSHOP_SECRETS where the receiver runs" in output["deliveries"][0]["said"]


@pytest.mark.parametrize(
    ("arguments", "raises", "named"),
    [
        (
            ("ebay", None, None, None),
            typer.BadParameter,
            "standard, shopify, woocommerce, stripe, polar, etsy, cnaught",
        ),
        (("shopify", "orders/create", None, None), typer.BadParameter, "orders/paid, orders/updated"),
        (("shopify", None, None, Path("order.json")), typer.BadParameter, "--file needs the kind"),
        (("shopify", "orders/paid", None, Path("none.json")), ConfigurationError, "none.json cannot be read"),
        (("shopify", "orders/paid", "http://127.0.0.1:9", None), ImpactError, "`impactflow webhooks`"),
        (("shopify", "orders/paid", "nowhere", None), ImpactError, "--url"),
    ],
)
def test_what_cannot_be_sent_is_said_with_what_to_do(sender, arguments, raises, named):
    """Before or instead of sending anything."""
    with pytest.raises(raises, match=re.escape(named)):
        send_deliveries(*arguments, as_json=True)


@pytest.mark.parametrize("source", VARIABLES)
def test_a_sender_without_a_secret_is_told_its_variable(sender, monkeypatch, source):
    """A delivery that nobody signed proves nothing."""
    monkeypatch.delenv(VARIABLES[source])
    with pytest.raises(ConfigurationError, match=VARIABLES[source]):
        send_deliveries(source, None, None, None, as_json=True)
