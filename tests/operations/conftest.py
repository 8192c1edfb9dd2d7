"""
What the tests of the operations share: a sandbox that listens, and the four clients as production opens them.

The sandbox runs on a thread of its own and anew for each test: its books are the test's alone, and programs that block,
such as a vendor's SDK, can speak to it too.
"""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import httpx
import pytest
from processes import Served, served

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
from impactflow.clients.http import open_transport
from impactflow.sandbox import Options, Sandbox, environment, generate_orders
from impactflow.settings import Settings

#: What the shop has sold in the last week.
ORDERS = tuple(generate_orders(60, 7, datetime.now(UTC)))


@pytest.fixture
def sandbox() -> Iterator[Served]:
    """The four pretend providers over real HTTP; nothing goes wrong."""
    with served(Sandbox(Options(wicked_reports_per_minute=1_000_000), orders=ORDERS)) as there:
        yield there


@pytest.fixture
def settings(sandbox: Served) -> Settings:
    """What ``impactflow sandbox`` would print for it."""
    return Settings.model_validate({name.lower(): value for name, value in environment(sandbox.base_url).items()})


@pytest.fixture
async def transport() -> AsyncIterator[httpx.AsyncBaseTransport]:
    """What carries requests in production."""
    opened = open_transport(8)
    yield opened
    await opened.aclose()


@pytest.fixture
def cnaught(settings: Settings, transport: httpx.AsyncBaseTransport) -> CNaughtClient:
    """An open client of the sandbox's CNaught."""
    return open_cnaught(settings, transport)


@pytest.fixture
def oneclickimpact(settings: Settings, transport: httpx.AsyncBaseTransport) -> OneClickImpactClient:
    """An open client of the sandbox's 1ClickImpact."""
    return open_oneclickimpact(settings, transport)


@pytest.fixture
def impactapi(settings: Settings, transport: httpx.AsyncBaseTransport) -> ImpactAPIClient:
    """An open client of the sandbox's ImpactAPI."""
    return open_impactapi(settings, transport)


@pytest.fixture
def wickedreports(settings: Settings, transport: httpx.AsyncBaseTransport) -> WickedReportsClient:
    """An open client of the sandbox's Wicked Reports."""
    return open_wickedreports(settings, transport)
