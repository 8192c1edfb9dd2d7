"""
The world of one seed: a shop, a policy, providers with their faults, and the processes that work on it.

Everything follows from the seed, so a seed that fails is a regression test. The quantities are chosen so that one line
here says what each sale has earned, without asking the policy. ``twists`` adds what makes a seed special.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from itertools import count
from math import inf
from random import Random
from typing import Any

from impactflow.ledger import PauseScope
from impactflow.models import ProviderName
from impactflow.policy import Policy
from impactflow.proof.process import Act, Boundary, Fate
from impactflow.proof.sellers import RULES, SELLERS
from impactflow.proof.virtual_time import START
from impactflow.sandbox import Faults, Options
from impactflow.sandbox.faults import FAULTS

#: Times of the simulated runs, in seconds: a fraction of the real ones, in the same proportions.
LEASE_S, TIMEOUT_S, SETTLE_S = 60.0, 10.0, 120.0
#: The longest delay that is still within the assumptions: of a request that its sender gave up, or of a record that is
#: not listed yet.
LATE_S = SETTLE_S / 3
#: The longest time that a process stands still, at any boundary.
STILL_S = 10 * LATE_S
#: The most that two machines' clocks may differ.
SKEW_S = 10.0
#: Time before a lost answer in which no other buyer may have bought a look-alike where an account has not been seen to
#: return metadata, in seconds, as ``docs/promise.md`` says: nothing could tell the two apart.
ALIKE_S = 120.0
#: Before this time no process works, so that the strangers' purchases are older: even if they took effect late and the
#: clock of the process is behind.
BEGIN_S = ALIKE_S + LATE_S + SKEW_S
#: The time for which a CNaught key is assumed to be remembered, and for which the pretend CNaught remembers it, in
#: seconds.
KEY_AGE_S, KEY_LIFETIME_S = 3_600.0, 7_200.0

DAY_S = 86_400.0
#: The greatest age of the state of shop and policy that decides a purchase made now, in seconds.
LATEST_READING_S = 12 * 3_600.0
#: The quantity that a mistyped policy asks for, in place of one.
TYPO = 100

#: Topics of Shopify's webhooks.
PAID, REFUND = "orders/paid", "refunds/create"
#: The end of a sale's id where the sale is listed a second time under another id.
AGAIN = "-again"

#: Faults of any scenario: everything that goes wrong on the way. Misleading faults are twists, and a provider that
#: sells another amount needs a person each time.
_MISLEADING = {"passing_404", "short_listing", "foreign_answer", "refused_after", "limited_after", "wrong_amount"}
_FAULTS = [name for name in FAULTS if name not in _MISLEADING]
#: The largest share of a provider's requests that is struck by a fault.
_MOST_STRUCK = 0.8
#: The same share where nearly nothing gets through.
_NEARLY_ALL_STRUCK = 0.95
#: Faults that do more harm together than each does alone.
_TOGETHER = (("lost_request", "late_effect", "refused"), ("late_records", "shifting_pages"))
#: From the beginning of a simulation to its first midnight, in seconds.
_MIDNIGHT_S = (START.replace(hour=0) + timedelta(days=1) - START).total_seconds()


@dataclass(frozen=True)
class Webhook:
    """
    A webhook that Shopify sends.

    Args:
        after_s: When the webhook comes.
        id: The id of the delivery: the same id is the same delivery.
        topic: The subject of the webhook.
        body: The content of the webhook.
    """

    after_s: float
    id: str
    topic: str
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Sale:
    """
    Something that the shop sold.

    Args:
        number: The number of the sale.
        items: Number of items.
        email: The customer's address; None where the customer is not known.
        refunded_after_s: When the sale is refunded; None where it never is.
        edited_after_s: When the sale gains one more item; None where it does not.
        look_alike_after_s: When the same sale comes again under another Wicked Reports id; None where it does not.
        webhooks: Shopify's webhooks about the sale, besides Wicked Reports.
        sold_s: When the sale was made.
        listed_after_s: When Wicked Reports begins to list the sale.
        paid_after_s: When the sale's payment is approved.
        joined_after_s: When Wicked Reports begins to give Shopify's name for the sale; None for from the beginning.
        rows_each: Number of times the sale is listed.
        paid_again_after_s: When the refund is taken back; None where it never is.
        paid_beside: Whether another payment of the sale stays when it is refunded: it earns nothing, and is not given
            back whole.
        unlisted: Whether Wicked Reports never lists the sale: it is paid and refunded as webhooks say.
        reduced_s: From when until when half of the sale's money is given back: the sale earns half as much.
    """

    number: int
    items: int
    email: str | None
    refunded_after_s: float | None = None
    edited_after_s: float | None = None
    look_alike_after_s: float | None = None
    webhooks: Sequence[Webhook] = ()
    sold_s: float = -3_600.0
    listed_after_s: float = 0.0
    paid_after_s: float = 0.0
    joined_after_s: float | None = None
    rows_each: int = 1
    paid_again_after_s: float | None = None
    paid_beside: bool = False
    unlisted: bool = False
    reduced_s: tuple[float, float] | None = None

    def rows(self, now_s: float) -> list[dict[str, Any]]:
        """Return the sale as Wicked Reports lists it at a time of the simulation, in seconds."""
        if self.unlisted or now_s < self.listed_after_s:
            return []
        edited = self.edited_after_s is not None and now_s >= self.edited_after_s
        status = "REFUNDED" if self.is_refunded(now_s) else "APPROVED" if now_s >= self.paid_after_s else "PENDING"
        if status == "APPROVED" and self.is_reduced(now_s):
            status = "Partially Refunded"
        row: dict[str, Any] = {
            "id": f"WR-{self.number}",
            "sourceId": f"{1000 + self.number}",
            "sourceSystem": "shopify",
            "date": (START + timedelta(seconds=self.sold_s)).isoformat().replace("+00:00", "Z"),
            "products": [{"id": "P1", "name": "Apron", "qty": self.items + edited, "PPU": 40}],
            "payments": [{"date": "2026-03-02T11:00:00", "status": each} for each in self._payments(status)],
            "amount": 40 * (self.items + edited) // (2 if self.is_reduced(now_s) else 1),
            "currency": "USD",
        }
        if self.email is not None:
            row["contact"] = {"id": f"C{self.number}", "email": self.email}
        if self.joined_after_s is not None and now_s < self.joined_after_s:
            row["sourceSystem"] = None
        again = self.look_alike_after_s is not None and now_s >= self.look_alike_after_s
        return [row, row | {"id": f"WR-{self.number}{AGAIN}"}] if again else [row] * self.rows_each

    def _payments(self, status: str) -> Sequence[str]:
        return [status, "APPROVED"] if self.paid_beside and status == "REFUNDED" else [status]

    def items_at(self, now_s: float) -> int:
        """The number of items that count at a time of the simulation."""
        if now_s < max(self.listed_after_s, self.paid_after_s):
            return 0
        if self.is_refunded(now_s):
            return 0
        items = self.items + (self.edited_after_s is not None and now_s >= self.edited_after_s)
        return items // 2 if self.is_reduced(now_s) else items

    def is_reduced(self, now_s: float) -> bool:
        """Whether half of the sale's money is given back at a time of the simulation."""
        return self.reduced_s is not None and self.reduced_s[0] <= now_s < self.reduced_s[1]

    def is_refunded(self, from_s: float, to_s: float | None = None) -> bool:
        """Whether the sale is refunded at a time of the simulation, or at any time between two."""
        if self.refunded_after_s is None or self.refunded_after_s > (from_s if to_s is None else to_s):
            return False
        return self.paid_again_after_s is None or from_s < self.paid_again_after_s

    @property
    def changes_s(self) -> Sequence[float]:
        """The times at which the sale's earnings change."""
        refund = self.refunded_after_s, self.paid_again_after_s
        changes = (self.listed_after_s, self.paid_after_s, *refund, self.edited_after_s, *(self.reduced_s or ()))
        return [change for change in changes if change is not None and change < inf]

    @property
    def certain(self) -> bool:
        """Whether the sale's earnings do not depend on when the sale is read."""
        return self.refunded_after_s is None and self.edited_after_s is None and self.reduced_s is None

    @property
    def is_refunded_at_once(self) -> bool:
        """Whether every process knows from the beginning that nothing of the sale must be bought."""
        return any(webhook.topic == REFUND and webhook.after_s < BEGIN_S for webhook in self.webhooks)


