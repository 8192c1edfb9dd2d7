"""The whole story of one order, and the deliveries about it that wait to be read."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import typer
from rich.markup import escape

from impactflow import stopping
from impactflow.cli.console import out, print_json
from impactflow.cli.dismiss import HOW
from impactflow.cli.ledgers import open_existing
from impactflow.ledger import Ledger, Status
from impactflow.models import Unit
from impactflow.reports.standing import takes_up_deliveries
from impactflow.settings import Settings, load_settings
from impactflow.texts import counted
from impactflow.units import SHOWN, amount_in_words, exact_text

#: The number of unreadable orders that are searched for a name.
_LISTED = 100_000


def show_story(order: str, store: str | None, *, as_json: bool) -> None:
    """
    Print all that is known of an order.

    Args:
        order: Any name of the order.
        store: The store of the order; None where only one store has an order of that name.
        as_json: Whether a program reads it.

    Raises:
        typer.BadParameter: There is no order of that name.
        ConfigurationError: There is no ledger, or several orders have the name.
    """
    settings = load_settings()
    with open_existing(settings) as ledger:
        story, waiting = stopping.run(_read(ledger, settings, order, store))
        if story is None and not waiting:
            meant = stopping.run(_meant(ledger, order, store))
            hint = f"did you mean {meant!r}?" if meant else "`impactflow status` says what the ledger holds"
            raise typer.BadParameter(
                f"no order goes by the name {order!r} in this ledger, and no waiting webhook delivery names one: {hint}"
            )
    if as_json:
        print_json({**(story or {"order": order}), "waiting_deliveries": waiting})
        return
    if story is None:
        out.print(f"Order {order} was not read yet.", markup=False)
    else:
        _show(story)
    for each in waiting:
        out.print(
            f"  A webhook delivery of {each['source']} ({each['topic']}, received"
            f" {each['received_at']:%Y-%m-%d %H:%M:%S} UTC) that tells of it waits to be read:"
            f" {takes_up_deliveries(settings)} reads what waits, and so does the deployment `events`.",
            markup=False,
        )


async def _read(
    ledger: Ledger, settings: Settings, order: str, store: str | None
) -> tuple[Mapping[str, Any] | None, list[dict[str, Any]]]:
    story = await ledger.story(order, store=store) or await _broken(ledger, order, store)
    stores = {each.store for each in await ledger.pending_by_source() if store in {None, each.store}}
    if not stores:
        return story, []
    from impactflow.intake.deliveries import waiting_for  # noqa: PLC0415 - the senders' libraries take their time
    from impactflow.intake.senders.mapping import load_senders  # noqa: PLC0415 - likewise

    senders = load_senders(settings.impactflow_senders)
    names = {order, *(story or {}).get("names", ())}
    found = [each for name in sorted(stores) for each in await waiting_for(ledger, name, names, senders)]
    return story, [asdict(each) for each in found]


async def _broken(ledger: Ledger, order: str, store: str | None) -> Mapping[str, Any] | None:
    """Return the unreadable order that is listed by this name after its system's prefix, if there is exactly one."""
    listed = [each["name"] for each in await ledger.broken(_LISTED) if each["name"].endswith(f":{order}")]
    return await ledger.story(listed[0], store=store) if len(set(listed)) == 1 else None


async def _meant(ledger: Ledger, order: str, store: str | None) -> str | None:
    """Return the typed name without its # or with one, where the ledger has an order of that name."""
    other = order.removeprefix("#") if order.startswith("#") else f"#{order}"
    return other if await ledger.story(other, store=store) else None


def _show(story: Mapping[str, Any]) -> None:
    if "broken" in story:
        _show_broken(story["order"], story["broken"])
        _show_dismissed(story["dismissed"])
        if not story["broken"]["dismissed"]:
            out.print(HOW, markup=False)
        return
    counts = "counts" if story["counts"] else "does not count"
    out.print(f"[bold]{escape(story['order'])}[/bold], sold {story['ordered_at']:%Y-%m-%d %H:%M} UTC, {counts}")
    out.print(_last_reading(story), markup=False)
    out.print("known as " + ", ".join(story["names"]), markup=False)
    for refund in story["refunds"]:
        _show_refund(refund)
    for broken in story["not_read"]:
        _show_broken(broken["name"], broken)
        out.print(HOW, markup=False)
    _show_dismissed(story["dismissed"])
    bought = {placement["slot"] for placement in story["placements"] if placement["placed_at"]}
    for entry in story["unearned"]:
        _show_unearned(entry, bought)
    for placement in story["placements"]:
        _show_placement(placement)
    for share in story["shares"]:
        _show_share(share)


def _last_reading(story: Mapping[str, Any]) -> str:
    """Return the amount, items and payments of the order's last reading."""
    amount = "no amount" if story["amount"] is None else f"{story['amount']} {story['currency'] or '(no currency)'}"
    items = "an unknown number of items" if story["items"] is None else counted(Decimal(story["items"]), "item")
    payments = ", ".join(story["payments"] or ()) or "none"
    return f"{amount}, {items}, payments: {payments}"


