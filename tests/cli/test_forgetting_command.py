"""Forgetting on the command line: a canary address is nowhere afterwards, and is never printed."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from webhook_senders import shopify_paid
from world import TREES, fresh_of, policy_of, sold, work

from impactflow.errors import LedgerFull
from impactflow.ledger import Claim, Delivery
from impactflow.ledger.tables import metadata
from impactflow.models import ProviderName

CANARY = "canary.bird@example.org"
ONECLICK = ProviderName.ONECLICKIMPACT


async def bought(world, run):
    """What a run buys."""
    await world.plan(run)
    await work(run, ONECLICK)


@pytest.fixture
def filled(terminal):
    """A folder with a ledger in which something was bought for the canary."""
    terminal.fill(bought, orders=[sold(1, contact={"id": "C", "email": CANARY.title()})], policy=policy_of(TREES))
    return terminal


NOT_PLAIN = [
    *(
        "",
        "ana",
        "ana bird@example.com",
        "a@b@c",
        "@",
        "Ana <ana@example.com>",
        "<ana@example.com>",
        "ana@example.com,",
    ),
    *("mailto:ana@example.com", "ana@example.com.", '"ana@example.com"', "ana@example.com;ben@example.com"),
    *("ana%40example.com", "ana%2Bx@example.com"),
]


def bytes_in(folder: Path) -> bytes:
    """All that lies in a folder."""
    return b"".join(each.read_bytes() for each in folder.rglob("*") if each.is_file()).lower()


def shown(ended) -> str:
    """All that was printed."""
    return (ended.out + ended.err).lower()


def test_it_is_shown_first_and_forgotten_on_a_yes(filled):
    """With the purchases that only the seller can change; then nothing is left of the address."""
    asked = filled.type("forget", CANARY)
    assert (asked.status, "WR-1" in asked.out, "`--yes`" in asked.out) == (1, True, True)
    assert CANARY.encode() in bytes_in(filled.folder)
    done = filled.type("forget", CANARY.upper(), "--yes", "--by", "ana")
    assert (done.status, "The customer is forgotten" in done.out) == (0, True)
    assert b"canary" not in bytes_in(filled.folder)
    again = filled.type("forget", CANARY)
    assert (again.status, "has forgotten this address" in again.out) == (0, True)
    assert "canary" not in shown(asked) + shown(done) + shown(again)


def test_a_program_gets_one_object_each_time(filled):
    """With the same names."""
    asked, done, again = (filled.type("forget", CANARY, *more, "--json") for more in ([], ["--yes"], []))
    assert [1, 0, 0] == [each.status for each in (asked, done, again)]
    assert all(len(each.out.splitlines()) == 1 for each in (asked, done, again))
    assert [False, True, False] == [json.loads(each.out)["forgotten"] for each in (asked, done, again)]
    assert [1, 1, 0] == [json.loads(each.out)["orders"] for each in (asked, done, again)]
    assert "canary" not in shown(asked) + shown(done) + shown(again)


@pytest.mark.parametrize("text", NOT_PLAIN)
def test_what_is_no_address_is_refused_and_not_repeated(filled, text):
    """It may be one with a typing error."""
    ended = filled.type("forget", text, "--yes", "--json")
    assert ("ana@" in shown(ended).replace("such as ana@", "")) is False
    assert (ended.status, "give the customer's e-mail address alone" in ended.json["error"]) == (2, True)


def test_an_unknown_address_is_said_to_be_unknown(filled):
    """And is kept out with a yes."""
    ended = filled.type("forget", "nobody@example.com")
    assert (ended.status, "knows nothing of this address" in ended.out) == (0, True)
    assert filled.type("forget", "nobody@example.com", "--yes").status == 0


def test_what_is_under_way_is_named_with_the_time_to_wait_for(terminal):
    """And nothing is changed."""
    until = datetime.now(UTC) + timedelta(minutes=10)

    async def sending(world, run):
        await world.plan(run)
        claim = Claim(ONECLICK, "acme", run.id, run.clock.now(), until, exclusive=True, fresh=fresh_of(run))
        await run.ledger.record_and_claim([], claim, 1)
        await shopify_paid(run, 7, email=CANARY)

    terminal.fill(sending, orders=[sold(1, contact={"id": "C", "email": CANARY})], policy=policy_of(TREES))
    ended = terminal.type("forget", CANARY, "--yes")
    assert (ended.status, "The customer is forgotten" in ended.out) == (1, False)
    assert f"forget the customer after {until:%Y-%m-%d %H:%M:%S} UTC" in ended.out
    assert "`impactflow place --webhooks`" in ended.out
    assert CANARY.encode() in bytes_in(terminal.folder)
    left = terminal.type("forget", CANARY, "--yes", "--json").json["left"]
    waiting = [{"store": "acme", "source": "shopify", "count": 1}]
    assert (left["pending_deliveries"], left["again_after"][:19]) == (waiting, until.isoformat()[:19])


@pytest.mark.parametrize("answer", [True, False])
def test_a_person_at_a_terminal_is_asked(filled, answer):
    """Once they have seen what there is; the question does not repeat the address."""
    asked = []

    def confirm(question, **_):
        asked.append(question)
        return answer

    filled.environment.setattr("impactflow.cli.forgetting.sys.stdin", SimpleNamespace(isatty=lambda: True))
    filled.environment.setattr("typer.confirm", confirm)
    ended = filled.type("forget", CANARY)
    assert (ended.status, len(asked)) == (0 if answer else 1, 1)
    assert (b"canary" in bytes_in(filled.folder)) != answer
    assert "canary" not in shown(ended) + asked[0]


def test_a_delivery_that_waits_is_named_with_its_store(terminal):
    """It may bring an order or take one back, so it is processed first."""

    async def waits(world, run):
        body = json.dumps({"email": CANARY}).encode()
        await run.ledger.store_delivery(Delivery("oldshop", "shopify", "d", "orders/paid", run.clock.now(), body))

    terminal.fill(waits, orders=[], policy=policy_of(TREES))
    ended = terminal.type("forget", CANARY, "--yes")
    assert (ended.status, "of store oldshop from shopify" in ended.out) == (1, True)
    assert b"canary" in bytes_in(terminal.folder)


def test_a_file_that_could_not_be_written_anew_is_remembered(filled, monkeypatch):
    """Each look ends with 1 until it was; what the sellers know is listed each time."""

    def full(_):
        raise LedgerFull("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("impactflow.ledger.scrub", full)
        failed = filled.type("forget", CANARY, "--yes")
    assert (failed.status, "still holds traces" in failed.err) == (1, True)
    again = filled.type("forget", CANARY)
    assert (again.status, "may still hold traces" in again.out, "WR-1" in again.out) == (1, True, True)
    assert "Nothing is to be forgotten" not in again.out
    done = filled.type("forget", CANARY, "--yes", "--json")
    assert (done.status, done.json["was_cut_off"], len(done.json["named_at_sellers"])) == (0, True, 1)
    assert b"canary" not in bytes_in(filled.folder)
    last = filled.type("forget", CANARY)
    assert (last.status, "Nothing is to be forgotten" in last.out, "WR-1" in last.out) == (0, True, True)


@pytest.mark.parametrize("email", ["jim&copyshop@example.org", ".ana@docomo.ne.jp", "canary(at)example.com"])
def test_whatever_the_shop_takes_for_an_address_can_be_forgotten(terminal, email):
    """What looks like a letter in a code, what mail would not carry, and a typing error of the customer's."""
    terminal.fill(bought, orders=[sold(1, contact={"id": "C", "email": email})], policy=policy_of(TREES))
    assert terminal.type("forget", email, "--yes").status == 0
    assert email.encode() not in bytes_in(terminal.folder)


def test_a_name_that_stays_is_said_at_each_look(terminal):
    """The exit status says so, too."""

    async def named(world, run):
        await bought(world, run)
        with run.ledger._engine.begin() as connection:
            connection.execute(metadata.tables["orders"].update().values(order_id=CANARY))

    terminal.fill(named, orders=[sold(1, contact={"id": "C", "email": CANARY})], policy=policy_of(TREES))
    assert terminal.type("forget", CANARY, "--yes").status == 1
    assert terminal.type("forget", CANARY).status == 1


def test_an_orders_story_shows_no_digest_of_the_customer(filled):
    """Who has the address could compare it."""
    filled.type("forget", CANARY, "--yes")
    [placement] = filled.type("show", "WR-1", "--json").json["placements"]
    assert {"known_as", "is_renamed", "forgotten"}.isdisjoint(placement)