@dataclass(frozen=True)
class Worker:
    """
    A machine that starts ``place`` again and again.

    Args:
        seed: The source of the fate of its processes.
        ahead_s: How far its clock is ahead, in seconds.
        first_after_s: When it starts its first process.
        pause_s: How long a paused process stands still, in seconds.
        harm: The probability of each act at each boundary.
        pauses_at: The number of the request, from 0, at which a process stands still in any case; None for none.
        steps: When its clock is set anew, and how far the clock is ahead from then on; all in seconds.
    """

    seed: str
    ahead_s: float
    first_after_s: float
    pause_s: float
    harm: Mapping[Act, float]
    steps: Sequence[tuple[float, float]] = ()
    pauses_at: int | None = None

    def fate(self, life: int) -> Fate:
        """Return the fate of its n-th process."""
        chance, sent = Random(f"{self.seed} {life}"), count()

        def decide(boundary: Boundary) -> Act:
            if boundary is Boundary.SEND and next(sent) == self.pauses_at:
                return Act.PAUSE
            height = chance.random()
            for act, share in self.harm.items():
                height -= share
                if height < 0:
                    return act if act is not Act.FAIL or boundary in _OF_THE_DATABASE else Act.GO_ON
            return Act.GO_ON

        return decide


_OF_THE_DATABASE = frozenset({Boundary.COMMIT, Boundary.COMMITTED})


