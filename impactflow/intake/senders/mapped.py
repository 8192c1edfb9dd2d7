"""
Events of other senders of Standard Webhooks, read by their mapping, and checked as our own events are.

Pure. The mapping says where the fields are (``mapping``), ``standard`` which values they may have. A field that is not
at its path is a problem, never ignored: a mistake in a path must not cost an order its amount.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar, assert_never

from pydantic import BaseModel, TypeAdapter, ValidationError

from impactflow.clients.answers import broken_fields
from impactflow.clients.values import Answer, Aside
from impactflow.clients.wickedreports.models import Text
from impactflow.intake.senders.mapping import At, Cancelled, Condition, Count, Fixed, Paid, Refunded, Sender, Topic
from impactflow.intake.senders.paths import find, says_each
from impactflow.intake.senders.standard import PaidOrder, RefundedOrder, order_of, refund_of
from impactflow.intake.senders.values import A_TEST, Minor, Moment, NothingForUs, currency_code, from_minor
from impactflow.models import Order, Refund

Model = TypeVar("Model", bound=BaseModel)

_EMAIL: TypeAdapter[str | None] = TypeAdapter(Aside[Text])
#: The name of a refund where the sender reports how much was given back so far.
_SO_FAR = "refunded"


class _Amount(Answer):
    """An amount in the smallest unit of its currency."""

    amount: Minor


class _As(Answer):
    """The time of the reported state."""

    as_of: Moment


class NotAsMapped(ValueError):
    """A delivery differs from its sender's mapping; the message names paths and problems, no content."""


def read(body: bytes, received_at: datetime, name: str, sender: Sender, topic: str) -> Order | Refund | NothingForUs:
    """
    The meaning of a delivery.

    Args:
        body: The body as it was sent.
        received_at: When it came.
        name: The sender's name.
        sender: The sender's mapping.
        topic: The event.

    Raises:
        NotAsMapped: It is not as the mapping says.
    """
    if topic not in sender.topics:
        raise NotAsMapped("the mapping does not say what this topic means")
    meaning = sender.topics[topic]
    reading = _Reading(_content(body), name, sender, meaning)
    if meaning.test is not None and reading.flag("test", meaning.test):
        return A_TEST
    match meaning:
        case Paid():
            event: Order | Refund | NothingForUs = order_of(reading.paid(meaning), received_at)
        case Refunded():
            event = refund_of(reading.refunded(meaning))
        case Cancelled():
            order = reading.order()
            event = Refund((order,), f"{order}:cancelled", None, None, is_full=True)
        case _:
            assert_never(meaning)
    as_of = reading.as_of()
    if as_of is None or isinstance(event, NothingForUs):
        return event
    return replace(event, as_of=min(as_of, received_at))  # no sender knows what will be


def named(body: bytes, name: str, sender: Sender, topic: str) -> str | None:
    """The name of the order that a delivery is about, as far as that can be read; None where it cannot."""
    if topic not in sender.topics:
        return None
    try:
        return _Reading(_content(body), name, sender, sender.topics[topic]).order()
    except NotAsMapped:
        return None


def _content(body: bytes) -> Any:
    """JSON, with the digits of its numbers as they were sent."""
    try:
        return json.loads(body, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError):
        raise NotAsMapped("it is not JSON") from None


