"""``init``: a policy and an .env from five questions, checked; nothing is written over, and no key is shown."""

import stat

import pytest
from processes import sandbox_thread
from rich.prompt import Prompt

from impactflow.policy import load_policy

KEY = "sandbox-oneclickimpact-key"


def test_n24_init_writes_a_policy_and_keys_that_nobody_else_can_read(terminal):
    """And says what is wrong, such as a key that is not given yet."""
    ended = terminal.type("init", "--store", "acme", "--orders-from", "webhooks", "--earns", "trees,donation", "--json")
    policy = load_policy(terminal.folder / "policy.yaml")
    assert [rule.slot for rule in policy.rules] == ["trees", "giving"]
    assert policy.store == "acme"
    assert stat.S_IMODE((terminal.folder / ".env").stat().st_mode) == 0o600
    assert "IMPACTAPI_API_KEY=\n" in (terminal.folder / ".env").read_text()
    wrong = {check["what"] for check in ended.json["checks"] if not check["ok"]}
    assert ended.status == 2
    assert {"oneclickimpact", "impactapi"} <= wrong
    assert "wickedreports" not in wrong


def test_n24_init_asks_on_a_terminal_and_checks_what_was_said(terminal, monkeypatch):
    """Five questions; keys are not shown, neither while they are typed nor afterwards."""
    asked = []

    def ask(question, *, password=False, default="", choices=None, console=None):
        asked.append((question, password))
        if "ONECLICKIMPACT_API_KEY" in question:
            return KEY
        return {"What is your store called": "acme", "Where do orders come from": "file"}.get(question, default)

    monkeypatch.setattr(Prompt, "ask", ask)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    with sandbox_thread([]) as sandbox:
        terminal.set(ONECLICKIMPACT_URL=sandbox.variables["ONECLICKIMPACT_URL"])
        ended = terminal.type("init")
    assert (ended.status, len(asked)) == (0, 5)
    assert [hidden for _, hidden in asked] == [False, False, False, True, False]
    assert KEY not in ended.out + ended.err
    assert KEY in (terminal.folder / ".env").read_text()
    assert "`impactflow place --orders FILE --dry-run`" in ended.out


@pytest.mark.parametrize("name", ["policy.yaml", ".env"])
def test_n24_init_writes_over_nothing(terminal, name):
    """Whoever wants to begin anew takes the file away."""
    (terminal.folder / name).write_text("# mine")
    ended = terminal.type("init", "--store", "acme", "--json")
    assert ended.status == 2
    assert name in ended.json["error"]
    assert [file.name for file in terminal.folder.iterdir()] == [name]


def test_n24_init_says_which_options_it_needs_where_nobody_can_be_asked(terminal):
    """And writes nothing."""
    for args in ([], ["--store", "acme", "--earns", "wishes"], ["--store", "Acme Inc."]):
        ended = terminal.type("init", *args, "--json")
        assert (ended.status, list(terminal.folder.iterdir())) == (2, [])


def test_n24_a_key_with_a_quote_is_read_back_as_it_was_typed(terminal, monkeypatch):
    """Whatever a key holds."""
    odd = "it's # a \\ key"
    monkeypatch.setattr(
        Prompt, "ask", lambda question, *, default="", password=False, **_: odd if password else default
    )
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    terminal.type("init", "--store", "acme", "--orders-from", "file", "--earns", "trees")
    from dotenv import dotenv_values

    assert dotenv_values(terminal.folder / ".env")["ONECLICKIMPACT_API_KEY"] == odd


def test_n24_after_a_wrong_answer_init_can_be_typed_again(terminal, monkeypatch):
    """Nothing is left of the try."""
    monkeypatch.setattr(
        Prompt, "ask", lambda question, *, default="", **_: "many" if "How many" in question else default or KEY
    )
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    ended = terminal.type("init", "--store", "acme", "--orders-from", "file", "--earns", "trees")
    assert (ended.status, list(terminal.folder.iterdir())) == (2, [])
