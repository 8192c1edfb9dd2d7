"""
A month of a made-up merchant, day by day in seconds, and a page on which every figure is compared with the books.

The core is the real one, the sellers are the sandbox's, and the clock is turned from day to day. The folder ``month``
keeps the ledger and the policy, so that every command can be tried on them.
"""

import shlex
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from rich.markdown import Markdown

from impactflow import stopping
from impactflow.buying.run import CountingTransport, Run, config_of
from impactflow.cli.command import DONE, UNDONE
from impactflow.cli.console import err, out, print_json
from impactflow.cli.parts import make_folder
from impactflow.ledger import Balance, Ledger, Status
from impactflow.models import Kind, Unit
from impactflow.proof import merchant, runs
from impactflow.sandbox import Faults, Options, Sandbox, environment
from impactflow.sandbox.transport import SandboxTransport
from impactflow.settings import Settings
from impactflow.units import SHOWN, exact_text

#: The folder for the ledger, the policy and the page, below the working directory; made anew each time.
FOLDER = Path("month")
#: Now and then an answer is lost; the doubt is resolved as ever.
_FAULTS = "lost_answer=0.02"
_SLOTS: Mapping[str, Kind] = {"trees": Kind.PLANT_TREES, "offset": Kind.OFFSET, "giving": Kind.DONATE}
_PATIENCE_S = 120.0
_HEAD_OF_SLOTS = (
    "| slot | owed | bought | credit | waiting | cancelled | cost in USD | the sellers' books |",
    "|---|---|---|---|---|---|---|---|",
)
_HEAD_OF_WEEKS = ("| days | orders | refunds | trees | kg CO2 | USD given |", "|---|---|---|---|---|---|")
_WEEK = 7


class Calendar:
    """A clock that is turned from day to day; whoever waits turns it on."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        """The time now, aware, UTC."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Let this many seconds pass at once."""
        self._now += timedelta(seconds=max(0.0, seconds))

    def turn(self, to: datetime) -> None:
        """Turn to a time, unless it is over."""
        self._now = max(self._now, to)


@dataclass
class Month:
    """
    What happened in the month, as the ledger and as the sellers' books have it.

    Args:
        balances: The ledger's balance of each slot.
        recorded: The ledger's purchases.
        bought: The purchases in the books.
        weeks: For each week: the orders sold, the refunds, and by slot the quantity bought, as the ledger counts it.
        weeks_in_books: By week and slot the quantity bought, as the books have it.
        cost_usd: The cost of each slot by the policy's prices on the days of the purchases.
        requests: The number of requests.
        stories: Orders to look at, with what happened to each.
    """

    balances: Mapping[str, Balance]
    recorded: Sequence[Mapping[str, Any]]
    bought: Sequence[Mapping[str, Any]]
    weeks: Sequence[dict[str, int]]
    weeks_in_books: Sequence[Counter[str]]
    cost_usd: Mapping[str, Decimal]
    requests: int
    stories: dict[str, str] = field(default_factory=dict)

    @property
    def differences(self) -> list[str]:
        """Where the ledger and the books disagree; empty where every figure is the same."""
        recorded = {row["key"]: (row["quantity"], row["status"] == Status.CANCELLED) for row in self.recorded}
        bought = {each["impactflow_key"]: (each["quantity"], each["cancelled"]) for each in self.bought}
        found = [f"purchase {key}" for key in recorded.keys() | bought.keys() if recorded.get(key) != bought.get(key)]
        found += [] if len(bought) == len(self.bought) else ["a purchase was made twice"]
        found += [f"the balance of {slot}" for slot, each in self.balances.items() if not each.holds]
        found += [
            f"{slot} in week {number + 1}"
            for number, (ours, theirs) in enumerate(zip(self.weeks, self.weeks_in_books, strict=True))
            for slot in _SLOTS
            if ours[slot] != theirs[slot]
        ]
        stands = {slot: self.sum_of(slot, self.bought, cancelled=False) for slot in _SLOTS}
        return found + [f"what stands in {slot}" for slot in _SLOTS if self.balances[slot].bought != stands[slot]]

    @staticmethod
    def sum_of(slot: str, purchases: Sequence[Mapping[str, Any]], *, cancelled: bool) -> int:
        """The quantity of a slot in the books, cancelled or standing."""
        chosen = (row for row in purchases if row["kind"] == _SLOTS[slot] and row["cancelled"] == cancelled)
        return sum(row["quantity"] for row in chosen)


