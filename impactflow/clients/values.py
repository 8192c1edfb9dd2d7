"""What the models and the parameters of the four clients share; no input is repeated in errors."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, LiteralString, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from impactflow.texts import is_plain

T = TypeVar("T")


class Answer(BaseModel):
    """Something that a provider said; fields that are not known are left out."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
        validate_by_name=True,
        validate_by_alias=True,
        defer_build=True,  # many kinds of answer, of which a command reads a few
    )


@dataclass(frozen=True, slots=True)
class Otherwise:
    """
    Reads what is not as documented as something else.

    Args:
        make: Makes that.
    """

    make: Callable[[], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_default_schema(handler(source), default_factory=self.make, on_error="default")


def _none() -> None:
    return None


def _as_utc(time: datetime) -> datetime:
    try:
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be a time within the years 1 to 9999") from None


def _as_mapping(value: object) -> object:
    """Some servers write an empty object as ``[]`` or ``null``."""
    return value or {}


def shaped(pattern: str, told: LiteralString) -> AfterValidator:
    """
    Make the check that a text has a shape, which tells it in words.

    Args:
        pattern: What all of the text must match.
        told: What the text should be.
    """
    matches, should_be = re.compile(pattern).fullmatch, "String should " + told

    def check(text: str) -> str:
        if matches(text):
            return text
        raise PydanticCustomError("string_shape", should_be)

    return AfterValidator(check)


def check_plain(text: str) -> str:
    """The text, if a database and a terminal can take it."""
    if is_plain(text):
        return text
    raise PydanticCustomError("string_plain", "String should have no control characters")


#: A text that can be sent: since there is a pattern at all, no half of a surrogate pair.
Text = Annotated[str, Field(pattern="")]
#: What identifies something at a provider: kept and shown as it is, so what cannot be makes the answer unreadable.
Ref = Annotated[str, AfterValidator(check_plain)]
#: A time, aware and UTC; the providers mean UTC where they name no zone.
Time = Annotated[datetime, AfterValidator(_as_utc)]
#: What we told the provider along with a request.
Metadata = Annotated[Mapping[str, Any], BeforeValidator(_as_mapping)]
#: What nothing is decided by: it breaks no answer, and is None where it cannot be read.
Aside = Annotated[T | None, Otherwise(_none)]
#: Where something can be seen; None where that is no address that can be shown.
Link = Aside[Annotated[str, shaped(r"https?://\S+", "be an address"), AfterValidator(check_plain)]]
