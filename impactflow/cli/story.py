"""One order's story as a person reads it: called by ``show``."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape

from impactflow.cli.console import out
from impactflow.cli.dismiss import HOW
from impactflow.models import Unit
from impactflow.units import shown


def tell(story: Mapping[str, Any]) -> None:
    """Print what an order earned or not, and each event since."""
    if "broken" in story:
        _tell_broken(story["order"], story["broken"])
        _tell_dismissed(story["dismissed"])
        if not story["broken"]["dismissed"]:
            out.print(HOW, markup=False)
        return
    counts = "counts" if story["counts"] else "does not count"
    out.print(f"[bold]{escape(story['order'])}[/bold], sold {story['ordered_at']:%Y-%m-%d %H:%M} UTC, {counts}")
    out.print("known as " + ", ".join(story["names"]), markup=False)
    for refund in story["refunds"]:
        _tell_refund(refund)
    for broken in story["not_read"]:
        _tell_broken(broken["name"], broken)
        out.print(HOW, markup=False)
    _tell_dismissed(story["dismissed"])
    for entry in story["unearned"]:
        slot = f"slot {entry['slot']}" if entry["slot"] else "the order"
        out.print(f"  {slot} earned nothing: {entry['reason']}", markup=False)
    for placement in story["placements"]:
        _tell_placement(placement)


def _tell_broken(name: str, broken: Mapping[str, Any]) -> None:
    out.print(f"Order {name} could not be read: {broken['problem']}", markup=False)
    first, last = broken["first_seen_at"], broken["last_seen_at"]
    out.print(f"First seen {first:%Y-%m-%d %H:%M:%S} UTC, last {last:%Y-%m-%d %H:%M:%S}.")


def _tell_dismissed(dismissed: Sequence[Mapping[str, Any]]) -> None:
    for each in dismissed:
        said = f"dismissed by {each['by']}: {each['why']} (it could not be read: {each['problem']})"
        out.print(f"  {each['at']:%Y-%m-%d %H:%M:%S} {said}", markup=False)


def _tell_refund(refund: Mapping[str, Any]) -> None:
    amount = (
        f"{refund['amount']} {refund['currency'] or ''}".strip() if refund["amount"] else "an amount that is not told"
    )
    how_much = "in full" if refund["is_full"] else amount
    at, ref = f"{refund['seen_at']:%Y-%m-%d %H:%M:%S}", refund["ref"]
    out.print(f"  {at} undone or given back: {how_much} ({ref}); what was bought by then stays", markup=False)


def _tell_placement(placement: Mapping[str, Any]) -> None:
    amount = "?"
    if placement["quantity"] is not None:
        quantity, unit = shown(placement["quantity"], Unit(placement["unit"]))
        amount = f"{quantity} {unit}"
    out.print(
        f"\n[bold]{placement['slot']}[/bold]: {amount} from {placement['provider']}, [bold]{placement['status']}[/bold]"
    )
    for name in ("reason", "ref", "certificate_url", "key"):
        if placement[name]:
            out.print(f"  {name.replace('_', ' ')}: {placement[name]}", markup=False)
    for event in placement["events"]:
        came = f"{event['from_status'] or 'nothing'} -> {event['to_status']}"
        attempt = f"attempt {event['attempt']}" if event["attempt"] else ""
        out.print(
            f"  {event['at']:%Y-%m-%d %H:%M:%S} {came:22} {attempt:10} {event['detail'] or ''} (run {event['run_id']})",
            markup=False,
        )
