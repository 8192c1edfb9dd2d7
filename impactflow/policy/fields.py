"""
The types of value in a policy, and the words for a wrong value.

A type here checks, explains itself in a person's words and describes itself in JSON Schema; it knows nothing of files
or orders.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError
from pydantic_core.core_schema import (
    CoreSchema,
    no_info_after_validator_function,
    no_info_before_validator_function,
    no_info_plain_validator_function,
)

SMALLEST_NUMBER = Decimal("0.000000001")
#: The largest number: no provider sells more of anything at once, and no currency is worth more.
LARGEST_NUMBER = Decimal(1_000_000_000)


def wrong(message: str) -> PydanticCustomError:
    """Make a problem in words that ``reading`` shows unchanged."""
    return PydanticCustomError("policy", "{message}", {"message": message})


def wrong_at(where: tuple[str | int, ...], message: str, value: object) -> ValidationError:
    """Make a problem with a part inside the value that is being checked."""
    return ValidationError.from_exception_data(
        "policy", [InitErrorDetails(type=wrong(message), loc=where, input=value)]
    )


class Strict(BaseModel):
    """A mapping whose fields are all known; a field that is not is shown the nearest one that is."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, defer_build=True)

    #: An example of the mapping, for a person who wrote something else.
    written: ClassVar[str | None] = None

    @model_validator(mode="wrap")
    @classmethod
    def _name_nearest_fields(cls, values: object, check: ModelWrapValidatorHandler[Self]) -> Self:
        if cls.written and not isinstance(values, dict | cls):
            raise wrong(f"must be written like {cls.written}{_not(values)}")
        try:
            return check(values)
        except ValidationError as invalid:
            errors = invalid.errors(include_url=False)
            meant = {cls._nearest(error) for error in errors if error["type"] == "extra_forbidden"}
            problems = [
                cls._suggested(error) for error in errors if error["type"] != "missing" or error["loc"][-1] not in meant
            ]  # a misspelt field is not also reported as missing
            raise ValidationError.from_exception_data(cls.__name__, problems) from None

    @classmethod
    def _nearest(cls, error: ErrorDetails) -> str | None:
        return nearest(str(error["loc"][-1]), cls.model_fields)

    @classmethod
    def _suggested(cls, error: ErrorDetails) -> InitErrorDetails:
        message = explained(error)
        if error["type"] == "extra_forbidden":
            near = cls._nearest(error)
            message = (
                f"unknown field: did you mean {near}?" if near else f"unknown field: {_listed(cls)} are known here"
            )
        return InitErrorDetails(type=wrong(message), loc=error["loc"], input=error["input"])


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like another one; None where none is."""
    return next(iter(get_close_matches(name, list(known), n=1)), None)


def _listed(model: type[BaseModel]) -> str:
    return ", ".join(model.model_fields)


_MESSAGES = {
    "missing": "is missing",
    "string_type": "must be text (put it in quotes)",
    "bool_type": "must be true or false",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "must not be blank",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping",
    "mapping_type": "must be a mapping",
    "model_type": "must be a mapping",
}


def explained(error: ErrorDetails) -> str:
    """Say what is wrong, in the words of a person who writes a policy."""
    match error:
        case {"type": "literal_error" | "enum", "ctx": {"expected": expected}}:
            return f"must be {expected}{_not(error['input'])}"
        case {"type": "missing"}:
            return _MESSAGES["missing"]
        case {"type": kind} if kind in _MESSAGES:
            return _MESSAGES[kind] + _not(error["input"])
    return error["msg"]


def _not(value: object) -> str:
    """Quote the wrong value, where it is short enough to show."""
    shown = "null" if value is None else str(value)
    return f", not '{shown}'" if isinstance(value, str | int | Decimal | date | None) and len(shown) <= 60 else ""  # noqa: PLR2004 - half a line


@dataclass(frozen=True)
class Written:
    """A check that a value is a mapping; the error shows an example of it."""

    example: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Called by pydantic."""
        return no_info_before_validator_function(self.check, handler(source))

    def check(self, value: object) -> object:
        """Return the mapping unchanged."""
        if isinstance(value, dict | Strict):
            return value
        raise wrong(f"must be written like {self.example}{_not(value)}")


