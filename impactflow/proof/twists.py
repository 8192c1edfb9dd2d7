"""
The twists that make some seeds special: each twist is one thing that the references, the shop or the machines may do.

A seed gets none, one or two twists, at most one of them that takes weeks. Each twist brings along what it needs to have
an effect: a slot at the provider concerned, answers that get lost, a pause between two runs.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from math import inf
from random import Random
from types import MappingProxyType
from typing import Any

from impactflow.ledger import PauseScope
from impactflow.models import ProviderName
from impactflow.proof.scenario import (
    BEGIN_S,
    DAY_S,
    KEY_LIFETIME_S,
    LEASE_S,
    PAID,
    SETTLE_S,
    Sale,
    Scenario,
    Webhook,
    plain_scenario,
    refund_webhook,
)
from impactflow.proof.sellers import RULES, SELLERS
from impactflow.proof.virtual_time import START
from impactflow.sandbox import WEAKNESSES, Faults

Twist = Callable[[Random, Scenario], Scenario]

#: The largest share of all of a provider's requests that is struck.
_MOST_STRUCK = 0.95
#: The twists that come by a chance of their own.
_PAUSED, _ON_HOLD, _CAPPED, _FORGOTTEN, _UNDONE = "paused", "on hold", "capped", "forgotten", "undone"
_POOLED, _IN_PART = "pooled", "in part"
#: Times at which the shop or the policy changes for orders that by then are older than the days a run reads; and the
#: runs.
_CHANGES_S, _RUNS_S = (8.6 * DAY_S, 9.9 * DAY_S), (BEGIN_S, 4 * DAY_S, 8.5 * DAY_S, 10 * DAY_S, 11.5 * DAY_S)


def scenario(seed: int) -> Scenario:
    """Build the scenario of a seed."""
    chance, chosen = Random(f"{seed} twists"), []
    if not chance.randrange(5):
        chosen.append(chance.choice([*WEEKS]))
    if chance.randrange(2):
        chosen.append(chance.choice([name for name in HABITS if not chosen or name not in HASTY]))
    twisted = twist(plain_scenario(seed), chosen)
    if not (pausing := Random(f"{seed} pause")).randrange(8):
        twisted = _paused(pausing, twisted)
    if not (holding := Random(f"{seed} hold")).randrange(12):
        twisted = _on_hold(holding, plain_scenario(seed))
    if not (capping := Random(f"{seed} capped")).randrange(16):
        twisted = _capped(capping, plain_scenario(seed))
    if not (pooling := Random(f"{seed} for many")).randrange(8):
        twisted = _pooled(pooling, twisted)
    is_undone = twisted.undoes_s is not None
    if not (undoing := Random(f"{seed} undone")).randrange(12) and twisted.cancelled_after_s is None and not is_undone:
        twisted = _undone(undoing, twisted)
    if not (forgetting := Random(f"{seed} forget")).randrange(20):
        twisted = _forgotten(forgetting, twisted)
    return replace(twisted, repairs=not chance.randrange(4))


def _paused(chance: Random, plain: Scenario) -> Scenario:
    """A person pauses buying, all of it or a part, while workers buy."""
    slot = chance.choice(plain.slots)
    scopes = (
        PauseScope(),
        PauseScope(slot=slot),
        PauseScope(provider=ProviderName(RULES[slot][0]["provider"])),
        PauseScope("acme"),
    )
    from_s = BEGIN_S + chance.expovariate(1 / 20)
    paused_s = from_s, from_s + chance.choice([1.0, 10.0, LEASE_S + SETTLE_S])
    return replace(plain, paused_s=paused_s, paused=chance.choice(scopes), twists=(*plain.twists, _PAUSED))


def _on_hold(chance: Random, plain: Scenario) -> Scenario:
    """Runs on some days, a hold that ends between two of them, and refunds and edits before it ends or after."""
    days, changes_s = chance.randrange(2, 20), partial(chance.uniform, BEGIN_S, 22 * DAY_S)
    starts_s = BEGIN_S, *sorted(chance.uniform(0.2, 21) * DAY_S for _ in range(4)), 22 * DAY_S
    weeks = replace(_weeks(plain, *starts_s), hold_days=days, twists=(*plain.twists, _ON_HOLD))
    sales = []
    for sale in weeks.sales:
        sale = replace(sale, sold_s=-chance.uniform(0.1, 5) * DAY_S)  # noqa: PLW2901 - the sale as it was made
        match chance.randrange(3):
            case 0:
                sale = replace(sale, refunded_after_s=changes_s())  # noqa: PLW2901 - the sale as it changes
            case 1:
                sale = replace(sale, edited_after_s=changes_s())  # noqa: PLW2901
        sales.append(sale)
    return replace(weeks, sales=sales)


def _forgotten(chance: Random, plain: Scenario) -> Scenario:
    """A person forgets a customer while workers buy; the shop goes on to name the customer."""
    known = sorted({sale.email for sale in plain.sales if sale.email is not None})
    if not known:
        return plain
    forgotten_s = chance.choice([BEGIN_S, *plain.starts_s]) + chance.expovariate(1 / 20)
    twists = (*plain.twists, _FORGOTTEN)
    return replace(plain, forgotten=chance.choice(known), forgotten_s=forgotten_s, twists=twists)


def _undone(chance: Random, plain: Scenario) -> Scenario:
    """Sales are refunded, perhaps paid again, and what was bought for them is undone, perhaps not all the time."""
    last_s = plain.starts_s[-1] if plain.starts_s else BEGIN_S + 600
    moment = partial(chance.uniform, BEGIN_S, last_s)
    sales = [
        _given_back(chance.randrange(5), sale, *sorted((moment(), moment())))
        if sale.certain and chance.randrange(2)
        else sale
        for sale in plain.sales
    ]
    undoes_s = chance.choice([(0.0, inf), (0.0, inf), (moment(), inf), (0.0, moment())])
    undone = replace(plain, sales=sales, undoes_s=undoes_s, twists=(*plain.twists, _UNDONE))
    in_part = Random(f"{plain.seed} in part")
    return undone if in_part.randrange(2) else _in_part(in_part, undone)


def _in_part(chance: Random, plain: Scenario) -> Scenario:
    """
    Half of the money of some sales is given back, perhaps not for good; 1ClickImpact may know no cancelling.

    The shop sells more meanwhile, which is covered with what is left over.
    """
    if not plain.starts_s:
        starts_s = [BEGIN_S + run * chance.uniform(0.01, 0.06) * DAY_S for run in range(4)]
        plain = replace(plain, starts_s=sorted(starts_s), patience_s=[300.0] * len(starts_s), calm_after=None)
    sales, moment = [], partial(chance.uniform, BEGIN_S, plain.starts_s[-1])
    for sale in plain.sales:
        if not sale.unlisted:  # a webhook may name another amount than Wicked Reports
            sale = replace(sale, webhooks=())  # noqa: PLW2901 - the sale as it is told of
        is_plain = sale.certain and not sale.unlisted and sale.look_alike_after_s is None
        if is_plain and (sale.items == 2 or not plain.most_a_day) and chance.randrange(3):  # noqa: PLR2004 - no half items
            from_s, until_s = sorted((moment(), moment()))
            reduced_s = from_s, until_s if chance.randrange(2) else inf
            sale = replace(sale, items=2, reduced_s=reduced_s)  # noqa: PLW2901 - the sale as it changes
        sales.append(sale)
    for _ in range(chance.randrange(4)):
        listed_s = max(moment(), moment(), moment())  # often after there is credit
        sales.append(Sale(len(sales) + 1, 1, None, listed_after_s=listed_s, paid_after_s=listed_s, sold_s=-600.0))
    extras = "coral" in plain.slots or bool(chance.randrange(2))
    options = replace(plain.options, extras=extras and plain.options.extras)
    twisted = replace(plain, sales=sales, options=options, in_part=True, previews=False)
    return replace(twisted, twists=(*plain.twists, _IN_PART))


def _pooled(chance: Random, plain: Scenario) -> Scenario:
    """
    One purchase is made for many sales in some slots, of which each sale earns half a unit or more.

    Sales are often refunded after it: what was bought for them is credit, which the next purchase is less by.
    """
    slots = [slot for slot in plain.slots if chance.randrange(4)] or plain.slots
    without_persons = replace(plain, asks_above={}, persons=(), vandal_after_s=None, previews=False)
    daily = bool(plain.starts_s) and not chance.randrange(2)
    pooled = replace(without_persons, pooled=slots, daily=daily, twists=(*plain.twists, _POOLED))
    return _undone(chance, pooled) if chance.randrange(2) and plain.cancelled_after_s is None else pooled


def _given_back(way: int, sale: Sale, one_s: float, other_s: float) -> Sale:
    match way:
        case 0:
            return replace(sale, refunded_after_s=one_s, paid_again_after_s=other_s)
        case 1:
            return replace(sale, refunded_after_s=one_s, paid_beside=True, webhooks=())
        case 2:
            # Of a customer of its own: of the like sale of another source it may be said that it is the same.
            sale = replace(sale, unlisted=True, listed_after_s=0.0, email=f"told{sale.number}@example.com")
            reports = [_reported(sale, one_s, "paid"), _reported(sale, other_s, "refunded")]
            sale = replace(sale, webhooks=[*reports, refund_webhook(sale, other_s)])
            return replace(sale, paid_after_s=one_s, refunded_after_s=other_s)
    return replace(sale, refunded_after_s=other_s)


def _capped(chance: Random, plain: Scenario) -> Scenario:
    """A cap on each slot that fits any one purchase, two runs at once on enough days, lost answers, equal clocks."""
    plain = replace(plain, sales=[replace(sale, sold_s=-chance.uniform(0.1, 5) * DAY_S) for sale in plain.sales])
    weeks = _weeks(plain, *(BEGIN_S + day * DAY_S for day in range(len(plain.sales) + 2)))
    most_a_day = {slot: RULES[slot][1] * max(sale.items for sale in weeks.sales) for slot in weeks.slots}
    options = replace(weeks.options, faults=Faults.parse("lost_answer=0.3"))
    workers = [
        replace(weeks.workers[0], seed=f"{plain.seed} {name}", ahead_s=0.0, steps=()) for name in ("one", "other")
    ]
    weeks = replace(weeks, workers=workers, options=options, previews=False)
    return replace(weeks, most_a_day=most_a_day, twists=(*plain.twists, _CAPPED))


def healthy(seed: int) -> Scenario:
    """The same shop and policy where nothing goes wrong, and no answer hides anything."""
    plain = _calm(plain_scenario(seed))
    return replace(plain, repairs=True, previews=True, is_healthy=True)


def twist(plain: Scenario, names: Iterable[str]) -> Scenario:
    """Add some twists to a scenario."""
    for name in names:
        plain = TWISTS[name](Random(f"{plain.seed} {name}"), replace(plain, twists=(*plain.twists, name)))
    return plain


def _calm(plain: Scenario) -> Scenario:
    """One worker to whom nothing happens, and nothing goes wrong on the way."""
    options = replace(plain.options, faults=Faults())
    workers = [replace(plain.workers[0], harm={})]
    return replace(plain, options=options, workers=workers, busy=False, vandal_after_s=None)


def _weeks(plain: Scenario, *starts_s: float) -> Scenario:
    """Some runs, days apart, in which nothing else goes wrong; no person is asked, and no sale changes."""
    sales = [Sale(sale.number, sale.items, sale.email) for sale in plain.sales]
    calm = replace(_calm(plain), sales=sales, asks_above={}, persons=(), other_purchases=0, previews=True)
    return replace(calm, starts_s=starts_s, patience_s=[300.0] * len(starts_s), calm_after=None)


def _each_sale(plain: Scenario, **changes: Any) -> Scenario:
    return replace(plain, sales=[replace(sale, **changes) for sale in plain.sales])


def _unpaid(plain: Scenario) -> Scenario:
    """An account that cannot pay until after the changes."""
    options = replace(plain.options, unpaid_s=9.95 * DAY_S)
    return _weeks(replace(plain, options=options), *_RUNS_S)


def _refunded_while_unpaid(chance: Random, plain: Scenario) -> Scenario:
    return _each_sale(_unpaid(plain), refunded_after_s=chance.uniform(*_CHANGES_S))


def _corrected_while_unpaid(chance: Random, plain: Scenario) -> Scenario:
    return replace(_unpaid(plain), typo_until_s=chance.uniform(*_CHANGES_S))


def _approved_late(chance: Random, plain: Scenario) -> Scenario:
    refunded = _each_sale(_weeks(plain, *_RUNS_S), refunded_after_s=chance.uniform(*_CHANGES_S))
    return replace(
        refunded, asks_above=dict.fromkeys(plain.slots, 0), persons=["late"], decide_after_s=9.9 * DAY_S, previews=False
    )


def _listed_late(_: Random, plain: Scenario) -> Scenario:
    return _each_sale(_weeks(plain, *_RUNS_S), listed_after_s=9 * DAY_S)


def _paid_late(_: Random, plain: Scenario) -> Scenario:
    return _each_sale(_weeks(plain, *_RUNS_S), paid_after_s=9 * DAY_S)


def _listed_twice(_: Random, plain: Scenario) -> Scenario:
    return _each_sale(_weeks(plain, *_RUNS_S[:2]), rows_each=2)


def _moved_between_pages(chance: Random, plain: Scenario) -> Scenario:
    """Delete an order before the others while they are read, by a run that comes long after the one before."""
    weeks = _weeks(plain, BEGIN_S, 12 * DAY_S, 13 * DAY_S)
    options = replace(weeks.options, page_items=1)
    sold_s = chance.uniform(2, 4) * DAY_S
    return _each_sale(replace(weeks, options=options, chaff=1), sold_s=sold_s, listed_after_s=sold_s)


def _cancelled_and_joined(chance: Random, plain: Scenario) -> Scenario:
    """A purchase is cancelled at the seller; then a webhook reports the sale by a name that is joined to it later."""
    slots = [slot for slot in RULES if RULES[slot][0]["provider"] != ProviderName.IMPACTAPI]
    weeks = replace(_weeks(plain, BEGIN_S, 2 * DAY_S, 3.5 * DAY_S, 5 * DAY_S), slots=[chance.choice(slots)])
    sales = [replace(sale, joined_after_s=3 * DAY_S, webhooks=[_paid(sale, 3 * DAY_S)]) for sale in weeks.sales]
    return replace(weeks, sales=sales, cancelled_after_s=DAY_S, previews=False)


def _paid(sale: Sale, after_s: float) -> Webhook:
    body = {"id": 1000 + sale.number, "financial_status": "paid", "total_price": f"{40 * sale.items}.00"}
    body |= {"currency": "USD", "email": sale.email, "line_items": [{"quantity": sale.items}]}
    return Webhook(after_s, f"{sale.number}late", PAID, body)


def _reported(sale: Sale, after_s: float, status: str) -> Webhook:
    """Shopify reports a sale as it is by then."""
    at = (START + timedelta(seconds=after_s)).isoformat()
    body = {**_paid(sale, after_s).body, "financial_status": status, "updated_at": at}
    return Webhook(after_s, f"{sale.number}{status}", PAID, body)


def _at(provider: ProviderName, chance: Random, plain: Scenario) -> Scenario:
    """Buy at this provider only."""
    there = [*SELLERS[provider].rules]
    return replace(plain, slots=[slot for slot in plain.slots if slot in there] or [chance.choice(there)])


def _struck(plain: Scenario, providers: Iterable[str], **shares: float) -> Scenario:
    """Strike with these faults besides those of the scenario."""
    rates = dict(plain.options.faults.rates)
    for provider in providers:
        others = [key for key in rates if key[0] == provider and key[1] not in shares]
        left = max(0.0, _MOST_STRUCK - sum(shares.values()))
        scale = min(1.0, left / (sum(rates[key] for key in others) or 1.0))
        rates |= {key: rates[key] * scale for key in others}
        rates |= {(provider, name): share for name, share in shares.items()}
    return replace(plain, options=replace(plain.options, faults=Faults(rates)))


def _poor(name: str, chance: Random, plain: Scenario) -> Scenario:
    """Answers have this weakness, and some get lost: then only the weak answers are left to decide by."""
    provider = ProviderName(WEAKNESSES[name][0])
    lost = {chance.choice(["lost_answer", "lost_request"]): chance.choice([0.1, 0.3])}
    there = _struck(_at(provider, chance, plain), [provider], **lost)
    return replace(there, options=replace(there.options, poor=there.options.poor | {name}))


def _poor_metadata(name: str, chance: Random, plain: Scenario) -> Scenario:
    """The same weakness, and the next run comes when CNaught has forgotten the keys."""
    poor = _struck(_poor(name, chance, plain), [ProviderName.CNAUGHT], lost_answer=chance.choice([0.3, 0.6]))
    options = replace(poor.options, key_lifetime_s=KEY_LIFETIME_S)
    starts_s = [BEGIN_S + number * 1.1 * KEY_LIFETIME_S for number in range(3)]
    if poor.starts_s:
        return replace(poor, options=options)
    return replace(poor, options=options, starts_s=starts_s, patience_s=[1.0] * len(starts_s))


def _records_with_customers(chance: Random, plain: Scenario) -> Scenario:
    """One sale names its customer and one does not; no record says whose it is."""
    poor = _poor("records_with_customers", chance, plain)
    mixed = [Sale(1, 1, "ana@example.com"), Sale(2, 1, None)]
    options = replace(poor.options, metadata="ignored")
    return replace(poor, sales=poor.sales if poor.starts_s else mixed, on_behalf_of="customer", options=options)


def _misled(name: str, likeliest: ProviderName, chance: Random, plain: Scenario) -> Scenario:
    """A provider answers some requests wrongly, among several of the same kind, and loses the answers to others."""
    provider = chance.choice([*ProviderName, likeliest, likeliest])
    shares = {"lost_answer": chance.choice([0.1, 0.4]), name: chance.choice([0.1, 0.4])}
    there = _struck(_at(provider, chance, plain), [provider], **shares)
    if there.starts_s:
        return there
    more = [Sale(number, 1, plain.sales[0].email) for number in range(len(plain.sales) + 1, 4)]
    return replace(there, sales=[*plain.sales, *more], asks_above={}, persons=())


def _short_listings(_: Random, plain: Scenario) -> Scenario:
    options = replace(plain.options, page_items=1)
    return _struck(replace(plain, options=options), ["wickedreports", *ProviderName], short_listing=0.3)


def _readings_break_off(chance: Random, plain: Scenario) -> Scenario:
    """1ClickImpact's records are read one by one, and the reading often ends before the last."""
    there = _at(ProviderName.ONECLICKIMPACT, chance, plain)
    options = replace(there.options, page_items=1)
    return _struck(replace(there, options=options), [ProviderName.ONECLICKIMPACT], lost_answer=0.2, error_before=0.6)