@dataclass(frozen=True)
class Scenario:
    """
    The complete input of a simulation.

    Args:
        seed: The seed of the scenario.
        sales: The sales of the shop.
        slots: The slots that each sale earns, by the names in ``sellers.RULES``.
        on_behalf_of: The customers named at 1ClickImpact.
        options: The behaviour of the providers.
        workers: The machines that work side by side.
        patience_s: One number for each process that each worker starts before the last process, which nothing happens
            to: how far off due work may lie for the process to wait for it, in seconds.
        idle_s: The longest time that a worker waits between two processes, in seconds.
        calm_after: The number of processes after which nothing goes wrong any more at the providers; None for after
            all.
        other_purchases: Number of purchases of the same kinds that another buyer has made at the same accounts.
        look_alikes: Whether a stranger's purchase may be of the same amount as one of ours.
        asks_above: The number of items of a sale that is bought without a person's approval, by slot; else all are.
        persons: The persons who decide about the others; what each does follows from the text.
        vandal_after_s: When an intruder writes other quantities into the ledger's database; None for never.
        busy: Whether strangers go on buying the same amounts all the time, at a 1ClickImpact account that is known to
            return metadata: then look-alikes may have to be left to a person, and must never be taken for ours.
        busy_after_s: When these strangers begin.
        later_s: How much later than ``START`` every clock is at the beginning, in seconds.
        twists: The twists of the scenario, by the names in ``twists``.
        is_healthy: Whether nothing goes wrong at all: then no audit finds anything.
        repairs: Whether the run ends with an audit that repairs.
        previews: Whether the last run is previewed: then it may buy nothing but the preview's purchases, and all of
            those.
        starts_s: When each process begins, in place of pauses between them; after each of them everything is tracked.
        decide_after_s: When persons begin to look.
        typo_until_s: The end of the time in which the policy asks for ``TYPO`` times as much; None where it never does.
        chaff: Orders that earn nothing and stand before the others; one is deleted whenever a further page is read.
        others_show_key: Whether busy strangers send a key with their first purchase; else all their metadata is
            their own.
        cancelled_after_s: When a person cancels our purchases at the providers; None for never.
        stray: The other ledger that a process works with: ``empty`` or ``older``; an empty text where none does.
        stray_after_s: When the process works with the other ledger.
        paused_s: When a person pauses buying, and when they let it go on; None for never.
        paused: What is paused.
        hold_days: The days after its sale before which nothing is bought for an order.
        forgotten_s: When a person forgets a customer; None for never.
        forgotten: The customer's address.
        most_a_day: The most that is bought on one UTC day, by slot.
        pooled: The slots in which one purchase is made for many sales, each of which earns half of what it would else.
        daily: Whether such a purchase is made once a day, or as soon as a whole unit is earned.
        undoes_s: From when until when the policy undoes what was bought for refunded orders, as each process does after
            buying; None where it never does.
        in_part: Whether a refund of a part of a sale reduces what it is owed: rules count money then.
    """

    seed: int
    sales: Sequence[Sale]
    slots: Sequence[str]
    on_behalf_of: str
    options: Options
    workers: Sequence[Worker]
    patience_s: Sequence[float]
    idle_s: float
    calm_after: int | None = None
    other_purchases: int = 0
    look_alikes: bool = False
    asks_above: Mapping[str, int] = field(default_factory=dict)
    persons: Sequence[str] = ()
    vandal_after_s: float | None = None
    busy: bool = False
    busy_after_s: float = 0.0
    later_s: float = 0.0
    twists: Sequence[str] = ()
    is_healthy: bool = False
    repairs: bool = False
    previews: bool = False
    starts_s: Sequence[float] = ()
    decide_after_s: float = BEGIN_S
    typo_until_s: float | None = None
    chaff: int = 0
    others_show_key: bool = True
    cancelled_after_s: float | None = None
    stray: str = ""
    stray_after_s: float = 0.0
    paused_s: tuple[float, float] | None = None
    paused: PauseScope = field(default_factory=PauseScope)
    hold_days: int = 0
    forgotten_s: float | None = None
    forgotten: str = ""
    most_a_day: Mapping[str, int] = field(default_factory=dict)
    undoes_s: tuple[float, float] | None = None
    pooled: Sequence[str] = ()
    daily: bool = False
    in_part: bool = False

    def policy(self, now_s: float = 0.0) -> Policy:
        """Return the policy at a time of the simulation, in seconds."""
        rules = [{"slot": slot, **RULES[slot][0]} for slot in self.slots]
        for rule in rules:
            if SELLERS[rule["provider"]].names_customers:
                rule["on_behalf_of"] = self.on_behalf_of
            if self._factor(now_s) != 1:
                rule["quantity"] = {"per_item": self._factor(now_s) * rule["quantity"]["per_item"]}
        for rule in rules:
            rule |= {"approve_above": "unlimited", "approve_above_per_day": "unlimited"}
            if rule["slot"] in self.asks_above:
                rule["approve_above"] = rule["quantity"]["per_item"] * self.asks_above[rule["slot"]]
            if rule["slot"] in self.pooled:
                rule["quantity"] = {"per_item": rule["quantity"]["per_item"] * Decimal("0.5")}
                rule |= {"rounding": "carry", "buy": {"every": "day"} if self.daily else {"at_least": self._unit(rule)}}
                rule.pop("on_behalf_of", None)
            if self.in_part:
                rule["quantity"] = {"per_amount": {"quantity": rule["quantity"]["per_item"], "per": 40}}
        # A cap is counted in the rule's unit, of which an item earns so many of the ledger's.
        unit = {rule["slot"]: self._unit(rule) for rule in rules}
        caps = [{"per": "day", "slot": slot, "quantity": most * unit[slot]} for slot, most in self.most_a_day.items()]
        undoes = self.undoes_s is not None and self.undoes_s[0] <= now_s < self.undoes_s[1]
        refunds = {"full": "undo" if undoes else "keep"}
        of_all: dict[str, Any] = {"store": "acme", "hold_days": self.hold_days, "refunds": refunds}
        if self.in_part:
            refunds["partial"] = "pro_rata"
            of_all["eligible_payments"] = ["APPROVED", "Partially Refunded"]
        return Policy.model_validate({**of_all, "rules": rules, "caps": caps})

    @staticmethod
    def _unit(rule: Mapping[str, Any]) -> Decimal:
        """One of the ledger's units, as a rule of a slot counts: an item earns so many of the ledger's."""
        quantity: Decimal = RULES[rule["slot"]][0]["quantity"]["per_item"] * Decimal(1)
        return quantity / RULES[rule["slot"]][1]

    def _factor(self, now_s: float) -> int:
        return TYPO if self.typo_until_s is not None and now_s < self.typo_until_s else 1

    def orders(self, now_s: float, chaff: int = 0) -> list[dict[str, Any]]:
        """Return Wicked Reports' list at a time of the simulation, in seconds, behind ``chaff`` other orders."""
        unpaid = [replace(self.sales[0], number=900 + number, paid_after_s=inf) for number in range(chaff)]
        return [row for sale in (*unpaid, *self.sales) for row in sale.rows(now_s)]

    def earned(self) -> Mapping[tuple[str, str], int]:
        """The purchases that must be made, by order and slot, of sales that are certain and need no approval."""
        return {
            (f"WR-{sale.number}", slot): RULES[slot][1] * sale.items
            for sale in self.sales
            if sale.certain or sale.paid_again_after_s is not None
            for slot in self.slots
            if slot not in self.pooled
            if slot not in self.asks_above or (self.vandal_after_s is None and sale.items <= self.asks_above[slot])
        }

    def possible(self, order_id: str, slot: str, at_s: float) -> frozenset[int]:
        """
        Return the quantities of a slot that an order may earn at a time of the simulation, or shortly before.

        A webhook that names no time holds beside a listing that says otherwise, where the webhook makes the purchase
        smaller.
        """
        (sale,) = (sale for sale in self.sales if order_id == f"WR-{sale.number}")
        # Where half of the money is given back within hours, a doubt may outlast them, and is sent again as it was.
        since_s = at_s - (2 * DAY_S if self.in_part else LATEST_READING_S)
        changes = [change for change in (*sale.changes_s, self.typo_until_s) if change is not None]
        moments = [since_s, at_s, *(change for change in changes if since_s < change <= at_s)]
        earned = {sale.items_at(moment) * self._factor(moment) * RULES[slot][1] for moment in moments} - {0}
        paid = [each.body for each in sale.webhooks if each.topic == PAID and each.after_s <= at_s]
        items = {sum(line["quantity"] for line in body.get("line_items", ())) for body in paid} - {0}
        announced = {number * self._factor(at_s) * RULES[slot][1] for number in items}
        return frozenset(earned | {less for less in announced if earned and less < min(earned)})

    def was_given_back(self, order_id: str, from_s: float, to_s: float) -> bool:
        """Whether an order was listed as given back whole at any time between two of the simulation."""
        (sale,) = (sale for sale in self.sales if order_id == f"WR-{sale.number}")
        return not sale.unlisted and sale.is_refunded(from_s, to_s) and not sale.paid_beside

    def must_be_undone(self, order_id: str) -> bool:
        """Whether an order is listed as given back whole in the end; where it is listed twice, one may be paid."""
        (sale,) = (sale for sale in self.sales if order_id == f"WR-{sale.number}")
        return not sale.unlisted and sale.look_alike_after_s is None and self.was_given_back(order_id, inf, inf)

    def undone(self) -> frozenset[tuple[str, str]]:
        """The purchases that must not be made, by order and slot."""
        return frozenset(
            (f"WR-{sale.number}", slot) for sale in self.sales if sale.is_refunded_at_once for slot in self.slots
        )