class Checked(ABC):
    """A check in ``Annotated``: it does all checks of a value, and describes the accepted values in JSON Schema."""

    @abstractmethod
    def check(self, value: object) -> object:
        """Return the value as the policy keeps it; raise ``wrong``."""

    @abstractmethod
    def schema(self) -> JsonSchemaValue:
        """Return the check as JSON Schema."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Called by pydantic: this check replaces ``source``'s own, laxer check."""
        return no_info_plain_validator_function(self.check)

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Called by pydantic."""
        return self.schema()


@dataclass(frozen=True)
class Form(Checked):
    """Text of one form: ``pattern`` describes the form to programs, ``description`` to people."""

    pattern: str
    description: str

    def check(self, value: object) -> str:
        """Return the text, if it has the form."""
        if isinstance(value, str) and re.fullmatch(self.pattern, value, re.ASCII):
            return value
        raise wrong(f"must be {self.description}{_not(value)}")

    def schema(self) -> JsonSchemaValue:
        """Return a pattern."""
        return {"type": "string", "pattern": f"^{self.pattern}$"}


@dataclass(frozen=True)
class Between(Checked):
    """An exact number, ``least`` to ``most``; a float is refused, because its original text is lost."""

    least: Decimal = SMALLEST_NUMBER
    most: Decimal = LARGEST_NUMBER

    def check(self, value: object) -> Decimal:
        """Return the number, if it is in range."""
        number = Decimal(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else None
        if number is not None and number.is_finite() and self.least <= number <= self.most:
            return number
        above = "above 0, " if self.least else ""
        raise wrong(f"must be a number {above}from {self.least:f} to {self.most}{_not(value)}")

    def schema(self) -> JsonSchemaValue:
        """Return a range."""
        return {"type": "number", "minimum": float(self.least), "maximum": int(self.most)}


#: The word for no ceiling.
UNLIMITED = "unlimited"


@dataclass(frozen=True)
class Ceiling(Checked):
    """An exact number from 0 upwards, or the word that switches the ceiling off."""

    number = Between(least=Decimal(0))

    def check(self, value: object) -> Decimal | str:
        """Return the number or the word."""
        if value == UNLIMITED:
            return UNLIMITED
        try:
            return self.number.check(value)
        except PydanticCustomError as error:
            raise wrong(f"{error.message().replace('must be', f'must be {UNLIMITED}, or', 1)}") from None

    def schema(self) -> JsonSchemaValue:
        """Return a choice of the two."""
        return {"anyOf": [self.number.schema(), {"const": UNLIMITED}]}


class WholeDay(Checked):
    """A YAML day, or the same in quotes; a time of day is refused as a mistake."""

    def check(self, value: object) -> date:
        """Return the day, if the value is one."""
        if isinstance(value, date) and not isinstance(value, datetime):
            return value
        try:
            day = date.fromisoformat(str(value))
        except ValueError:
            day = None
        if day is None or day.isoformat() != value:
            raise wrong(f"must be a day such as 2025-01-31{_not(value)}")
        return day

    def schema(self) -> JsonSchemaValue:
        """Return a day in ISO 8601."""
        return {"type": "string", "format": "date"}


class NotEmpty:
    """
    A list or a mapping with at least one item.

    Pydantic's own ``min_length`` counts only correct items, so a wrong item would also be reported as missing.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Called by pydantic."""
        return no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Called by pydantic."""
        described = handler(core)
        return described | {"minProperties" if described.get("type") == "object" else "minItems": 1}

    @staticmethod
    def check(value: Collection[object]) -> Collection[object]:
        """Return the list, if it is not empty."""
        if not value:
            raise wrong("must list at least one")
        return value


Day = Annotated[date, WholeDay()]
Number = Annotated[Decimal, Between()]
Limit = Annotated[Decimal | Literal["unlimited"], Ceiling()]
#: Days of hold: less than the days for which orders are read again, so that a refund is seen before the hold is over.
HoldDays = Annotated[int, Field(strict=True, ge=0, le=45)]
Percent = Annotated[Decimal, Between(most=Decimal(100))]
Store = Annotated[str, Form("[a-z0-9][a-z0-9_-]{0,39}", "lower-case letters, digits, - and _, at most 40 of them")]
Slot = Annotated[
    str,
    Form("[a-z][a-z0-9_-]{0,39}", "lower-case letters, digits, - and _, beginning with a letter, at most 40 of them"),
]
Currency = Annotated[str, Form("[A-Z]{3}", "a currency of three capital letters such as EUR")]
Text = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=512, pattern=r"\S")]
