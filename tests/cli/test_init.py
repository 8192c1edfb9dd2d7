"""``init``: a policy and an .env from a few questions, checked; nothing is written over, and no key is shown."""

import io
import re
import stat
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from processes import sandbox_thread
from rich.prompt import Prompt

from impactflow.cli import console
from impactflow.models import Order, Payment
from impactflow.policy import load_policy

KEY = "sandbox-oneclickimpact-key"


@pytest.fixture
def answering(terminal, monkeypatch):
    """A person on a terminal, who answers by what the question begins with, and else presses Enter."""

    def answer(**answers):
        asked = []

        def ask(question, *, password=False, default="", **_):
            asked.append((question, password))
            reply = next((reply for word, reply in answers.items() if word in question), default)
            return reply.pop(0) if isinstance(reply, list) else reply

        monkeypatch.setattr(Prompt, "ask", ask)
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        return asked

    return answer


def test_n24_init_writes_a_policy_and_keys_that_nobody_else_can_read(terminal):
    """And names the keys that are left for later, which are nothing wrong."""
    ended = terminal.type(
        "init", "--store", "acme", "--orders-from", "webhooks", "--earns", "trees, donation", "--json"
    )
    policy = load_policy(terminal.folder / "policy.yaml")
    assert [rule.slot for rule in policy.rules] == ["trees", "giving"]
    assert policy.store == "acme"
    assert stat.S_IMODE((terminal.folder / ".env").stat().st_mode) == 0o600
    assert "IMPACTAPI_API_KEY=\n" in (terminal.folder / ".env").read_text()
    assert (ended.status, ended.json["ok"]) == (0, True)
    assert ended.json["left_for_later"] == ["ONECLICKIMPACT_API_KEY", "IMPACTAPI_API_KEY", "IMPACTAPI_URL"]
    assert all(check["ok"] for check in ended.json["checks"])
    assert "wickedreports" in {check["what"] for check in ended.json["checks"]}


def test_n24_init_asks_on_a_terminal_and_checks_what_was_said(terminal, answering):
    """Keys are not shown, neither while they are typed nor afterwards."""
    asked = answering(ONECLICKIMPACT_API_KEY=KEY, store="acme", orders="file")
    with sandbox_thread([]) as sandbox:
        terminal.set(ONECLICKIMPACT_URL=sandbox.variables["ONECLICKIMPACT_URL"])
        ended = terminal.type("init")
    assert (ended.status, len(asked)) == (0, 5)
    assert [hidden for _, hidden in asked] == [False, False, False, True, False]
    assert KEY not in ended.out + ended.err
    assert KEY in (terminal.folder / ".env").read_text()
    assert "`impactflow place --orders FILE --dry-run`" in ended.out
    assert "impactflow sandbox" not in ended.out


def test_n24_without_keys_init_names_the_sandbox(terminal, answering):
    """A dry run would be refused otherwise; nothing is called wrong."""
    answering(store="acme", orders="file", earn="trees,offset,donation")
    ended = terminal.type("init")
    assert ended.status == 0
    assert "wrong" not in ended.out
    assert "later CNAUGHT_API_KEY" in ended.out
    assert "`impactflow sandbox | tee sandbox.env`" in ended.out
    assert "was not checked" not in ended.out
    assert "docs/" not in ended.out + (terminal.folder / "policy.yaml").read_text()


def test_n24_init_checks_a_key_that_is_given_and_calls_a_wrong_one_wrong(terminal, answering):
    """What is left for later hides nothing else."""
    answering(ONECLICKIMPACT_API_KEY="a-key-of-no-account", store="acme", orders="file", earn="trees,offset")
    with sandbox_thread([]) as sandbox:
        terminal.set(ONECLICKIMPACT_URL=sandbox.variables["ONECLICKIMPACT_URL"])
        ended = terminal.type("init")
    assert ended.status == 2
    assert "wrong oneclickimpact" in ended.out
    assert "later CNAUGHT_API_KEY" in ended.out


@pytest.mark.parametrize("name", ["policy.yaml", ".env"])
def test_n24_init_writes_over_nothing(terminal, name):
    """Whoever wants to begin anew takes the file away."""
    (terminal.folder / name).write_text("# mine")
    ended = terminal.type("init", "--store", "acme", "--json")
    assert ended.status == 2
    assert name in ended.json["error"]
    assert [file.name for file in terminal.folder.iterdir()] == [name]


