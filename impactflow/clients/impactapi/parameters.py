"""The types of the arguments of ImpactAPI's operations. Used by the modules of its resources."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, SecretStr, with_config
from typing_extensions import TypedDict

from impactflow.clients.values import Text, shaped

#: Part of a path: never empty, nor dots alone, which would lead to a parent path.
Id = Annotated[Text, Field(min_length=1), shaped(r"(?s).*[^.].*", "not be dots alone")]
Ulid = Annotated[Text, shaped("[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}", "be a ULID")]
Slug = Annotated[str, Field(min_length=1)]
Slugs = Annotated[Sequence[Slug], Field(min_length=1)]
Cents = Annotated[int, Field(ge=1, le=1_000_000_000)]
Text255 = Annotated[str, Field(max_length=255)]
#: Values are strings, numbers, booleans, nulls, lists or objects.
JsonObject = Annotated[Mapping[str, JsonValue], AfterValidator(dict)]

SessionType = Literal["add_on", "portion_of_sales_choice", "portion_of_sales"]
LifetimeMinutes = Annotated[int, Field(ge=15, le=1_440)]
ExtensionMinutes = Annotated[int, Field(ge=60, le=43_200)]

LONGEST_PAGE = 100
PageSize = Annotated[int, Field(ge=1, le=LONGEST_PAGE)]
PageNumber = Annotated[Text, shaped("[1-9][0-9]{0,8}", "be the number of a page")]
SortOrder = Literal["asc", "desc"]
PartySort = Literal["created_at", "name", "updated_at"]
IntentSort = Literal["created_at"]

#: The whole config: a TypedDict with a config of its own inherits nothing from that of ``operation``.
_EXACTLY = ConfigDict(strict=True, allow_inf_nan=False, extra="forbid")


@with_config(_EXACTLY)
class Donation(TypedDict):
    """A campaign and the US cents that go to it, 1 to 1,000,000,000."""

    campaign_identifier: Slug
    amount: Cents


Allocations = Annotated[Sequence[Donation], Field(min_length=1, max_length=10)]
Batch = Annotated[Sequence[Donation], Field(min_length=1, max_length=50)]


@with_config(_EXACTLY)
class PartyChanges(TypedDict, total=False):
    """The changes to a customer or vendor; a field that is left out stays, None clears it, metadata is merged."""

    external_id: Text255 | None
    name: Text255 | None
    metadata: JsonObject | None


@with_config(_EXACTLY)
class SessionChanges(TypedDict, total=False):
    """The changes to a session; a field that is left out stays, None clears it, metadata is merged."""

    metadata: JsonObject | None
    vendor_id: Ulid | None
    customer_id: Ulid | None
    approximated: bool


def _as_header(secret: str | SecretStr) -> str | SecretStr:
    text = secret if isinstance(secret, str) else secret.get_secret_value()
    if not (text.isascii() and text.isprintable() and text.strip() == text != ""):
        raise ValueError("must be printable ASCII")
    return secret


SessionSecret = Annotated[str | SecretStr, AfterValidator(_as_header)]