def _effects_come_late(chance: Random, plain: Scenario) -> Scenario:
    """Requests often take effect after their answers; at 1ClickImpact others buy look-alikes meanwhile."""
    provider = chance.choice([*ProviderName])
    there = _struck(_at(provider, chance, plain), [provider], late_effect=0.4)
    options = replace(there.options, metadata="echo")
    return replace(there, options=options, busy=provider is ProviderName.ONECLICKIMPACT)


def _stands_still(chance: Random, plain: Scenario) -> Scenario:
    """A process stands still for longer than lease and settling time, at any boundary, while another goes on."""
    there = _at(ProviderName.ONECLICKIMPACT, chance, plain)
    slow, lively = there.workers[0], there.workers[-1]
    pause_s = (LEASE_S + SETTLE_S) * chance.uniform(1, 3)
    slow = replace(slow, first_after_s=BEGIN_S, pause_s=pause_s, pauses_at=chance.randrange(9), harm={})
    lively = replace(lively, seed=f"{slow.seed} lively", first_after_s=BEGIN_S + chance.uniform(0, 100), harm={})
    return replace(there, workers=[slow, lively], patience_s=[300.0, 300.0], idle_s=5.0, starts_s=())


def _others_showing_keys(chance: Random, plain: Scenario) -> Scenario:
    """
    Other buyers send 1ClickImpact metadata of their own with their purchases, and never a key.

    Or they begin while ours are under way, with a key first: only then is the account seen to return metadata.
    """
    there = _at(ProviderName.ONECLICKIMPACT, chance, plain)
    there = _struck(there, [ProviderName.ONECLICKIMPACT], lost_request=chance.choice([0.3, 0.6]))
    options = replace(there.options, metadata="echo")
    sales = [replace(there.sales[0], email=chance.choice([None, "ana@example.com"]), webhooks=())]
    there = replace(there, sales=sales, options=options, other_purchases=0, busy=True)
    if chance.randrange(2):
        return replace(there, busy_after_s=BEGIN_S + chance.uniform(0, 100))
    return replace(there, others_show_key=False)


