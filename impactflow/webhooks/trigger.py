"""
Make Prefect process stored deliveries soon: one run of the deployment ``events`` for as long as any delivery waits.

The ledger is the queue; this module only checks whether the queue is empty. A lost trigger costs the time until the
schedule's next run, nothing else. Prefect's API is called over plain HTTP, because importing Prefect takes seconds.
"""

import logging
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx

from impactflow.clock import Clock
from impactflow.errors import ConfigurationError, LedgerError
from impactflow.ledger import Ledger
from impactflow.settings import PrefectApi

#: Flow and deployment, as Prefect's API names them.
DEPLOYMENT = "place_events/events"
#: The time in which at most one run is made, by any number of receivers, in seconds.
BUCKET_S = 5
#: The longest pause between two runs that leave the same delivery unhandled, in seconds: the schedule's own period.
_LONGEST_PAUSE_S = 300
#: A run that began longer ago may be dead. Nothing else shows that, so the run no longer counts.
_ALIVE = timedelta(seconds=_LONGEST_PAUSE_S)
_TIMEOUT_S = 10.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Address:
    """The URL of Prefect's API, and the headers that authorize us as they would authorize Prefect's own client."""

    url: httpx.URL
    headers: Mapping[str, str] = field(repr=False)


def address_of(settings: PrefectApi) -> Address | None:
    """
    Return the address of Prefect's API; None where no URL is set.

    Raises:
        ConfigurationError: PREFECT_API_URL is not a URL.
    """
    if not settings.prefect_api_url:
        return None
    try:
        url = httpx.URL(settings.prefect_api_url)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in {"http", "https"} or not url.host:
        raise ConfigurationError("PREFECT_API_URL must be a URL such as http://127.0.0.1:4200/api")
    headers = {}
    if settings.prefect_api_auth_string:
        token = b64encode(settings.prefect_api_auth_string.get_secret_value().encode()).decode()
        headers["Authorization"] = f"Basic {token}"
    elif settings.prefect_api_key:
        headers["Authorization"] = f"Bearer {settings.prefect_api_key.get_secret_value()}"
    return Address(url, headers)


def open_prefect_api(settings: PrefectApi) -> httpx.AsyncClient | None:
    """
    Open a client of Prefect's API; None where no URL is set.

    Raises:
        ConfigurationError: As for ``address_of``.
    """
    address = address_of(settings)
    if address is None:
        return None
    return httpx.AsyncClient(base_url=address.url, headers=address.headers, timeout=_TIMEOUT_S)


class Trigger:
    """
    Makes runs while deliveries wait.

    Args:
        ledger: The ledger where the deliveries wait.
        store: The store of the deliveries.
        api: Prefect's API.
    """

    def __init__(self, ledger: Ledger, store: str, api: httpx.AsyncClient) -> None:
        self._ledger = ledger
        self._store = store
        self._api = api
        self._waiting_since: datetime | None = None
        self._pause_s = BUCKET_S
        self._not_before: datetime | None = None
        self._trouble: str | None = None

    async def go_on(self, clock: Clock) -> None:
        """Check once per bucket, until cancelled."""
        while True:
            await self.check(clock.now())
            await clock.sleep(BUCKET_S)

    async def check(self, now: datetime) -> None:
        """Make a run if deliveries wait and no run is about to process them; log errors, and try again next time."""
        try:
            if await self._is_wanted(now):
                deployment = await self._ask("GET", f"deployments/name/{DEPLOYMENT}")
                if deployment["paused"]:
                    self._log_trouble(
                        f"a person has paused Prefect's deployment {DEPLOYMENT}: no run is made until it is resumed"
                    )
                    return
                if await self._make_run(deployment["id"], now):
                    self._not_before = now + timedelta(seconds=self._pause_s)
                    self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
                self._log_trouble(None)
        except LedgerError as error:
            self._log_trouble(str(error))
        except httpx.HTTPStatusError as error:
            self._log_trouble(_advice(error.response.status_code))
        except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:
            self._log_trouble(f"Prefect's API does not answer as it should ({type(error).__name__})")

    async def _is_wanted(self, now: datetime) -> bool:
        """Whether a run is due; runs that leave the first delivery unprocessed come at longer and longer intervals."""
        since = await self._ledger.pending_since(self._store)
        if since != self._waiting_since:
            self._waiting_since, self._pause_s, self._not_before = since, BUCKET_S, None
        return since is not None and (self._not_before is None or now >= self._not_before)

    async def _make_run(self, deployment: str, now: datetime) -> bool:
        """Make a run unless one waits or works; return whether this bucket has one of our runs now."""
        under_way = {
            "deployments": {"id": {"any_": [deployment]}},
            "flow_runs": {
                "state": {"type": {"any_": ["SCHEDULED", "PENDING", "RUNNING"]}},
                "expected_start_time": {"before_": now.isoformat()},
            },
            "sort": "EXPECTED_START_TIME_DESC",
            "limit": 20,
        }
        if any(_will_handle(run, now) for run in await self._ask("POST", "flow_runs/filter", under_way)):
            return False
        bucket = int(now.timestamp()) // BUCKET_S
        key = f"impactflow {self._store} {bucket}"
        await self._ask("POST", f"deployments/{deployment}/create_flow_run", {"idempotency_key": key})
        return True

    async def _ask(self, method: str, path: str, content: Mapping[str, Any] | None = None) -> Any:
        answer = await self._api.request(method, path, json=content)
        return answer.raise_for_status().json()

    def _log_trouble(self, trouble: str | None) -> None:
        """Log each change for the worse or the better once."""
        if trouble == self._trouble:
            return
        self._trouble = trouble
        if trouble:
            _log.warning("%s; deliveries wait in the ledger, nothing is lost", trouble)
        else:
            _log.info("runs of %s can be made again", DEPLOYMENT)


def _will_handle(run: Mapping[str, Any], now: datetime) -> bool:
    state = run["state"]
    return state["type"] == "SCHEDULED" or datetime.fromisoformat(state["timestamp"]) > now - _ALIVE


def _advice(status: int) -> str:
    match status:
        case 401 | 403:
            return "Prefect's API refuses us: check PREFECT_API_AUTH_STRING or PREFECT_API_KEY"
        case 404:
            return f"Prefect has no deployment {DEPLOYMENT}: `impactflow register` makes it; check PREFECT_API_URL too"
        case _:
            return f"Prefect's API answers with status {status}"
