"""Try a sender's mapping on a file. Nothing is written, and no request is sent."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from impactflow.cli.command import DONE, UNDONE
from impactflow.cli.console import out, print_json
from impactflow.clock import Clock, SystemClock
from impactflow.errors import ConfigurationError
from impactflow.intake.senders import events
from impactflow.intake.senders.mapping import Senders, load_senders, topic_of
from impactflow.ledger import Delivery
from impactflow.models import BrokenOrder, Order, Refund
from impactflow.names import order_id_of
from impactflow.settings import load_settings


@dataclass(frozen=True, slots=True)
class Tried:
    """
    The result of a try.

    Args:
        means: One word for the meaning.
        sentence: The meaning in a sentence.
        fields: Each field with the value that was read; e-mail addresses are not repeated.
    """

    means: str
    sentence: str
    fields: dict[str, Any]


def try_mapping(file: Path, name: str, *, as_json: bool, clock: Clock | None = None) -> int:
    """
    Print the meaning of a delivery; return the exit status.

    Raises:
        ConfigurationError: There is no such sender or file, or the mapping is wrong.
    """
    senders = load_senders(load_settings().impactflow_senders)
    if name not in senders.senders:
        raise ConfigurationError(_no_sender(name, senders))
    try:
        body = file.read_bytes()
    except OSError as failed:
        raise ConfigurationError(f"{file} cannot be read ({failed.strerror})") from None
    tried = _try(body, name, senders, clock or SystemClock())
    if as_json:
        print_json({"sender": name, "means": tried.means, "said": tried.sentence, **tried.fields})
    else:
        out.print(tried.sentence, markup=False)
        for field, value in tried.fields.items():
            out.print(f"  {field.replace('_', ' ')}: {_shown(value)}", markup=False)
    return UNDONE if tried.means == "broken" else DONE


def _no_sender(name: str, senders: Senders) -> str:
    known = ", ".join(senders.senders)
    if known:
        return f"--sender {name}: the file of senders knows {known}"
    return f"--sender {name}: no sender is known: name the file that has the mapping in IMPACTFLOW_SENDERS"


def _try(body: bytes, name: str, senders: Senders, clock: Clock) -> Tried:
    sender = senders.senders[name]
    try:
        topic = topic_of(sender, json.loads(body))
    except (ValueError, RecursionError):
        return Tried("broken", "Broken: it is not JSON.", {})
    if not isinstance(topic, str) or not topic:
        text = f"Broken: nothing at {sender.topic} says what the delivery tells of, so that the receiver refuses it."
        return Tried("broken", text, {})
    if topic not in sender.topics:
        text = f"Nothing: the mapping does not list {topic}, so that the receiver acknowledges it and keeps nothing."
        return Tried("nothing", text, {"topic": topic})
    read = events.read(Delivery("", name, "tried", topic, clock.now(), body), senders)
    return event_in_words(read, topic)


def event_in_words(event: events.Event, topic: str = "") -> Tried:
    """Return the meaning of a delivery, for a person."""
    match event:
        case Order():
            fields = {
                "topic": topic,
                "order": event.id,
                "ordered_at": event.ordered_at,
                "as_of": event.as_of,
                "amount": event.amount,
                "currency": event.currency,
                "item_count": event.item_count,
                "has_customer_email": event.customer_email is not None,
            }
            return Tried("paid", f"Paid: order {event.id} was sold.", fields)
        case Refund():
            fields = {
                "topic": topic,
                "order": order_id_of(event.names[0]),
                "as_of": event.as_of,
                "amount": event.amount,
                "currency": event.currency,
                "full": event.is_full,
                "ref": event.ref,
            }
            how_much = "all of it" if event.is_full else "a part of it"
            text = f"Given back or cancelled: {how_much}, of order {fields['order']}."
            return Tried("given back", text, fields)
        case BrokenOrder():
            return Tried("broken", f"Broken: {event.problem}.", {"topic": topic, "order": event.id})
        case _:
            why = getattr(event, "why", None) or "it does not concern us"
            return Tried("nothing", f"Nothing follows: {why}.", {"topic": topic})


def _shown(value: object) -> str:
    match value:
        case None:
            return "unknown"
        case bool():
            return "yes" if value else "no"
        case _:
            return str(value)
