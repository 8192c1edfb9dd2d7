"""
Other senders of Standard Webhooks: a file gives the path, in their deliveries, of each field of our own events.

    senders:
      polar:                            # its path is /webhooks/polar, its secret IMPACTFLOW_POLAR_SECRETS
        topic: type
        minor: true
        topics:
          order.paid: {means: paid, source_id: data.id, amount: data.net_amount, currency: data.currency}

The models are the specification of the file. It holds no secret. ``mapped`` reads the deliveries.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Discriminator, Tag, model_validator

from impactflow.intake.senders.paths import find, is_path, says_each
from impactflow.names import is_system
from impactflow.policy.fields import Form, NotEmpty, Strict, Text, wrong
from impactflow.policy.reading import load_file
from impactflow.webhooks.sources import CNAUGHT, SCHEMES, STANDARD, Scheme

#: Names whose paths, or variables of secrets, are already in use.
_TAKEN = frozenset({CNAUGHT, "webhook", "callback", *(scheme.source for scheme in SCHEMES)})


def _not_taken(name: str) -> str:
    if name in _TAKEN:
        raise wrong(f"{name} is known already, or the name of another secret: call the sender something else")
    return name


def _is_path(text: str) -> str:
    if is_path(text):
        return text
    raise wrong(f"must be names apart by dots, such as data.items[0].id, not '{text[:60]}'")


def _is_of_one(text: str) -> str:
    if says_each(text):
        raise wrong("must be one place: only item_count may add up several ([])")
    return text


def _is_known(system: str) -> str:
    if is_system(system):
        return system
    raise wrong("must name a system: an id of an unknown one names no sale")


Name = Annotated[
    str,
    Form("[a-z][a-z0-9]*(_[a-z0-9]+)*", "small letters, digits and _, beginning with a letter"),
    AfterValidator(_not_taken),
]
PathText = Annotated[Text, AfterValidator(_is_path)]
OnePath = Annotated[PathText, AfterValidator(_is_of_one)]


class Fixed(Strict):
    """A value that is always the same."""

    text: Text


class At(Strict):
    """The value at a path."""

    path: OnePath
    after: Text | None = None
    """Take what stands behind the last of these in the text: an id at the end of an address."""
    optional: bool = False
    """Whether the sender may leave it out; else its absence is an error, since a slip in the path looks the same."""


class Count(Strict):
    """A number that stands at a path, or several that are added up."""

    path: PathText
    optional: bool = False
    """As in ``At``."""


class Condition(Strict):
    """Whether something is so."""

    path: OnePath
    equals: bool | int | Decimal | str | None = None
    """It is where this stands there; without it, true or false does."""
    optional: bool = False
    """As in ``At``; what is left out is not so."""


def _path(value: object) -> object:
    """Read a path alone as short for a mapping with only that path."""
    return {"path": value} if isinstance(value, str) else value


def _which(value: object) -> str | None:
    if isinstance(value, Fixed) or (isinstance(value, Mapping) and "text" in value):
        return "a text"
    return "a path" if isinstance(value, At | Mapping) else None


Value = Annotated[
    Annotated[At, Tag("a path")] | Annotated[Fixed, Tag("a text")],
    Discriminator(
        _which,
        custom_error_type="policy",
        custom_error_message="must be a path such as data.id, or say path, or text for what is always so",
    ),
    BeforeValidator(_path),
]
Counted = Annotated[Count, BeforeValidator(_path)]
Flag = Annotated[Condition, BeforeValidator(_path)]
Always = Literal[True]


class _Topic(Strict):
    source_id: Value
    """What the order is called where it was sold."""
    as_of: Value | None = None
    """When it was so."""
    test: Flag | None = None
    """Whether nothing was really sold: then nothing is bought."""


class Paid(_Topic):
    """An order is paid."""

    means: Literal["paid"]
    ordered_at: Value | None = None
    """When it was sold; by default when the delivery came."""
    amount: Value | None = None
    """What it cost."""
    currency: Value | None = None
    """ISO 4217, in large or small letters."""
    item_count: Counted | None = None
    """How many things were sold."""
    customer_email: Value | None = None
    """Who bought it."""

    @model_validator(mode="after")
    def _amount_has_currency(self) -> Self:
        if self.amount is not None and self.currency is None:
            raise wrong("amount needs a currency: a path, or {text: USD} where it is always the same")
        return self


class Refunded(_Topic):
    """Money was given back."""

    means: Literal["refunded"]
    refund_id: Value | None = None
    """Names the refund, several of one order add up; without it, ``amount`` is all that was given back so far."""
    full: Always | Flag | None = None
    """Whether nothing of the payment is left."""
    amount: Value | None = None
    """How much was given back."""
    currency: Value | None = None
    """As for what is paid."""

    @model_validator(mode="after")
    def _says_how_much(self) -> Self:
        if self.full is None and (self.amount is None or self.currency is None):
            raise wrong("says nowhere how much: give amount and currency, or full")
        if self.amount is not None and self.currency is None:
            raise wrong("amount needs a currency: a path, or {text: USD} where it is always the same")
        return self


class Cancelled(_Topic):
    """Nothing of the order counts any more, whether money goes back or not."""

    means: Literal["cancelled"]


def _meaning(value: object) -> str | None:
    means = value.get("means") if isinstance(value, Mapping) else getattr(value, "means", None)
    return f"what is {means}" if means in {"paid", "refunded", "cancelled"} else None


Topic = Annotated[
    Annotated[Paid, Tag("what is paid")]
    | Annotated[Refunded, Tag("what is refunded")]
    | Annotated[Cancelled, Tag("what is cancelled")],
    Discriminator(
        _meaning,
        custom_error_type="policy",
        custom_error_message="needs means: paid, refunded or cancelled",
    ),
]


class Sender(Strict):
    """The mapping of one sender's deliveries."""

    topic: OnePath = "type"
    """Where it says what a delivery tells of."""
    source_system: Value | None = None
    """The system that sold it, as Wicked Reports names it; by default the sender's name."""
    minor: bool = False
    """Whether amounts are whole numbers of the currency's smallest unit, such as cents."""
    topics: Annotated[dict[Text, Topic], NotEmpty()]
    """What each topic means; others are acknowledged and not kept."""

    @model_validator(mode="after")
    def _system_is_known(self) -> Self:
        if isinstance(self.source_system, Fixed):
            _is_known(self.source_system.text)
        return self

    @property
    def digest(self) -> str:
        """Return a digest that differs between mappings."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]


class Senders(Strict):
    """The file."""

    senders: dict[Name, Sender]
    """Each by its name, which is the end of its path in the receiver."""

    @property
    def schemes(self) -> Sequence[Scheme]:
        """How each sender signs, names and sorts its deliveries."""
        return tuple(_scheme(name, sender) for name, sender in self.senders.items())

    def digest_for(self, source: str) -> str | None:
        """The digest of the mapping for a source's deliveries: '' where it is missing, None where none is needed."""
        if source in _TAKEN:
            return None
        return self.senders[source].digest if source in self.senders else ""


#: The senders where no file is named.
NO_SENDERS = Senders(senders={})


def load_senders(path: Path | None) -> Senders:
    """
    Read the file of senders.

    Args:
        path: The file's path; None where there is no file.

    Raises:
        ConfigurationError: The file cannot be read or does not make sense; as for a policy.
    """
    if path is None:
        return NO_SENDERS
    return load_file(path, Senders, "file of senders", "give another with IMPACTFLOW_SENDERS, or unset it")


def topic_of(sender: Sender, content: object) -> Any:
    """The topic of a sender's delivery; None where the delivery does not say it."""
    try:
        return find(sender.topic, content)
    except LookupError:
        return None


def _scheme(name: str, sender: Sender) -> Scheme:
    return replace(
        STANDARD,
        source=name,
        variable=f"IMPACTFLOW_{name.upper()}_SECRETS",
        topics=frozenset(sender.topics),
        topic=lambda _, content: topic_of(sender, content),
        body={"type": "object"},
    )
