"""
Every environment variable that impactflow reads, with its unit and default; nothing else reads the environment.

A ``.env`` file in the working directory is read too; the environment wins over it. Keys are ``SecretStr``: they show as
stars wherever they are printed. A URL from the file never gets a key from the environment: otherwise the author of the
file would get the key. HTTPS_PROXY and NO_PROXY belong to the machine: ``clients.proxies`` reads them.
"""

import logging
import os
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Self, TypeVar
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from impactflow.errors import ConfigurationError

log = logging.getLogger(__name__)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, reached from itself only."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _check_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        msg = "must be a URL such as https://api.example.com"
        raise ValueError(msg)
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        msg = "must begin with https:// (plain http is allowed for this machine's own addresses only)"
        raise ValueError(msg)
    if parts.username or parts.password:
        msg = "must not hold a user or a password"
        raise ValueError(msg)
    return url.rstrip("/")


Read = TypeVar("Read", bound=BaseSettings)


def _check_length(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) < _SHORTEST_SECRET:
        raise ValueError(f"must have at least {_SHORTEST_SECRET} characters: `openssl rand -hex 32` makes a good one")
    return secret


_SHORTEST_SECRET = 16
_FILE = ".env"
Url = Annotated[str, AfterValidator(_check_url)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class Settings(BaseSettings):
    """
    The settings from the environment, checked.

    Raises:
        ConfigurationError: from ``load_settings``, naming the variable.
    """

    model_config = SettingsConfigDict(
        env_file=_FILE, env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    wicked_reports_api_key: SecretStr | None = None
    wicked_reports_url: Url = "https://api.wickedreports.com"
    oneclickimpact_api_key: SecretStr | None = None
    oneclickimpact_url: Url = "https://api.1clickimpact.com"
    cnaught_api_key: SecretStr | None = None
    cnaught_url: Url = "https://api.cnaught.com/v1"
    impactapi_api_key: SecretStr | None = None
    #: The live host is the account's own, so there is no default.
    impactapi_url: Url | None = None

    #: An SQLAlchemy URL; a bare ``postgresql://`` uses psycopg.
    impactflow_ledger_url: Annotated[str, Field(repr=False)] = "sqlite:///impactflow.db"
    impactflow_policy: Path = Path("policy.yaml")
    #: The folder for reports.
    impactflow_reports: Path = Path("reports")
    #: How long a placement belongs to the run that sends it, in seconds.
    impactflow_lease_s: Seconds = 120.0
    #: How long one request may take, in seconds; by default a quarter of the lease or half of the settling time,
    #: whichever is less, and at most 20.
    impactflow_request_timeout_s: Seconds = Field(default=0.0, validate_default=False)
    #: How long after an attempt "not in their records" means "not placed", in seconds; by default twice the lease.
    impactflow_settle_s: Seconds = Field(default=0.0, validate_default=False)
    #: Whether this machine's own addresses do as well where a policy says ``live: true``.
    impactflow_allow_loopback: bool = False
    #: Requests in flight per provider.
    impactflow_concurrency: Annotated[int, Field(ge=1, le=1000)] = 32
    #: How old a CNaught idempotency key may be before the order is looked up by its metadata first, in seconds.
    impactflow_cnaught_key_age_s: Annotated[float, Field(gt=0, le=31_536_000)] = 86_400.0
    #: How long after the first look a placement is tracked again, in seconds; it doubles up to a day.
    impactflow_track_s: Seconds = 300.0

    #: Secrets of the webhooks' senders, separated by spaces or commas: two while one replaces the other.
    impactflow_webhook_secrets: SecretStr | None = None
    impactflow_shopify_secrets: SecretStr | None = None
    impactflow_woocommerce_secrets: SecretStr | None = None
    impactflow_stripe_secrets: SecretStr | None = None
    #: The file that describes other senders of Standard Webhooks; each has its secrets in IMPACTFLOW_<NAME>_SECRETS.
    impactflow_senders: Path | None = None
    #: The secret from which the paths for CNaught's callbacks are made.
    impactflow_callback_secret: Annotated[SecretStr, AfterValidator(_check_length)] | None = None
    #: The URL at which the receiver is reached from outside.
    impactflow_webhooks_url: Url | None = None
    #: The largest delivery that is accepted, in bytes.
    impactflow_webhooks_max_bytes: Annotated[int, Field(ge=1024, le=16_777_216)] = 2_097_152

    @model_validator(mode="before")
    @classmethod
    def _derive_times(cls, values: dict[str, object]) -> dict[str, object]:
        """Derive times that were not set from the lease, so that setting one of them keeps the others consistent."""
        try:
            lease_s = float(str(values.get("impactflow_lease_s", 120.0)))
            settle_s = float(str(values.setdefault("impactflow_settle_s", 2 * lease_s)))
        except ValueError:
            return values  # the field's own check says what is wrong
        values.setdefault("impactflow_request_timeout_s", min(20.0, lease_s / 4, settle_s / 2))
        return values

    @model_validator(mode="after")
    def _times_in_order(self) -> Self:
        if self.impactflow_request_timeout_s >= self.impactflow_lease_s:
            msg = "IMPACTFLOW_REQUEST_TIMEOUT_S must be well below IMPACTFLOW_LEASE_S"
            raise ValueError(msg)
        if self.impactflow_settle_s <= self.impactflow_request_timeout_s:
            msg = "IMPACTFLOW_SETTLE_S must be above IMPACTFLOW_REQUEST_TIMEOUT_S: a late request may still arrive"
            raise ValueError(msg)
        return self


def _check_database_url(url: SecretStr) -> SecretStr:
    """Refuse a database URL that Prefect's server cannot start with, or that needs another driver."""
    parts = urlsplit(url.get_secret_value())
    if parts.scheme in {"postgres", "postgresql"}:
        raise ValueError("must begin with postgresql+asyncpg://")
    if parts.scheme == "postgresql+asyncpg" and "sslmode=" in parts.query:
        raise ValueError("must say ssl=require where it says sslmode=require: asyncpg knows no sslmode")
    return url


class PrefectApi(BaseSettings):
    """The address of Prefect's API, from Prefect's own variables; its profiles are not read."""

    model_config = SettingsConfigDict(
        env_file=_FILE, env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    prefect_api_url: str | None = None
    prefect_api_key: SecretStr | None = None
    prefect_api_auth_string: SecretStr | None = None
    #: The database of a Prefect server that is started here.
    prefect_server_database_connection_url: Annotated[SecretStr, AfterValidator(_check_database_url)] | None = None


def load_settings() -> Settings:
    """
    Read the environment and ``.env``; the log names variables that look like ours but that nothing reads.

    Raises:
        ConfigurationError: A variable is malformed; the message names it and never repeats its value.
    """
    settings = _load(Settings)
    _name(tuple(unknown_variables().items()))
    return settings


def load_prefect_api() -> PrefectApi:
    """
    Read Prefect's own variables.

    Raises:
        ConfigurationError: As for ``load_settings``.
    """
    return _load(PrefectApi)


def _load(kind: type[Read]) -> Read:
    _check_where_keys_go()
    try:
        return kind()
    except ValidationError as invalid:
        problems = []
        for error in invalid.errors(include_input=False, include_url=False):
            name = ".".join(str(part) for part in error["loc"]).upper()
            text = error["msg"].removeprefix("Value error, ")
            problems.append(f"{name}: {text}" if name else text)
        raise ConfigurationError("; ".join(problems)) from None


def _check_where_keys_go() -> None:
    """
    Check that no key of the environment goes to a URL that only ``.env`` names.

    Raises:
        ConfigurationError: One would.
    """
    environment, file = _capitals(os.environ), _capitals(dotenv_values(_FILE))
    for key, url in _KEYS_AND_URLS:
        if key in environment and url in file and url not in environment:
            raise ConfigurationError(
                f"{url} comes from {_FILE}, {key} from the environment: set both in one place, so that no file in this"
                " folder decides where the key is sent"
            )


def _capitals(variables: Mapping[str, str | None]) -> dict[str, str]:
    """The variables that are set, by their names in capitals: case does not matter to pydantic."""
    return {name.upper(): value for name, value in variables.items() if value}


#: The accounts, by the beginning of their variables.
_ACCOUNTS = tuple(name.removesuffix("_api_key").upper() for name in Settings.model_fields if name.endswith("_api_key"))
_KEYS_AND_URLS = (
    *((f"{account}_API_KEY", f"{account}_URL") for account in _ACCOUNTS),
    ("PREFECT_API_KEY", "PREFECT_API_URL"),
    ("PREFECT_API_AUTH_STRING", "PREFECT_API_URL"),
)


def unknown_variables() -> dict[str, str | None]:
    """
    Variables that look like ours but that nothing reads, each with the variable that it resembles.

    A sender's secrets may have any name.
    """
    known = [name.upper() for name in Settings.model_fields]
    found = sorted(_capitals(os.environ) | _capitals(dotenv_values(_FILE)))
    return {
        name: next(iter(get_close_matches(name, known, n=1, cutoff=_ALIKE)), None)
        for name in found
        if name.startswith(_OURS) and name not in {*known, *_ELSEWHERE} and not name.endswith("_SECRETS")
    }


@lru_cache
def _name(unknown: tuple[tuple[str, str | None], ...]) -> None:
    """Name a variable in the log once, however often settings are read."""
    for name, meant in unknown:
        log.warning("%s is no variable of impactflow's: %s", name, did_you_mean(meant))


def did_you_mean(meant: str | None) -> str:
    """The hint for a variable that nothing reads."""
    return f"did you mean {meant}?" if meant else "nothing reads it"


#: The beginnings of variables that are meant for impactflow.
_OURS = ("IMPACTFLOW_", *(f"{account}_" for account in _ACCOUNTS))
#: Read by ``prefect.yaml``.
_ELSEWHERE = frozenset({"IMPACTFLOW_HOME"})
#: The similarity from which one name counts as a misspelling of another.
_ALIKE = 0.85


def load_secret(variable: str) -> SecretStr | None:
    """A secret whose variable a file names; None where it is not set."""
    text = (_capitals(dotenv_values(_FILE)) | _capitals(os.environ)).get(variable)
    return SecretStr(text) if text else None


def secrets_in(secrets: SecretStr | None) -> tuple[str, ...]:
    """The secrets that a variable lists."""
    return tuple((secrets.get_secret_value() if secrets else "").replace(",", " ").split())


def require_key(key: SecretStr | None, variable: str, *, or_else: str = "") -> str:
    """
    The key's text, for the one header that carries it.

    Args:
        key: The key as it was set.
        variable: The variable's name.
        or_else: The action for a person instead of setting it.

    Raises:
        ConfigurationError: The variable is not set, or holds characters that no HTTP header can carry.
    """
    text = key.get_secret_value().strip() if key else ""
    if not text:
        todo = " ".join(filter(None, ("put the provider's API key in this variable or in .env", or_else)))
        raise ConfigurationError(f"{variable} is not set: {todo} (or try `impactflow demo`)")
    if not (text.isascii() and text.isprintable()):
        msg = f"{variable} holds characters that no API key has: set it again"
        raise ConfigurationError(msg)
    return text


def require_url(url: Url | None, variable: str) -> Url:
    """
    The URL, where there is no default for it.

    Raises:
        ConfigurationError: The variable is not set.
    """
    if url is None:
        raise ConfigurationError(f"{variable} is not set: put your account's own host in it, or in .env")
    return url


def require_folder(folder: Path) -> None:
    """
    Check that reports can be written into a folder; the first report creates the folder.

    Raises:
        ConfigurationError: They cannot.
    """
    try:
        nearest = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
        is_good = nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)
    except OSError:
        nearest, is_good = folder, False
    if not is_good:
        raise ConfigurationError(f"IMPACTFLOW_REPORTS: nothing can be written into {nearest}: name another folder")