class _Reading:
    """One delivery, read by its sender's mapping."""

    def __init__(self, content: Any, name: str, sender: Sender, topic: Topic) -> None:
        self._content = content
        self._system = sender.source_system or Fixed(text=name)
        self._is_minor = sender.minor
        self._topic = topic

    def order(self) -> str:
        """The order's name."""
        return self._checked(PaidOrder, self._named()).name

    def as_of(self) -> datetime | None:
        """The time of the reported state, where the sender says it."""
        value = self._value("as_of", self._topic.as_of)
        return None if value is None else self._checked(_As, {"as_of": value}).as_of

    def paid(self, topic: Paid) -> PaidOrder:
        """An order that is paid, in the form of our own events."""
        values = {
            "ordered_at": self._value("ordered_at", topic.ordered_at),
            "item_count": self._count("item_count", topic.item_count),
            "customer_email": self._email(topic.customer_email),
        }
        return self._checked(PaidOrder, self._named() | values | self._money(topic))

    def refunded(self, topic: Refunded) -> RefundedOrder:
        """A refund, in the form of our own events."""
        values = {
            "refund_id": _SO_FAR if topic.refund_id is None else self._value("refund_id", topic.refund_id),
            "full": topic.full is True or (isinstance(topic.full, Condition) and self.flag("full", topic.full)),
        }
        return self._checked(RefundedOrder, self._named() | values | self._money(topic))

    def flag(self, field: str, where: Condition) -> bool:
        """Whether something is so."""
        found = self._found(field, where)
        if where.equals is not None:
            # To Python 1 is true, and true is 1.
            return isinstance(found, bool) == isinstance(where.equals, bool) and bool(found == where.equals)
        if found is None or isinstance(found, bool):
            return bool(found)
        raise NotAsMapped(f"{field}: {where.path} is neither true nor false: say what it equals")

    def _named(self) -> dict[str, Any]:
        system = self._value("source_system", self._system)
        return {"source_system": system, "source_id": self._value("source_id", self._topic.source_id)}

    def _money(self, topic: Paid | Refunded) -> dict[str, Any]:
        """Amount and currency, the amount in the currency itself."""
        amount, currency = self._value("amount", topic.amount), self._value("currency", topic.currency)
        if isinstance(currency, str):
            currency = currency_code(currency)
        if amount is not None and self._is_minor:
            amount = self._checked(_Amount, {"amount": amount}).amount
            if not isinstance(currency, str):
                raise NotAsMapped("currency: there is none, so the amount's smallest unit is unknown")
            amount = from_minor(amount, currency)
        return {"amount": amount, "currency": currency}

    def _value(self, field: str, where: At | Fixed | None) -> Any:
        """The value at a path; None where the mapping has no path, for null, and where an optional value is missing."""
        if where is None or isinstance(where, Fixed):
            return None if where is None else where.text
        found = self._found(field, where)
        if found is None or where.after is None:
            return found
        if not isinstance(found, str) or where.after not in found:
            raise NotAsMapped(f"{field}: {where.path} is no text with {where.after} in it")
        return found.rpartition(where.after)[2]

    def _count(self, field: str, where: Count | None) -> Any:
        """A number, or the sum of several; a line without one is one thing."""
        if where is None:
            return None
        found = self._found(field, where)
        if not says_each(where.path) or found is None:
            return found
        try:
            return sum((Decimal(1) if each is None else _number(each) for each in found), Decimal(0))
        except (ArithmeticError, TypeError):
            raise NotAsMapped(f"{field}: {where.path} is not a number each time") from None

    def _email(self, where: At | Fixed | None) -> str | None:
        """The customer's address; a bad address does not break an order, because nothing is decided by it."""
        try:
            return _EMAIL.validate_python(self._value("customer_email", where))
        except NotAsMapped:
            return None

    def _found(self, field: str, where: At | Count | Condition) -> Any:
        try:
            return find(where.path, self._content)
        except LookupError:
            if where.optional:
                return None
            raise NotAsMapped(f"{field}: nothing stands at {where.path}") from None

    def _checked(self, model: type[Model], values: Mapping[str, Any]) -> Model:
        """
        Return the values that were found, as a model.

        Raises:
            NotAsMapped: They do not fit the model; the message names the wrong fields, each with its path.
        """
        try:
            return model.model_validate(values)
        except ValidationError as broken:
            fields = {str(error["loc"][0]) for error in broken.errors() if error["loc"]}
            paths = [f"{each} is at {path}" for each in sorted(fields) if (path := self._path(each)) is not None]
            raise NotAsMapped("; ".join([broken_fields(broken), *paths])) from None

    def _path(self, field: str) -> str | None:
        where = self._system if field == "source_system" else getattr(self._topic, field, None)
        return getattr(where, "path", None)


def _number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise TypeError
    return Decimal(value)
