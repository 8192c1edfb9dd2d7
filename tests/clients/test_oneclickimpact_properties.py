"""1ClickImpact: what holds for every listing and for every argument, with the client and the sandbox face to face."""

import json
from datetime import date
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest
from client_helpers import LoopClock, run_virtual
from hypothesis import given, settings
from hypothesis import strategies as st

from impactflow.clients import OneClickImpactClient
from impactflow.clients.operations import operations
from impactflow.errors import Refused
from impactflow.sandbox import Request, Sandbox
from impactflow.sandbox.oneclickimpact import API_KEY
from impactflow.sandbox.transport import SandboxTransport

LISTINGS = ("records", "customer_records", "customers")
OPERATIONS = operations(OneClickImpactClient)


class Counting(httpx.AsyncBaseTransport):
    """Carries requests to a sandbox and counts them."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._inner = SandboxTransport(sandbox)
        self.requests = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        return await self._inner.handle_async_request(request)


def open_client(transport: httpx.AsyncBaseTransport) -> OneClickImpactClient:
    url = "http://sandbox.test/oneclickimpact"
    return OneClickImpactClient(url, API_KEY, transport=transport, timeout_s=20, clock=LoopClock())


async def buy(client: OneClickImpactClient, listing: str, number: int) -> str:
    """Something that the listing shows, and something that its filter hides; the name under which it is shown."""
    email = {"records": None, "customer_records": f"{number % 3}@example.org", "customers": f"{number}@example.org"}
    made = await client.plant_tree(1, customer_email=email[listing])
    if listing != "customers":
        await client.clean_ocean(1, customer_email=email[listing])
    return f"{number}@example.org" if listing == "customers" else made.time_utc


def name_of(item: Any) -> str:
    return item.time_utc if hasattr(item, "time_utc") else item.customer_email


@settings(max_examples=60, deadline=None)
@given(
    listing=st.sampled_from(LISTINGS),
    sort_order=st.sampled_from(["asc", "desc"]),
    limit=st.integers(1, 4),
    at_first=st.integers(0, 9),
    between=st.lists(st.integers(0, 3), max_size=5),
    resumed=st.booleans(),
)
def test_each_record_is_returned_once_while_others_are_added(listing, sort_order, limit, at_first, between, resumed):
    """From page to page, or each page by another reader: upwards with what is added, downwards without."""

    async def run():
        client = open_client(SandboxTransport(Sandbox(clock=LoopClock())))
        numbers = iter(range(100))
        bought = [await buy(client, listing, next(numbers)) for _ in range(at_first)]
        there, found, additions = len(bought), [], iter(between)
        arguments: dict[str, Any] = {"limit": limit, "sort_order": sort_order}
        if listing != "customers":
            arguments["filter_by"] = ["tree_planted"]
        pages = getattr(client, listing)(**arguments)
        async for page in pages:
            found += [name_of(item) for item in page.items]
            bought += [await buy(client, listing, next(numbers)) for _ in range(next(additions, 0))]
            if resumed and page.next is not None:
                async for rest in getattr(client, listing)(**arguments, cursor=page.next):
                    found += [name_of(item) for item in rest.items]
                break
        return bought, there, found

    bought, there, found = run_virtual(run())
    if sort_order == "asc":
        assert bought[: len(found)] == found
        assert there <= len(found)
    else:
        assert bought[:there][::-1] == found


def texts(*lengths: int) -> st.SearchStrategy[str]:
    """Texts of these lengths, of letters with and without marks."""
    return st.sampled_from(lengths).flatmap(lambda length: st.text("aé雨 ", min_size=length, max_size=length))


def numbers(most: int) -> st.SearchStrategy[Any]:
    """Around zero and around the most."""
    return st.integers(-1, 2) | st.integers(most - 1, most + 1)


METADATA = st.sampled_from(
    [
        *({"k" * length: "v"} for length in (0, 40, 41)),
        *({"k": "é" * length} for length in (0, 500, 501)),
        *({f"k{number}": "v" for number in range(size)} for size in (0, 20, 21)),
        *({name: "v"} for name in ("gift", "widgetID", "Gift")),
        {"k": 7},
    ]
) | st.dictionaries(texts(1, 40, 41), texts(0, 500, 501), max_size=3)
EMAILS = st.sampled_from(["a@b", "a+é@b.example", "@", "nobody", "", "@" + "a" * 319, "@" + "a" * 320])
BOUGHT_AT = "2026-02-03T12:00:00.000Z"
NAMES = {"user_id": st.sampled_from(["U1000", ""]), "time_utc": st.sampled_from([BOUGHT_AT, ""])}
CUSTOMER = {
    "customer_email": EMAILS | st.just(7),
    "customer_name": texts(0, 9, 400) | st.just(7),
    "notify": st.booleans() | st.sampled_from(["yes", 1]),
    "metadata": METADATA,
}
DAYS = {"start_date": st.dates(), "end_date": st.dates(date(2026, 1, 1), date(2026, 12, 31))}
LISTED = {"limit": numbers(1000), "sort_order": st.sampled_from(["asc", "desc", "up", ""])}
FILTER = st.lists(
    st.sampled_from(["tree_planted", "waste_removed", "carbon_captured", "money_donated", "coral_restored", "trees"]),
    max_size=3,
)
LOCALE = {"locale": st.sampled_from(["en", "de", "es", "fr", "nl", "it", "EN", ""])}


def action(most: int, **more: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """The arguments of an action: one at its limits, a name without an address, or any of them."""
    amounts = numbers(most) | st.sampled_from([True, 1.5, "1"])
    sound = {"amount": st.just(most), "customer_email": st.just("a@b")}
    optional = CUSTOMER | more
    one = [st.fixed_dictionaries(sound | {name: values}) for name, values in ({"amount": amounts} | optional).items()]
    unmet = st.fixed_dictionaries({"amount": st.just(1), "customer_name": texts(0, 9)})
    return st.one_of(*one, unmet, st.fixed_dictionaries({"amount": amounts}, optional=optional))


ARGUMENTS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "plant_tree": action(10_000_000, category=st.sampled_from(["food", "drink", 7])),
    "clean_ocean": action(10_000_000),
    "capture_carbon": action(10_000_000),
    "donate_money": action(1_000_000_000, category=texts(0, 9) | st.just(7)),
    "restore_coral": action(10_000_000),
    "cancel_impact": st.fixed_dictionaries(NAMES, optional={"reason": texts(0, 200, 201) | st.just(7)}),
    "daily_impact": st.fixed_dictionaries({}, optional=DAYS),
    "records": st.fixed_dictionaries({}, optional={"filter_by": FILTER, **DAYS, **LISTED}),
    "customer_records": st.fixed_dictionaries(
        {}, optional={"customer_email": EMAILS, "filter_by": FILTER, **DAYS, **LISTED}
    ),
    "customers": st.fixed_dictionaries({}, optional={"customer_email": EMAILS, **LISTED}),
    "track": st.fixed_dictionaries(NAMES),
    "list_projects": st.fixed_dictionaries(
        {}, optional={"type": st.sampled_from(["trees", "ocean", "carbon", "coral", ""]), **LOCALE}
    ),
    "get_project": st.fixed_dictionaries({"project_id": st.sampled_from(["P-TREES-1", ""])}, optional=LOCALE),
}


def raw(name: str, arguments: dict[str, Any]) -> Request:
    """The request that says just this, checked by nobody."""
    method, _, path = OPERATIONS[name].request.partition(" ")
    rest = dict(arguments)
    if name == "get_project":
        path = path.replace("{project_id}", quote(rest.pop("project_id"), safe=""))
    headers = {"x-api-key": API_KEY}
    if method == "POST":
        return Request(method, f"/oneclickimpact{path}", "", headers, json.dumps(rest).encode())
    return Request(method, f"/oneclickimpact{path}", urlencode(rest, doseq=True), headers)


async def ask(client: OneClickImpactClient, name: str, arguments: dict[str, Any]) -> None:
    result = getattr(client, name)(**arguments)
    await (anext(result) if name in LISTINGS else result)


def bought(sandbox: Sandbox) -> list[Any]:
    return [(one.kind, one.quantity, one.customer_email, one.metadata) for one in sandbox.books.purchases]


async def both_verdicts(name, arguments):
    """The client's and the sandbox's: accepted or not, requests that arrived, and what is in the books after it."""
    via_client, direct = (Sandbox(clock=LoopClock()) for _ in range(2))
    for sandbox in (via_client, direct):
        await open_client(SandboxTransport(sandbox)).plant_tree(1)
    counting = Counting(via_client)
    try:
        await ask(open_client(counting), name, arguments)
        accepted = True
    except Refused:
        accepted = False
    taken = (await direct.handle(raw(name, arguments))).status == httpx.codes.OK
    return (accepted, counting.requests, bought(via_client)), (taken, int(taken), bought(direct))


def test_every_operation_with_limits_is_tried():
    """The others have no arguments."""
    assert {"whoami", "impact"} == OPERATIONS.keys() - ARGUMENTS.keys()


@pytest.mark.parametrize("name", ARGUMENTS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_client_refuses_before_sending_just_what_the_sandbox_refuses(name, data):
    """And what both accept buys the same."""
    ours, theirs = run_virtual(both_verdicts(name, data.draw(ARGUMENTS[name])))
    assert ours == theirs