def run_month(*, as_json: bool) -> int:
    """Play the month, print its page, and return whether every figure equals the books."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    make_folder(FOLDER)
    month = stopping.run(_play())
    text = page(month)
    (FOLDER / "month.md").write_text(text)
    if as_json:
        stories = {order: what for what, order in month.stories.items()}
        print_json({"page": text, "differences": month.differences, "stories": stories, "ok": not month.differences})
    else:
        out.print(Markdown(text))
    return UNDONE if month.differences else DONE


async def _play() -> Month:
    """Play all days, one run of ``place`` and one of ``refunds`` on each."""
    clock = Calendar(merchant.BEGINS)
    sandbox = Sandbox(Options(seed=9, faults=Faults.parse(_FAULTS)), clock=clock)
    variables = environment("http://127.0.0.1") | {
        "IMPACTFLOW_LEDGER_URL": f"sqlite:///{(FOLDER / 'impactflow.db').resolve()}",
        "IMPACTFLOW_POLICY": str((FOLDER / "policy.yaml").resolve()),
        "IMPACTFLOW_REPORTS": str((FOLDER / "reports").resolve()),
    }
    _write_environment(variables)
    chosen: dict[str, Any] = {name.lower(): value for name, value in variables.items()}
    settings = Settings(_env_file=None, **chosen)
    transport = CountingTransport(SandboxTransport(sandbox))
    sold = merchant.sales()
    with Ledger.open(settings.impactflow_ledger_url) as ledger:
        for number, at in enumerate(merchant.runs_at(), 1):
            clock.turn(at)
            sandbox.shop.orders = [sale.row(at) for sale in sold if sale.at <= at]
            run = Run(f"day {number}", settings, clock, ledger, transport, config_of(settings))
            (FOLDER / "policy.yaml").write_text(merchant.policy_text(at))
            policy = merchant.policy_of(at)
            await runs.place(run, policy, _PATIENCE_S)
            await runs.cancel_refunds(run, policy)
            if not number % _WEEK:
                await runs.track(run, everything=True)
                err.print(f"{at:%d %B}: {len(sandbox.shop.orders)} orders sold so far", markup=False)
        sandbox.catch_up()
        return await _seen(ledger, sandbox, sold, transport.requests)


async def _seen(ledger: Ledger, sandbox: Sandbox, sold: Sequence[merchant.Sale], requests: int) -> Month:
    """What the ledger and the books say in the end."""
    bought = sandbox.books.as_json()["purchases"]
    last = (merchant.runs_at()[-1] - merchant.BEGINS).days // _WEEK
    weeks = [dict.fromkeys(("orders", "refunds", *_SLOTS), 0) for _ in range(last + 1)]
    in_books = [Counter[str]() for _ in weeks]
    for sale in sold:
        weeks[_week(sale.at)]["orders"] += 1
        if sale.refunded_at is not None and _week(sale.refunded_at) <= last:
            weeks[_week(sale.refunded_at)]["refunds"] += 1
    cost_usd = dict.fromkeys(_SLOTS, Decimal(0))
    for total in await ledger.totals():
        weeks[(total.day - merchant.BEGINS.date()).days // _WEEK][total.slot] += total.quantity
        rules = merchant.policy_of(datetime.combine(total.day, time(), UTC)).rules
        (price,) = (rule.cost_usd(total.quantity) for rule in rules if rule.slot == total.slot)
        cost_usd[total.slot] += price or 0
    slot_of = {kind.value: slot for slot, kind in _SLOTS.items()}
    for each in bought:
        if not each["cancelled"]:
            in_books[_week(datetime.fromisoformat(each["at"]))][slot_of[each["kind"]]] += each["quantity"]
    balances = {each.slot: each for each in await ledger.balances()}
    month = Month(balances, await ledger.purchases(), bought, weeks, in_books, cost_usd, requests)
    for sale in sold:
        if (story := await ledger.story(f"WR-{sale.number}")) is not None:
            for what in _happened(sale, story):
                month.stories.setdefault(what, f"WR-{sale.number}")
    return month


def _week(at: datetime) -> int:
    return (at - merchant.BEGINS).days // _WEEK


def _happened(sale: merchant.Sale, story: Mapping[str, Any]) -> Iterator[str]:
    """What happened to an order besides being bought for."""
    for each in story["placements"]:
        was_bought = each["placed_at"] is not None
        if each["status"] == Status.CANCELLED:
            yield (
                "was refunded after its purchase, which its seller cancelled"
                if was_bought
                else ("was refunded within the hold, so that nothing was bought for it")
            )
        if each["status"] == Status.COVERED:
            yield "was covered by what was bought for another order, so that nothing was bought for it"
        if was_bought and each["slot"] == "offset" and (each["placed_at"] - sale.at).days > _WEEK:
            yield "waited for the next week, because the cap was reached"
    for share in story["shares"]:
        if share["is_of_own_purchase"]:
            yield "was refunded in part, so that the next orders have a part of what was bought for it"
        elif share["slot"] == "trees" and not share["owed"] and share["earned"]:
            yield "was refunded after its trees were bought together with others', so that they are credit"
        elif share["slot"] == "trees" and len(share["purchases"]) > 1:
            yield "has its trees from two purchases"


def _write_environment(variables: Mapping[str, str]) -> None:
    lines = [f"{name}={shlex.quote(value)}\n" for name, value in variables.items() if name.startswith("IMPACTFLOW_")]
    (FOLDER / "environment").write_text("".join(lines))


def page(month: Month) -> str:
    """The month as Markdown."""
    orders, hold = sum(week["orders"] for week in month.weeks), merchant.policy_of(merchant.BEGINS).hold_days
    before, after = merchant.TREE_PRICES
    beginning = (
        f"A made-up shop sold {orders} orders. {_refunds()} Its policy is in `{FOLDER}/policy.yaml`: trees once a day"
        f" for all orders, an offset and a donation for each, {hold} days of hold, and a cap on offsets. On day"
        f" {merchant.PRICE_CHANGES} a tree went from {before} to {after} USD. impactflow made"
        f" {len(month.bought)} purchases with {month.requests} requests."
    )
    words = (
        "*Owed* is what the orders have earned, less what was given back. *Bought* is what stands, and *credit* the"
        " part of it that no order is owed any more. *Cancelled* is what was bought and undone. The cost goes by the"
        " policy's prices."
    )
    look = (
        f"Look for yourself: `set -a; . {FOLDER}/environment; set +a`, then `impactflow balance`, `impactflow status`,"
        " `impactflow caps`."
    )
    verdict = "Every figure equals the sellers' books."
    if month.differences:
        verdict = f"{len(month.differences)} figures differ from the books: {', '.join(month.differences[:5])}."
    lines = [
        "# September at Juniper",
        beginning,
        "\n".join((*_HEAD_OF_SLOTS, *(_of_slot(month, slot) for slot in _SLOTS))),
        words,
        "\n".join((*_HEAD_OF_WEEKS, *(_of_week(number, week) for number, week in enumerate(month.weeks)))),
        "\n".join(
            f"- Order {order} {what}: `impactflow show {order}`" for what, order in sorted(month.stories.items())
        ),
        look,
        f"**{verdict}**",
    ]
    return "\n\n".join(lines) + "\n"


def _refunds() -> str:
    refunds = Counter(sale.refund for sale in merchant.sales())
    return f"{refunds['whole']} were refunded whole, {refunds['part']} in part."


def _of_slot(month: Month, slot: str) -> str:
    each = month.balances[slot]
    amounts = (each.owed, each.bought, each.credit, sum(each.waiting.values(), Fraction(0)))
    cancelled = sum(
        row["quantity"] for row in month.recorded if row["slot"] == slot and row["status"] == Status.CANCELLED
    )
    books = month.sum_of(slot, month.bought, cancelled=False), month.sum_of(slot, month.bought, cancelled=True)
    shown = [_shown(amount, each.unit) for amount in (*amounts, cancelled)]
    theirs = f"{_shown(books[0], each.unit)}, and {_shown(books[1], each.unit)} cancelled"
    return f"| {slot} ({SHOWN[each.unit][0]}) | {' | '.join(shown)} | {month.cost_usd[slot]} | {theirs} |"


def _of_week(number: int, week: Mapping[str, int]) -> str:
    first, last = number * _WEEK + 1, number * _WEEK + _WEEK
    units = {"trees": Unit.TREE, "offset": Unit.GRAM, "giving": Unit.USD_CENT}
    bought = " | ".join(_shown(week[slot], unit) for slot, unit in units.items())
    return f"| {first} to {last} | {week['orders']} | {week['refunds']} | {bought} |"


def _shown(amount: Fraction | int, unit: Unit) -> str:
    return exact_text(Fraction(amount) / SHOWN[unit][1])
