"""
The first day: five questions, a policy and an ``.env``, and a look whether both will do. Called by ``impactflow init``.

Keys are asked for without being shown, and written to a file that its owner alone can read. Nothing that is there is
written over.
"""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import typer
from rich.prompt import Prompt

from impactflow import stopping
from impactflow.cli.console import err, out, print_json
from impactflow.errors import ConfigurationError, ImpactError
from impactflow.policy import load_policy
from impactflow.settings import load_settings

POLICY, ENVIRONMENT = Path("policy.yaml"), Path(".env")
#: Where orders come from, with the variable of the key that this needs.
SOURCES: Mapping[str, str | None] = {"wickedreports": "WICKED_REPORTS_API_KEY", "file": None, "webhooks": None}
_NEXT = {
    "wickedreports": "`impactflow place --dry-run` shows what the orders of the last week would earn",
    "file": "`impactflow place --orders FILE --dry-run` shows what the orders of a file would earn"
    " (docs/orders-file.md says what it holds)",
    "webhooks": "set the secret of your shop, start `impactflow webhooks` and try it with `impactflow webhooks send"
    " SENDER`; `impactflow place --webhooks` buys what deliveries told of (docs/webhooks.md)",
}


@dataclass(frozen=True)
class _Good:
    """
    Something that an order may earn.

    Args:
        asks: How the quantity is asked for.
        default: The quantity unless something else is said.
        key: The variable of its seller's key.
        rule: The rule, with QUANTITY and CAMPAIGN in their places.
    """

    asks: str
    default: str
    key: str
    rule: str


GOODS = {
    "trees": _Good(
        "How many trees for each order",
        "1",
        "ONECLICKIMPACT_API_KEY",
        """\
  # Trees for every order.
  - slot: trees
    provider: oneclickimpact
    impact: plant_trees
    quantity: {per_order: QUANTITY}
""",
    ),
    "offset": _Good(
        "How many kilograms of CO2 for each order",
        "2.5",
        "CNAUGHT_API_KEY",
        """\
  # Kilograms of CO2 for every order.
  - slot: offset
    provider: cnaught
    impact: offset
    quantity: {per_order: QUANTITY}
""",
    ),
    "donation": _Good(
        "What percent of each order is given",
        "1",
        "IMPACTAPI_API_KEY",
        """\
  # A share of the price of every order, given away in whole cents.
  - slot: giving
    provider: impactapi
    impact: donate
    campaign: CAMPAIGN
    quantity: {percent_of_order: QUANTITY}
    when: {currencies: [USD]}     # others need their rates in fx: docs/rates.md
""",
    ),
}
_POLICY = """\
# What an order does for the world: docs/policy.md lists all that may stand here, `impactflow policy check` reads it.
# The store and the slots are part of the key of every purchase: choose them once and keep them.
store: STORE
rules:
"""


@dataclass
class Answers:
    """
    What was said so far; what was not is asked for.

    Args:
        store: The store's name.
        source: One of ``SOURCES``.
        goods: Some of ``GOODS``.
    """

    store: str | None = None
    source: str | None = None
    goods: Sequence[str] = ()
    variables: dict[str, str] = field(default_factory=dict)


def set_up(answers: Answers, *, as_json: bool) -> int:
    """
    Ask for what is not said, write both files, and check them as ``doctor`` does.

    Returns:
        The exit status of the check.

    Raises:
        ConfigurationError: A file is there already, or nobody can be asked.
        typer.BadParameter: An answer makes no sense.
    """
    for file in (POLICY, ENVIRONMENT):
        if file.exists():
            raise ConfigurationError(
                f"{file.absolute()} is there already, and nothing is written over: take it away, or change to another"
                " folder"
            )
    asker = _Asker(can_ask=sys.stdin.isatty())
    answers.store = answers.store or asker.ask("What is your store called", "--store", _default_store())
    answers.source = answers.source or asker.ask(
        "Where do orders come from", "--orders-from", "wickedreports", list(SOURCES)
    )
    goods = answers.goods or _split(
        asker.ask(f"What does each order earn: {', '.join(GOODS)}, or several with commas", "--earns", "trees")
    )
    _check(answers, goods)
    for variable in dict.fromkeys([SOURCES[answers.source], *(GOODS[good].key for good in goods)]):
        if variable is not None:
            _ask_key(asker, variable, answers.variables)
    _write(ENVIRONMENT, _environment(answers.variables), mode=0o600)  # an account is asked for its campaigns by it
    try:
        rules = [_rule(asker, good) for good in goods]
        _write(POLICY, _POLICY.replace("STORE", answers.store) + "\n".join(rules), mode=0o644)
    except BaseException:  # an answer that makes no sense, or Ctrl-C: the next try begins anew
        ENVIRONMENT.unlink()
        raise
    load_policy(POLICY)
    return _look(answers, as_json=as_json)


