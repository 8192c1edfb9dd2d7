"""
The first day: questions, a policy and an ``.env``, and a check of both.

A wrong answer is asked for again. Keys are not shown while they are typed, and go to a file that its owner alone can
read. A key may be left for later. No file is overwritten.
"""

import json
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import typer
from rich.prompt import Prompt

from impactflow import stopping
from impactflow.cli.console import err, out, print_json, print_marked, waiting_for
from impactflow.errors import ConfigurationError, ImpactError
from impactflow.policy import load_policy
from impactflow.settings import load_settings

POLICY, ENVIRONMENT = Path("policy.yaml"), Path(".env")
#: The sources of orders, each with the variable of the key that it needs.
SOURCES: Mapping[str, str | None] = {"wickedreports": "WICKED_REPORTS_API_KEY", "file": None, "webhooks": None}
_NEXT = {
    "wickedreports": "`impactflow place --dry-run` shows what the orders of the last week would earn",
    "file": "`impactflow place --orders FILE --dry-run` shows what the orders of a CSV file would earn; its first line"
    " names the columns: order_id and ordered_at, and where you have them amount, currency and item_count",
    "webhooks": "set the secret of your shop's webhooks in .env (`impactflow doctor` names the variable), start"
    " `impactflow webhooks` and try it with `impactflow webhooks send SENDER`; `impactflow place --webhooks --dry-run`"
    " shows what the deliveries would earn",
}
#: The way to continue without keys.
_SANDBOX = (
    "Until then pretend sellers let you try all of it: leave `impactflow sandbox | tee sandbox.env` running in this"
    " folder, and type `. ./sandbox.env` in a second terminal in this folder. Do only dry runs here meanwhile, since a"
    " ledger belongs to the accounts at which it has bought"
)


@dataclass(frozen=True)
class _Good:
    """
    A good that an order may earn.

    Args:
        asks: The question for the quantity.
        default: The quantity unless another one is given.
        key: The variable of its seller's key.
        rule: The rule, with the placeholders QUANTITY and CAMPAIGN.
        most: The largest quantity.
        is_whole: Whether the quantity must be a whole number.
    """

    asks: str
    default: str
    key: str
    rule: str
    most: int = 1_000_000
    is_whole: bool = False

    def wrong(self, quantity: str) -> str | None:
        """Return the error in a quantity as it was typed; None where it is right."""
        form = "[0-9]+" if self.is_whole else r"[0-9]+(\.[0-9]+)?"
        if re.fullmatch(form, quantity, re.ASCII) and 0 < Decimal(quantity) <= self.most:
            return None
        kind = "a whole number" if self.is_whole else "a number, with a decimal point,"
        return f"{quantity!r} is not {kind} above 0 and at most {self.most:,}, such as {self.default}"


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
        is_whole=True,
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
    # Orders in other currencies than USD wait, held, until fx says what these are worth: `impactflow rates --help`.
