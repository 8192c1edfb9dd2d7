"""
The accounts as Prefect blocks: a key and its URL, kept by Prefect or taken from the environment.

``prefect block register -m tasks.credentials`` makes the four types known to a Prefect server. This project's own flows
use the block named ``impactflow`` of each type where there is one, by way of ``context``; other flows may use any.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, ClassVar, NoReturn, get_args

import httpx
from prefect.blocks.core import Block
from prefect.client.orchestration import PrefectClient, get_client
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from impactflow.clients import (
    CNaughtClient,
    ImpactAPIClient,
    OneClickImpactClient,
    WickedReportsClient,
    open_cnaught,
    open_impactapi,
    open_oneclickimpact,
    open_wickedreports,
)
from impactflow.clients.answers import broken_fields
from impactflow.clients.http import SYSTEM_CLOCK, open_transport
from impactflow.errors import ConfigurationError
from impactflow.settings import Settings, Url, load_settings, require_key, require_url
from tasks.blocks import read_block

log = logging.getLogger(__name__)

#: The blocks of this name are the accounts of this project's own flows.
BLOCK = "impactflow"
#: The most connections that the client of a block opens at once.
CONNECTIONS = 8


class _Account(BaseModel):
    """
    The common part of the four blocks; not a block itself, or Prefect would register it as one.

    Raises:
        ConfigurationError: There is a URL without a key, or no key here or in the environment.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    #: The beginning of the names of its two settings.
    _prefix: ClassVar[str]

    api_key: SecretStr = Field(default=SecretStr(""), description="By default, key and URL are the environment's.")
    url: Url = Field(default="", description="Where the key is sent; it goes nowhere else.")

    @model_validator(mode="before")
    @classmethod
    def _from_one_place(cls, given: Any) -> Any:
        """Take key and URL both from here or both from the environment: no key goes to a server not meant for it."""
        if isinstance(given, cls):
            return given
        if given.get("api_key") and (given.get("url") or cls.model_fields["url"].default):
            return given
        if given.get("api_key") or given.get("url"):
            raise ConfigurationError(f"{cls.__name__}: give both api_key and url, or neither for the environment's")
        settings, key, url = load_settings(), f"{cls._prefix}_api_key", f"{cls._prefix}_url"
        found = {"api_key": require_key(getattr(settings, key), key.upper())}
        return {**given, **found, "url": require_url(getattr(settings, url), url.upper())}

    def over(self, settings: Settings) -> Settings:
        """Return the settings, with this account in place of the environment's."""
        return settings.model_copy(update={f"{self._prefix}_api_key": self.api_key, f"{self._prefix}_url": self.url})

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: Prefect may write pickled objects to a disk."""
        raise TypeError(f"{type(self).__name__} holds a key and cannot be pickled: load it where it is used")


class WickedReportsCredentials(Block, _Account):
    """An account at Wicked Reports, where orders are read."""

    _block_type_name = "Wicked Reports Credentials"
    _prefix: ClassVar[str] = "wicked_reports"

    url: Url = Settings.model_fields["wicked_reports_url"].default

    @asynccontextmanager
    async def client(self) -> AsyncIterator[WickedReportsClient]:
        """Open the account's client, and close it."""
        async with _carried() as transport:
            yield open_wickedreports(self.over(load_settings()), transport)

    async def check(self) -> None:
        """
        Read one of yesterday's orders, to check the key.

        Raises:
            Unauthorized: The key is wrong.
            NotSent: Wicked Reports cannot be asked now.
        """
        today = SYSTEM_CLOCK.now().date()
        async with self.client() as client:
            await anext(client.list_orders(today - timedelta(days=1), today, limit=1), None)


class OneClickImpactCredentials(Block, _Account):
    """An account at 1ClickImpact."""

    _block_type_name = "1ClickImpact Credentials"
    _prefix: ClassVar[str] = "oneclickimpact"

    url: Url = Settings.model_fields["oneclickimpact_url"].default

    @asynccontextmanager
    async def client(self) -> AsyncIterator[OneClickImpactClient]:
        """Open the account's client, and close it."""
        async with _carried() as transport:
            yield open_oneclickimpact(self.over(load_settings()), transport)

    async def check(self) -> None:
        """
        Ask for the owner of the key, to check the key.

        Raises:
            Unauthorized: The key is wrong.
            NotSent: 1ClickImpact cannot be asked now.
        """
        async with self.client() as client:
            await client.whoami()


class CNaughtCredentials(Block, _Account):
    """An account at CNaught."""

    _block_type_name = "CNaught Credentials"
    _prefix: ClassVar[str] = "cnaught"

    url: Url = Settings.model_fields["cnaught_url"].default

    @asynccontextmanager
    async def client(self) -> AsyncIterator[CNaughtClient]:
        """Open the account's client, and close it."""
        async with _carried() as transport:
            yield open_cnaught(self.over(load_settings()), transport)

    async def check(self) -> None:
        """
        Read one order, to check the key.

        Raises:
            Unauthorized: The key is wrong.
            NotSent: CNaught cannot be asked now.
        """
        async with self.client() as client:
            await anext(client.list_orders(limit=1), None)


class ImpactAPICredentials(Block, _Account):
    """An account at ImpactAPI; its URL is the organization's own."""

    _block_type_name = "ImpactAPI Credentials"
    _prefix: ClassVar[str] = "impactapi"

    @asynccontextmanager
    async def client(self) -> AsyncIterator[ImpactAPIClient]:
        """Open the account's client, and close it."""
        async with _carried() as transport:
            yield open_impactapi(self.over(load_settings()), transport)

    async def check(self) -> None:
        """
        List the campaigns, to check the key.

        Raises:
            Unauthorized: The key is wrong.
            NotSent: ImpactAPI cannot be asked now.
        """
        async with self.client() as client:
            await client.list_campaigns()


Account = WickedReportsCredentials | OneClickImpactCredentials | CNaughtCredentials | ImpactAPICredentials
_KINDS: tuple[type[Account], ...] = get_args(Account)


async def with_blocks(settings: Settings) -> Settings:
    """
    Put the accounts that Prefect keeps for this project in place of the environment's.

    Raises:
        ConfigurationError: The content of a block cannot be used, or the server cannot decrypt it.
    """
    async with get_client() as prefect:
        accounts = await asyncio.gather(*(_kept(kind, prefect) for kind in _KINDS))
    for account in accounts:
        if account is not None:
            settings = account.over(settings)
    return settings


async def _kept(kind: type[Account], prefect: PrefectClient) -> Account | None:
    slug = kind.get_block_type_slug()
    document = await read_block(prefect, slug, BLOCK)
    if document is None:
        return None
    log.info("the account is that of the Prefect block %s/%s", slug, BLOCK, extra={"action": "block_used"})
    try:
        return kind.model_validate(document.data)
    except ValidationError as broken:
        raise ConfigurationError(f"the Prefect block {slug}/{BLOCK}: {broken_fields(broken)}") from None
    except ConfigurationError as half:
        raise ConfigurationError(f"the Prefect block {slug}/{BLOCK}: {half}") from None


@asynccontextmanager
async def _carried() -> AsyncIterator[httpx.AsyncBaseTransport]:
    transport = open_transport(CONNECTIONS)
    try:
        yield transport
    finally:
        await transport.aclose()