def _stray_ledger(what: str, chance: Random, plain: Scenario) -> Scenario:
    """A process works with a ledger of its own: an empty one, or a copy of some time ago."""
    # The age of a copy shows only where records name our keys, see docs/promise.md.
    metadata = "echo" if what == "older" else plain.options.metadata
    options = replace(plain.options, metadata=metadata)
    stray = replace(plain, options=options, stray=what, stray_after_s=BEGIN_S + chance.uniform(60, 600))
    if what == "older" or chance.randrange(2):
        return stray
    # Other buyers buy there, too, so that our purchases are not on the first of the pages.
    return replace(stray, options=replace(options, metadata="echo", page_items=1), busy=True)


#: Twists that take weeks in which little else happens.
WEEKS: Mapping[str, Twist] = MappingProxyType(
    {
        "refunded while unpaid": _refunded_while_unpaid,
        "corrected while unpaid": _corrected_while_unpaid,
        "approved late": _approved_late,
        "listed late": _listed_late,
        "paid late": _paid_late,
        "listed twice": _listed_twice,
        "moved between pages": _moved_between_pages,
        "cancelled and joined": _cancelled_and_joined,
    }
)
#: Habits of the providers, other buyers and machines.
HABITS: Mapping[str, Twist] = MappingProxyType(
    {name: partial(_poor, name) for name in WEAKNESSES}
    | {name: partial(_poor_metadata, name) for name in ("metadata_reformatted", "metadata_dropped")}
    | {
        "passing_404": partial(_misled, "passing_404", ProviderName.IMPACTAPI),
        "foreign_answer": partial(_misled, "foreign_answer", ProviderName.CNAUGHT),
        "refused_after": partial(_misled, "refused_after", ProviderName.ONECLICKIMPACT),
        "limited_after": partial(_misled, "limited_after", ProviderName.ONECLICKIMPACT),
    }
    | {
        "records_with_customers": _records_with_customers,
        "short_listing": _short_listings,
        "readings break off": _readings_break_off,
        "effects come late": _effects_come_late,
        "stands still": _stands_still,
        "telling strangers": _others_showing_keys,
        "empty ledger": partial(_stray_ledger, "empty"),
        "older ledger": partial(_stray_ledger, "older"),
    }
)
#: The habits that are about minutes.
HASTY = frozenset({"stands still", "telling strangers", "effects come late"})
TWISTS: Mapping[str, Twist] = MappingProxyType({**WEEKS, **HABITS})
#: Every name that ``Scenario.twists`` may hold.
NAMES = frozenset({*TWISTS, _PAUSED, _ON_HOLD, _CAPPED, _FORGOTTEN, _UNDONE, _POOLED, _IN_PART})
