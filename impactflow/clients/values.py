"""The types that the models and the parameters of the four clients share; no error repeats its input."""

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
    """A part of a provider's answer; unknown fields are dropped."""

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
    Replaces a value that is not as documented.

    Args:
        make: Makes the replacement.
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
    """Read ``[]`` and ``null`` as an empty object: some servers write one so."""
    return value or {}


def shaped(pattern: str, requirement: LiteralString) -> AfterValidator:
    """
    Make the check that a text has a certain form, with an error in words.

    Args:
        pattern: The pattern that the whole text must match.
        requirement: The end of the error's sentence "String should ...".
    """
    matches, should_be = re.compile(pattern).fullmatch, "String should " + requirement

    def check(text: str) -> str:
        if matches(text):
            return text
        raise PydanticCustomError("string_shape", should_be)

    return AfterValidator(check)


def check_plain(text: str) -> str:
    """Return the text, if a database and a terminal can take it."""
    if is_plain(text):
        return text
    raise PydanticCustomError("string_plain", "String should have no control characters")


#: A text that can be sent: having any pattern rules out half of a surrogate pair.
Text = Annotated[str, Field(pattern="")]
#: A provider's id of something, kept and shown as it is; an id that cannot be kept makes the answer unreadable.
Ref = Annotated[str, AfterValidator(check_plain)]
#: A time, aware and UTC; the providers mean UTC where they name no zone.
Time = Annotated[datetime, AfterValidator(_as_utc)]
#: The metadata that we sent the provider with a request.
Metadata = Annotated[Mapping[str, Any], BeforeValidator(_as_mapping)]
#: A field that decides nothing: it breaks no answer, and is None where it cannot be read.
Aside = Annotated[T | None, Otherwise(_none)]
#: The web address of a page about something; None where the text is no address that can be shown.
Link = Aside[Annotated[str, shaped(r"https?://\S+", "be an address"), AfterValidator(check_plain)]]