def plain_scenario(seed: int) -> Scenario:
    """Build the scenario of a seed before any twist."""
    chance, webhooks = Random(seed), Random(f"{seed} webhooks")
    return Scenario(
        seed=seed,
        sales=[
            _with_webhooks(webhooks, _sale(chance, number))
            for number in range(1, chance.choice([1, 1, 1, 2, 2, 3]) + 1)
        ],
        slots=_slots(chance),
        on_behalf_of=chance.choice(["customer", "customer", "merchant"]),
        options=_options(chance, seed),
        **_work(chance, seed),
        other_purchases=chance.choice([0, 0, 2, 5]),
        look_alikes=chance.choice([True, False]),
        busy=chance.choice([True] + [False] * 4),
        later_s=_later_s(Random(f"{seed} midnight")),
        **_approval(Random(f"{seed} approval")),
    )


def _slots(chance: Random) -> list[str]:
    """One slot or two; where a seller has only one slot, this comes up twice as often."""
    often = [slot for seller in SELLERS.values() if len(seller.rules) == 1 for slot in seller.rules]
    return list(dict.fromkeys(chance.sample([*RULES, *often], chance.choice([1, 1, 2]))))


def _later_s(chance: Random) -> float:
    """A start shortly before midnight in every other scenario."""
    return chance.choice([0.0, _MIDNIGHT_S - BEGIN_S - chance.uniform(0, 300)])