def _show_unearned(entry: Mapping[str, Any], bought: set[str]) -> None:
    """Print why nothing is earned; purchases made before stay, so their slot did earn something."""
    slot = f"slot {entry['slot']}" if entry["slot"] else "the order"
    if entry["slot"] in bought or (bought and not entry["slot"]):
        out.print(f"  {slot} earns nothing any more: {entry['reason']}", markup=False)
    else:
        out.print(f"  {slot} earned nothing: {entry['reason']}", markup=False)


def _show_broken(name: str, broken: Mapping[str, Any]) -> None:
    out.print(f"Order {name} could not be read: {broken['problem']}", markup=False)
    first, last = broken["first_seen_at"], broken["last_seen_at"]
    out.print(f"First seen {first:%Y-%m-%d %H:%M:%S} UTC, last {last:%Y-%m-%d %H:%M:%S}.")


def _show_dismissed(dismissed: Sequence[Mapping[str, Any]]) -> None:
    for each in dismissed:
        word = f"dismissed by {each['by']}: {each['why']} (it could not be read: {each['problem']})"
        out.print(f"  {each['at']:%Y-%m-%d %H:%M:%S} {word}", markup=False)


def _show_refund(refund: Mapping[str, Any]) -> None:
    amount = f"{refund['amount']} {refund['currency'] or ''}".strip() if refund["amount"] else "an unknown amount"
    how_much = "in full" if refund["is_full"] else amount
    at, ref = f"{refund['seen_at']:%Y-%m-%d %H:%M:%S}", refund["ref"]
    out.print(f"  {at} undone or given back: {how_much} ({ref})", markup=False)


def _show_share(share: Mapping[str, Any]) -> None:
    """Print a share of purchases for many orders, or of the order's own, and the purchases that it has a part of."""
    name, size = SHOWN[Unit(share["unit"])]

    def shown(amount: Fraction) -> str:
        return f"{exact_text(amount / size)} {name}"

    if not share["earned"] and not share["owed"]:
        out.print(f"\n{shown(share['covered'])} of it are owed to no order any more; the next ones are owed them.")
        return
    less = "" if share["owed"] == share["earned"] else f", less what was given back: {shown(share['owed'])}"
    whose = "for it" if share["is_of_own_purchase"] else "for other orders, or with theirs"
    out.print(f"\n[bold]{share['slot']}[/bold]: a share of {shown(share['earned'])}{less}; of what was bought {whose}:")
    if share["covered"] > share["owed"]:
        out.print(f"  {shown(share['covered'] - share['owed'])} of it are credit: the next orders are covered with it")
    for each in share["purchases"]:
        of_all = f"{shown(each['parts'])} of {exact_text(Fraction(each['quantity']) / size)}"
        out.print(f"  {of_all} in purchase {each['purchase']} from {each['provider']}, {each['status']}", markup=False)
        for field in ("ref", "certificate_url"):
            if each[field]:
                out.print(f"    {field.replace('_', ' ')}: {each[field]}", markup=False)
    if share["owed"] > share["covered"]:
        out.print(f"  {shown(share['owed'] - share['covered'])} of it wait for a purchase")


def _in_our_units(detail: str | None) -> str:
    """Replace the ledger's units in a plan: a person reads the same units everywhere."""
    number, _, unit = (detail or "").partition(" ")
    if not number.isdecimal() or unit not in set(Unit):
        return detail or ""
    return amount_in_words(int(number), Unit(unit))


def _show_placement(placement: Mapping[str, Any]) -> None:
    amount = "?" if placement["quantity"] is None else amount_in_words(placement["quantity"], Unit(placement["unit"]))
    what = f"{amount} ({placement['kind']}) from {placement['provider']}"
    out.print(f"\n[bold]{placement['slot']}[/bold]: {what}, [bold]{placement['status']}[/bold]")
    if (cents := placement["price_usd_cents"]) is not None:
        quoted = placement["quoted_usd_cents"]
        before = "" if quoted is None else f", quoted at {Decimal(quoted) / 100:f} USD before"
        out.print(f"  price: {Decimal(cents) / 100:f} USD{before}")
    if placement["status"] == Status.PLANNED and (until := placement["buy_from"]) and until > datetime.now(UTC):
        out.print(f"  on hold until {until:%Y-%m-%d %H:%M} UTC, as the policy says")
    for name in ("reason", "ref", "certificate_url", "key"):
        if placement[name]:
            out.print(f"  {name.replace('_', ' ')}: {placement[name]}", markup=False)
    for event in placement["events"]:
        came = f"{event['from_status'] or 'nothing'} -> {event['to_status']}"
        attempt = f"attempt {event['attempt']}" if event["attempt"] else ""
        detail = f"{_in_our_units(event['detail'])} (run {event['run_id']})"
        out.print(f"  {event['at']:%Y-%m-%d %H:%M:%S} {came:22} {attempt:10} {detail}", markup=False)
