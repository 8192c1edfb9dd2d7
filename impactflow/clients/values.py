"""What the models of the four clients share: frozen, unknown fields ignored, no input repeated in errors."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict


class Answer(BaseModel):
    """Something that a provider said."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", hide_input_in_errors=True, validate_by_name=True, validate_by_alias=True
    )


def _as_utc(time: datetime) -> datetime:
    try:
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be a time within the years 1 to 9999") from None


def _as_mapping(value: object) -> object:
    """Some servers write an empty object as ``[]`` or ``null``."""
    return value or {}


#: A time, aware and UTC; the providers mean UTC where they name no zone.
Time = Annotated[datetime, AfterValidator(_as_utc)]
#: What we told the provider along with a request.
Metadata = Annotated[Mapping[str, Any], BeforeValidator(_as_mapping)]