def _approval(chance: Random) -> dict[str, Any]:
    """Approval by persons in one of three scenarios, for some sales or all."""
    if chance.randrange(3):
        return {}
    return {
        "asks_above": {slot: chance.choice([0, 1]) for slot in sorted(RULES) if chance.randrange(4)},
        "persons": [f"{chance.random()}" for _ in range(chance.choice([1, 2]))],
        "vandal_after_s": chance.choice([None, None, BEGIN_S + chance.uniform(0, 400)]),
    }


def _sale(chance: Random, number: int) -> Sale:
    email = chance.choice([f"customer{number}@example.com", "ana@example.com", None])
    sale = Sale(number, chance.choice([1, 1, 2]), email)
    match chance.randrange(8):
        case 0:
            return replace(sale, refunded_after_s=BEGIN_S + chance.uniform(0, 400))
        case 1:
            return replace(sale, edited_after_s=BEGIN_S + chance.uniform(0, 400))
        case 2:
            return replace(sale, look_alike_after_s=BEGIN_S + chance.uniform(0, 400))
    return sale


def _with_webhooks(chance: Random, sale: Sale) -> Sale:
    """Every other sale has webhooks, before or after Wicked Reports lists it; once or more; some webhooks know less."""
    if chance.choice([True, False]):
        return sale
    order_id, total = 1000 + sale.number, f"{40 * sale.items}.00"
    paid: dict[str, Any] = {"id": order_id, "financial_status": "paid", "total_price": total, "currency": "USD"}
    paid["email"] = sale.email
    if chance.randrange(4):
        paid["line_items"] = [{"quantity": sale.items}]
    ids = chance.choice([("a",), ("a",), ("a", "a"), ("a", "b")])
    webhooks = [Webhook(chance.uniform(0, BEGIN_S + 400), f"{sale.number}{each}", PAID, paid) for each in ids]
    if sale.refunded_after_s is not None:
        webhooks.append(refund_webhook(sale, chance.uniform(0, BEGIN_S + 400)))
    return replace(sale, webhooks=webhooks)