@dataclass(frozen=True)
class _Asker:
    """Asks on a terminal; elsewhere what is not said as an option is its default, or an error where there is none."""

    can_ask: bool

    def ask(self, question: str, option: str, default: str, choices: list[str] | None = None) -> str:
        if not self.can_ask:
            if option == "--store":
                raise typer.BadParameter(f"nobody can be asked here: say {option}, --orders-from and --earns")
            return default
        return Prompt.ask(question, console=err, default=default, choices=choices).strip()

    def ask_hidden(self, question: str) -> str:
        return (Prompt.ask(question, console=err, password=True, default="") if self.can_ask else "").strip()


def _default_store() -> str:
    return re.sub("[^a-z0-9_-]+", "-", Path.cwd().name.lower()).strip("-_")[:40] or "store"


def _split(text: str) -> list[str]:
    return [each for each in re.split(r"[\s,]+", text) if each]


def _check(answers: Answers, goods: Sequence[str]) -> None:
    if unknown := [each for each in goods if each not in GOODS]:
        raise typer.BadParameter(f"--earns: {', '.join(unknown)} is unknown; there are {', '.join(GOODS)}")
    if answers.source not in SOURCES:
        raise typer.BadParameter(f"--orders-from: {answers.source!r} is unknown; there are {', '.join(SOURCES)}")
    if not re.fullmatch("[a-z0-9][a-z0-9_-]{0,39}", answers.store or ""):
        raise typer.BadParameter(
            f"--store: {answers.store!r} is no name: lower-case letters, digits, - and _, at most 40 of them"
        )


def _ask_key(asker: _Asker, variable: str, variables: dict[str, str]) -> None:
    """A key that the environment has already stays there; one that is not given now is left for later, empty."""
    if not os.environ.get(variable):
        variables[variable] = asker.ask_hidden(f"{variable} (it is not shown; Enter leaves it for later)")
    if variable == "IMPACTAPI_API_KEY" and variable in variables and not os.environ.get("IMPACTAPI_URL"):
        variables["IMPACTAPI_URL"] = asker.ask("IMPACTAPI_URL, your account's own host", "", "")


def _environment(variables: Mapping[str, str]) -> str:
    lines = ["# Keys: nobody but you can read this file; keep it out of version control."]
    lines += [f"{name}='{_quoted(value)}'" if value else f"{name}=" for name, value in variables.items()]
    return "\n".join(lines) + "\n"


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")


def _rule(asker: _Asker, name: str) -> str:
    good = GOODS[name]
    quantity = asker.ask(good.asks, "", good.default)
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", quantity):
        raise typer.BadParameter(f"{good.asks}: {quantity!r} is no number such as {good.default}")
    text = good.rule.replace("QUANTITY", quantity)
    if "CAMPAIGN" in text:
        text = text.replace("CAMPAIGN", _campaign(asker))
    return text


def _campaign(asker: _Asker) -> str:
    """One of those that the account may give to, where it can be asked."""
    from impactflow.cli.campaigns import list_campaigns  # noqa: PLC0415 - only who gives needs it

    try:
        known = [each.slug for each in stopping.run(list_campaigns(load_settings()))]
    except ImpactError:
        known = []
    if known:
        err.print(f"Your account may give to: {', '.join(known)}", markup=False)
    default = known[0] if known else "trees-for-the-future"
    return asker.ask("To which campaign", "", default, known or None)


def _write(file: Path, text: str, *, mode: int) -> None:
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as opened:
            opened.write(text)
    except OSError as failed:
        raise ConfigurationError(f"{file.absolute()} cannot be written ({failed.strerror})") from None


def _look(answers: Answers, *, as_json: bool) -> int:
    """Check as ``doctor`` does, and say what comes next."""
    from impactflow.cli.doctor import examine, tell_findings  # noqa: PLC0415 - it loads a lot, and people wait for it

    findings = stopping.run(examine())
    status = max((finding["status"] for finding in findings), default=0)
    source = answers.source or ""
    if as_json:
        written = [str(POLICY.absolute()), str(ENVIRONMENT.absolute())]
        print_json({"written": written, "checks": findings, "ok": not status})
        return status
    tell_findings(findings)
    out.print(f"Written: {POLICY.absolute()} and {ENVIRONMENT.absolute()}, which you alone can read.", markup=False)
    if status:
        out.print("Mend what is wrong above, then `impactflow doctor` looks again.")
    out.print(f"Next: {_NEXT[source]}.", markup=False)
    return status