def test_n24_init_says_which_options_it_needs_where_nobody_can_be_asked(terminal):
    """And writes nothing; the usage is for who mistypes an option."""
    for args in ([], ["--store", "acme", "--earns", "wishes"], ["--store", "Acme Inc."]):
        ended = terminal.type("init", *args, "--json")
        assert (ended.status, list(terminal.folder.iterdir())) == (2, [])
    ended = terminal.type("init")
    assert ended.err.startswith("error: there is no terminal to ask on: give --store")
    assert "Usage" not in ended.err


def test_n24_a_key_with_a_quote_is_read_back_as_it_was_typed(terminal, answering):
    """Whatever a key holds."""
    odd = "it's # a \\ key"
    answering(ONECLICKIMPACT_API_KEY=odd)
    terminal.type("init", "--store", "acme", "--orders-from", "file", "--earns", "trees")
    from dotenv import dotenv_values

    assert dotenv_values(terminal.folder / ".env")["ONECLICKIMPACT_API_KEY"] == odd


def test_n24_a_slip_of_the_pen_is_asked_for_again_and_loses_no_answer(terminal, answering):
    """Each kind of answer, with what is wrong with it and what the store's name may be before it is typed."""
    asked = answering(
        store=["Acme Inc.", "acme"],
        earn=["tree, donation", "", "trees, donation"],
        URL=["shop.example.com", ""],
        trees=["many", "0", "0.5", "2"],
        percent=["1,5", "101", "1.5"],
    )
    ended = terminal.type("init", "--orders-from", "file")
    trees, giving = load_policy(terminal.folder / "policy.yaml").rules
    assert (ended.status, trees.quantity.per_order, str(giving.quantity.percent_of_order)) == (0, 2, "1.5")
    assert "lower-case letters" in asked[0][0]
    for message in ("'Acme Inc.' cannot be", "tree cannot be earned", "'many' is not a whole number", "'1,5' is not"):
        assert message in ended.err
    assert "--" not in ended.err


def test_n24_a_store_or_campaign_is_text_whatever_it_looks_like(terminal, answering):
    """A name of digits, or a word of YAML's."""
    answering(store="2024", campaign="null")
    ended = terminal.type("init", "--orders-from", "file", "--earns", "donation")
    policy = load_policy(terminal.folder / "policy.yaml")
    assert (ended.status, policy.store, policy.rules[0].campaign) == (0, "2024", "null")


def test_n24_a_euro_shop_gives_nothing_in_silence_after_init(terminal):
    """Its orders are held, with what to do."""
    terminal.type("init", "--store", "acme", "--orders-from", "file", "--earns", "donation", "--json")
    order = Order(
        "1", ("src:file:1",), datetime(2026, 11, 1, tzinfo=UTC), Decimal(50), "EUR", None, (Payment("APPROVED"),)
    )
    (held,) = load_policy(terminal.folder / "policy.yaml").earnings(order).impacts
    assert "no rate for EUR" in str(held.held)


def test_n24_when_the_input_ends_init_writes_nothing(terminal, monkeypatch):
    """Ctrl-D is no traceback."""
    monkeypatch.setattr("sys.stdin", io.StringIO())
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(console.err, "input", lambda *_, **__: (_ for _ in ()).throw(EOFError))
    ended = terminal.type("init")
    assert (ended.status, list(terminal.folder.iterdir())) == (2, [])
    assert "no file was written" in ended.err


def test_n24_the_first_exchange_rates_are_written_into_a_policy_of_inits(terminal):
    """By the very line of the page on rates; without currencies the error says what to add."""
    terminal.type("init", "--store", "acme", "--orders-from", "file", "--earns", "donation", "--json")
    (terminal.folder / "eurofxref.zip").write_text("Date, USD, GBP, \n27 November 2026, 1.1601, 0.8595, \n")
    page = (Path(__file__).parents[2] / "docs" / "rates.md").read_text()
    (line,) = re.findall("`impactflow (rates .* --write --currencies .*?)`", page)
    asked = terminal.type("rates", "--ecb", "eurofxref.zip", "--write", "--json")
    assert (asked.status, "--currencies EUR,GBP" in asked.json["error"]) == (2, True)
    written = terminal.type(*line.split())
    fx = load_policy(terminal.folder / "policy.yaml").fx
    assert written.status == 0
    assert fx is not None
    assert {currency: str(rate) for currency, rate in fx.usd_per.items()} == {"EUR": "1.1601", "GBP": "1.34974"}
    assert not [note for note in terminal.type("policy", "check", "--json").json["notes"] if "held" in note]