def refund_webhook(sale: Sale, after_s: float) -> Webhook:
    """Shopify reports that all of a sale was given back."""
    given_back = [{"kind": "refund", "status": "success", "amount": f"{40 * sale.items}.00", "currency": "USD"}]
    body = {"id": sale.number, "order_id": 1000 + sale.number, "transactions": given_back}
    return Webhook(after_s, f"{sale.number}r", REFUND, body)


def _options(chance: Random, seed: int) -> Options:
    refusals = Random(f"{seed} refusals")
    rates = {("wickedreports", name): 0.02 for name in _FAULTS}
    for provider in ProviderName:
        shares = {name: chance.choice([0.0, 0.0, 0.05, 0.2]) for name in _FAULTS if name != "refused"}
        scale = min(1.0, _MOST_STRUCK / (sum(shares.values()) or 1.0))
        rates |= {(provider.value, name): share * scale for name, share in shares.items()}
        rates[provider.value, "refused"] = refusals.choice([0.0, 0.0, 0.05, 0.2])
    rates |= _same_again(Random(f"{seed} same again"))
    return Options(
        seed=seed,
        faults=Faults(rates),
        latency_s=chance.choice([0.0, 0.05, 1.0]),
        metadata=chance.choice(["echo", "ignored"]),
        key_lifetime_s=chance.choice([None, KEY_LIFETIME_S]),
        already_confirmed_error=chance.choice([True, False]),
        wicked_reports_per_minute=100_000,
        hang_s=chance.choice([5.0, 60.0]),
        late_s=chance.uniform(1.0, LATE_S),
        page_items=Random(f"{seed} pages").choice([None, 1, 3, 10]),
    )


