"""What the senders' modules share: the fields of what they tell, and what it can mean besides an order or a refund."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from impactflow.clients.values import Answer, Aside, check_plain, shaped
from impactflow.clients.wickedreports.models import Quantity

#: Some senders write ids as numbers. A blank one would be the name of many orders. A database indexes no long text,
#: and neither it nor a terminal takes control characters.
Id = Annotated[
    str,
    BeforeValidator(lambda value: str(value) if type(value) is int else value),
    Field(min_length=1, max_length=200),
    AfterValidator(check_plain),
    shaped(r"(?s).*\S.*", "not be blank"),
]


def _id_within(value: Any) -> Any:
    """Stripe tells another object by its id, or the whole object in its place."""
    return value.get("id") if isinstance(value, dict) else value


#: Another object, by its id.
Reference = Annotated[Aside[Id], BeforeValidator(_id_within)]


class Line(Answer):
    """A line of an order: how many of one thing."""

    quantity: Quantity | None = None


def item_count(lines: Sequence[Line] | None) -> Decimal | None:
    """How many things were sold; a line without a quantity is one. None where no lines are told."""
    if not lines:
        return None
    return sum((Decimal(1) if line.quantity is None else line.quantity for line in lines), Decimal(0))


@dataclass(frozen=True, slots=True)
class Hint:
    """The placement of this key may have got further: ask the provider."""

    key: str


@dataclass(frozen=True, slots=True)
class NothingForUs:
    """Nothing follows from it; ``why`` is for a person to read, where there is something to say."""

    why: str | None = None


A_TEST = NothingForUs("a test order")