""",
        most=100,
    ),
}
_POLICY = """\
# What an order does for the world. `impactflow policy check` says what this file means, `impactflow policy schema` all
# that may stand here.
# The store and the slots are part of the key of every purchase: choose them once and keep them.
store: STORE
# Whether purchases are real: until this says true, no run buys anywhere but at the providers' hosts for tests.
live: false
rules:
"""


@dataclass
class Answers:
    """
    The answers so far; the missing ones are asked for.

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
    Ask for the missing answers, write both files, and check them as ``doctor`` does.

    Returns:
        The exit status of the check; keys that were left for later are not an error.

    Raises:
        ConfigurationError: A file exists already, or there is no terminal to ask on.
        typer.BadParameter: An option is wrong.
    """
    for file in (POLICY, ENVIRONMENT):
        if file.exists():
            raise ConfigurationError(
                f"{file.absolute()} is there already, and nothing is written over: take it away, or change to another"
                " folder"
            )
    _refuse_odd(answers)
    asker = _Asker(can_ask=sys.stdin.isatty())
    answers.store = answers.store or asker.ask(
        f"What is your store called ({_STORE_FORM}; keep the name for good)", _default_store(), _wrong_store,
        option="--store",
    )  # fmt: skip
    answers.source = answers.source or asker.ask("Where do orders come from", "wickedreports", choices=list(SOURCES))
    answers.goods = answers.goods or split(
        asker.ask(f"What does each order earn: {', '.join(GOODS)}, or several with commas", "trees", _wrong_goods)
    )
    for variable in dict.fromkeys([SOURCES[answers.source], *(GOODS[good].key for good in answers.goods)]):
        if variable is not None:
            _ask_key(asker, variable, answers.variables)
    _write(ENVIRONMENT, _environment(answers.variables), mode=0o600)  # the request for an account's campaigns reads it
    try:
        rules = [_rule(asker, good) for good in answers.goods]
        _write(POLICY, _POLICY.replace("STORE", _scalar(answers.store)) + "\n".join(rules), mode=0o644)
    except BaseException:  # Ctrl-C, or the second file cannot be written: the next try begins anew
        ENVIRONMENT.unlink()
        raise
    load_policy(POLICY)
    return _check_written(answers, as_json=as_json)


@dataclass(frozen=True)
class _Asker:
    """Asks on a terminal; elsewhere a missing option takes its default, or is an error where there is no default."""

    can_ask: bool

    def ask(
        self,
        question: str,
        default: str,
        wrong: Callable[[str], str | None] = lambda _: None,
        *,
        choices: list[str] | None = None,
        option: str | None = None,
    ) -> str:
        """
        Return an answer that makes sense.

        Args:
            question: The text of the question.
            default: The answer when only Enter is pressed.
            wrong: Returns the error in an answer; the question is repeated until there is none.
            choices: All possible answers, where they are limited.
            option: The option that is required without a terminal; None: ``default`` is used.
        """
        if not self.can_ask:
            if option:
                raise ConfigurationError(
                    f"there is no terminal to ask on: give {option}, --orders-from and --earns"
                    " (`impactflow init --help`)"
                )
            return default
        while problem := wrong(answer := self._typed(question, default=default, choices=choices)):
            err.print(f"{problem}. Once more:", markup=False)
        return answer

    def ask_hidden(self, question: str) -> str:
        """Ask for a text that is not shown while it is typed; return an empty text without a terminal."""
        return self._typed(question, password=True, default="") if self.can_ask else ""

    def _typed(self, question: str, **how: Any) -> str:
        try:
            return str(Prompt.ask(question, console=err, show_default=bool(how["default"]), **how)).strip()
        except EOFError:
            raise ConfigurationError("the input ended before the last question, so no file was written") from None


def _default_store() -> str:
    return re.sub("[^a-z0-9_-]+", "-", Path.cwd().name.lower()).strip("-_")[:40] or "store"


def split(text: str) -> list[str]:
    """Split names at commas or spaces; keep each name once."""
    return list(dict.fromkeys(each for each in re.split(r"[\s,]+", text) if each))


_STORE_FORM = "lower-case letters, digits, - and _, at most 40 of them"


def _wrong_store(name: str) -> str | None:
    is_right = re.fullmatch("[a-z0-9][a-z0-9_-]{0,39}", name)
    return None if is_right else f"{name!r} cannot be the store's name, which is made of {_STORE_FORM}"


def _wrong_goods(text: str) -> str | None:
    unknown = [each for each in split(text) if each not in GOODS]
    if split(text) and not unknown:
        return None
    return f"{', '.join(unknown) or 'nothing'} cannot be earned: there are {', '.join(GOODS)}"


def _refuse_odd(answers: Answers) -> None:
    """
    Check the options before any question is asked.

    Raises:
        typer.BadParameter: An option is wrong.
    """
    if answers.goods and (problem := _wrong_goods(",".join(answers.goods))):
        raise typer.BadParameter(f"--earns: {problem}")
    if answers.source and answers.source not in SOURCES:
        raise typer.BadParameter(f"--orders-from: {answers.source!r} is unknown; there are {', '.join(SOURCES)}")
    if answers.store and (problem := _wrong_store(answers.store)):
        raise typer.BadParameter(f"--store: {problem}")


def _ask_key(asker: _Asker, variable: str, variables: dict[str, str]) -> None:
    """Ask for a key that the environment lacks; one that is not given now is left for later, empty."""
    if not os.environ.get(variable):
        variables[variable] = asker.ask_hidden(f"{variable} (it is not shown; Enter leaves it for later)")
    if variable == "IMPACTAPI_API_KEY" and variable in variables and not os.environ.get("IMPACTAPI_URL"):
        question = "IMPACTAPI_URL, your account's own host (Enter leaves it for later)"
        variables["IMPACTAPI_URL"] = asker.ask(question, "", _wrong_url)


def _wrong_url(url: str) -> str | None:
    is_right = not url or re.fullmatch(r"https?://\S+", url)
    return None if is_right else f"{url!r} is not a URL such as https://shop.example.com"


def _environment(variables: Mapping[str, str]) -> str:
    lines = ["# Keys: you alone can read this file; keep it out of version control."]
    lines += [f"{name}='{_quoted(value)}'" if value else f"{name}=" for name, value in variables.items()]
    return "\n".join(lines) + "\n"


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")


def _scalar(text: str) -> str:
    """Return a text as YAML: in quotes unless the bare text can mean nothing else."""
    return text if re.fullmatch("[a-z][a-z0-9_-]*", text) and text not in _YAML_WORDS else json.dumps(text)


_YAML_WORDS = frozenset({"true", "false", "null"})


def _rule(asker: _Asker, name: str) -> str:
    good = GOODS[name]
    text = good.rule.replace("QUANTITY", asker.ask(good.asks, good.default, good.wrong))
    return text.replace("CAMPAIGN", _scalar(_campaign(asker))) if "CAMPAIGN" in text else text


def _campaign(asker: _Asker) -> str:
    """Ask for a campaign; list those that the account may give to, where ImpactAPI answers."""
    from impactflow.cli.campaigns import list_campaigns  # noqa: PLC0415 - needed only for gifts

    try:
        with waiting_for("ImpactAPI"):
            known = [each.slug for each in stopping.run(list_campaigns(load_settings()))]
    except ImpactError:
        known = []
    if known:
        err.print(f"Your account may give to: {', '.join(known)}", markup=False)
    default = known[0] if known else "trees-for-the-future"
    return asker.ask("To which campaign", default, choices=known or None)


def _write(file: Path, text: str, *, mode: int) -> None:
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as opened:
            opened.write(text)
    except OSError as failed:
        raise ConfigurationError(f"{file.absolute()} cannot be written ({failed.strerror})") from None


def _check_written(answers: Answers, *, as_json: bool) -> int:
    """Run the checks of ``doctor``, except for keys left for later, and print the next step."""
    from impactflow.cli.doctor import LIVE, examine, show_findings  # noqa: PLC0415 - it loads a lot, and a person waits

    left = [name for name, value in answers.variables.items() if not value]
    # Each finding about a missing variable names that variable.
    with waiting_for("the providers and the shop"):
        found = stopping.run(examine())
    # No run must buy yet, and that is nothing wrong.
    findings = [each for each in found if each["what"] != LIVE and not any(name in each["said"] for name in left)]
    status = max((finding["status"] for finding in findings), default=0)
    if as_json:
        written = [str(POLICY.absolute()), str(ENVIRONMENT.absolute())]
        print_json({"written": written, "checks": findings, "left_for_later": left, "ok": not status})
        return status
    show_findings(findings)
    for name in left:
        print_marked(out, "later", "yellow", f"{name}: put it into {ENVIRONMENT.absolute()}")
    out.print(f"Written: {POLICY.absolute()}, and {ENVIRONMENT.absolute()}, which you alone can read.", markup=False)
    if status:
        out.print("Mend what is wrong above, then `impactflow doctor` looks again.")
    elif left:
        out.print("Once the keys are there, `impactflow doctor` checks them.")
        out.print(f"{_SANDBOX}.", markup=False)
    out.print(f"Nothing real is bought until live: true stands in {POLICY.absolute()}.", markup=False)
    out.print(f"Next: {_NEXT[answers.source or '']}.", markup=False)
    return status