def _same_again(chance: Random) -> Mapping[tuple[str, str], float]:
    """In one of three scenarios the same two or three faults strike again and again at the providers."""
    if chance.randrange(3):
        return {}
    often = chance.choice([*_TOGETHER, chance.sample(sorted(_FAULTS), 2)])
    return {
        (provider.value, name): _NEARLY_ALL_STRUCK / len(often) if name in often else 0.0
        for provider in ProviderName
        for name in _FAULTS
    }


def _work(chance: Random, seed: int) -> dict[str, Any]:
    """The workers and their times; in one of four scenarios one stands still again and again while another goes on."""
    work = {
        "workers": [_worker(chance, f"{seed} {number}") for number in range(chance.choice([1, 1, 2]))],
        "patience_s": [chance.choice([1.0, 30.0, 300.0]) for _ in range(chance.choice([1, 1, 2]))],
        "idle_s": chance.choice([5.0, 60.0, 600.0, 3 * KEY_AGE_S]),
    }
    overtaking = Random(f"{seed} overtaking")
    if overtaking.randrange(4):
        return work
    slow, lively = (_worker(overtaking, f"{seed} {name}") for name in ("slow", "lively"))
    pause_s, behind_s = overtaking.uniform(LATE_S / 2, STILL_S), overtaking.uniform(0, SETTLE_S)
    return {
        "workers": [
            replace(slow, first_after_s=BEGIN_S, pause_s=pause_s, harm={Act.PAUSE: 0.1}),
            replace(lively, first_after_s=BEGIN_S + behind_s, harm={}),
        ],
        "patience_s": [300.0, 300.0],
        "idle_s": 5.0,
    }


def _worker(chance: Random, seed: str) -> Worker:
    return Worker(
        seed,
        ahead_s=chance.uniform(-SKEW_S / 2, SKEW_S / 2),
        first_after_s=BEGIN_S + chance.uniform(0, 30),
        pause_s=chance.uniform(1.0, STILL_S),
        harm={
            Act.DIE: chance.choice([0.0, 0.02, 0.1]),
            Act.FAIL: chance.choice([0.0, 0.0, 0.05]),
            Act.PAUSE: chance.choice([0.0, 0.0, 0.05, 0.3]),
        },
        steps=_steps(Random(f"{seed} clock")),
    )


def _steps(chance: Random) -> Sequence[tuple[float, float]]:
    """Set the clock of every other worker anew, within the allowed difference."""
    return [
        (BEGIN_S + chance.uniform(0, 400), chance.uniform(-SKEW_S / 2, SKEW_S / 2))
        for _ in range(chance.choice([0, 0, 1, 2]))
    ]
