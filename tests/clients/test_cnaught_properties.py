"""CNaught's client and its pretence, held against each other: the same limits, and every record once."""

import itertools
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx
import pytest
from client_helpers import LoopClock, run_virtual
from hypothesis import given, settings
from hypothesis import strategies as st

from impactflow.clients import CNaughtClient
from impactflow.clients.operations import operations
from impactflow.errors import Refused
from impactflow.sandbox import Options, Request, Sandbox, environment
from impactflow.sandbox.transport import SandboxTransport

SETTINGS = environment("http://127.0.0.1")
AUTHORIZED = {"authorization": f"Bearer {SETTINGS['CNAUGHT_API_KEY']}"}


class Listening(httpx.AsyncBaseTransport):
    """A sandbox, and how many requests it was sent."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.count = 0
        self._inner = SandboxTransport(sandbox)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.count += 1
        return await self._inner.handle_async_request(request)


def open_client(sandbox: Sandbox) -> tuple[CNaughtClient, Listening]:
    transport = Listening(sandbox)
    url, key = SETTINGS["CNAUGHT_URL"], SETTINGS["CNAUGHT_API_KEY"]
    return CNaughtClient(url, key, transport=transport, timeout_s=20, clock=LoopClock()), transport


LISTS = {
    "list_orders": lambda client, n: client.submit_generic_order(amount_kg=Decimal(1), idempotency_key=f"k{n}"),
    "list_subaccounts": lambda client, n: client.create_subaccount(name=f"n{n}", idempotency_key=f"k{n}"),
}


@pytest.mark.parametrize("name", LISTS)
@settings(max_examples=25, deadline=None)
@given(
    count=st.integers(0, 9),
    limit=st.integers(1, 4),
    added=st.lists(st.integers(0, 3), max_size=12),
    upwards=st.booleans(),
    interrupted=st.booleans(),
)
def test_a_listing_returns_each_record_once_while_others_are_added(name, count, limit, added, upwards, interrupted):
    """In both directions, read through or taken up again by another client after every page."""

    async def work():
        sandbox = Sandbox(clock=LoopClock())
        client, _ = open_client(sandbox)
        numbers, meanwhile = itertools.count(), iter(added)
        made = [(await LISTS[name](client, next(numbers))).id for _ in range(count)]
        known = {"newer_than": made[0]} if upwards and made else {}
        expected = set(made[1:] if known else made)
        pages, found = getattr(client, name)(limit=limit, **known), []
        while (page := await anext(pages, None)) is not None:
            found += [item.id for item in page.items]
            for _ in range(next(meanwhile, 0)):
                await LISTS[name](client, next(numbers))
            if interrupted and page.next is not None:
                pages = getattr(open_client(sandbox)[0], name)(limit=limit, cursor=page.next, **known)
        return expected, found, made, bool(known)

    expected, found, made, went_up = run_virtual(work())
    assert (len(found), True) == (len(set(found)), expected <= set(found))
    assert [one for one in found if one in expected] == (made[1:] if went_up else made[::-1])


def around(*lengths: int) -> st.SearchStrategy[str]:
    """Texts of about these lengths."""
    return st.sampled_from([length + more for length in lengths for more in (-1, 0, 1)]).flatmap(
        lambda length: st.sampled_from("aé€").map(lambda letter: letter * max(0, length))
    )


@dataclass(frozen=True)
class Limits:
    """
    An operation with documented limits, as the reference writes its request.

    Args:
        name: The operation's.
        method: In capitals.
        path: Below the base URL.
        arguments: The client's arguments: a usual value, and others around the limits; None is not given.
    """

    name: str
    method: str
    path: str
    arguments: dict[str, tuple[Any, st.SearchStrategy[Any]]]


def unusual(*values: Any) -> tuple[None, st.SearchStrategy[Any]]:
    """An argument that is not given as a rule."""
    return None, st.sampled_from(values)


QUANTITY = (
    Decimal("2.5"),
    st.none()
    | st.sampled_from([Decimal(0), Decimal("-0.001"), Decimal("0.001"), Decimal(-1)])
    | st.decimals(min_value="-10", max_value="1000000", places=3),
)
KEY = ("k", around(512) | st.sampled_from(["", "a b", "tab\t", "line\n"]))
TERMS = {
    "metadata": (None, around(512)),
    "description": (None, around(512)),
    "portfolio_id": unusual("p1"),
    "notification_url": unusual("https://e.example/h", "http://e", "ftp://e.example", "e", ""),
    "idempotency_key": KEY,
}
LISTED = {"limit": (20, st.sampled_from([-1, 0, 1, 2, 99, 100, 101]))}
AMOUNT = {"amount_kg": QUANTITY, "total_price_usd_cents": unusual(1)}
PRICE = {"amount_kg": unusual(Decimal(1)), "total_price_usd_cents": (235, st.sampled_from([None, -1, 0, 1, 10_000]))}
LIMITS = [
    Limits("list_orders", "GET", "/orders", LISTED),
    Limits("submit_generic_order", "POST", "/orders", AMOUNT | TERMS),
    Limits("submit_generic_order", "POST", "/orders", PRICE | {"idempotency_key": KEY}),
    Limits("submit_ride_order", "POST", "/orders/ride", {"distance_km": QUANTITY} | TERMS),
    Limits("cancel_order", "POST", "/orders/{id}/cancel", {"idempotency_key": KEY}),
    Limits("get_generic_quote", "POST", "/quotes", {"amount_kg": QUANTITY}),
    Limits("get_ride_quote", "POST", "/quotes/ride", {"distance_km": QUANTITY}),
    Limits("list_subaccounts", "GET", "/subaccounts", LISTED),
    Limits("create_subaccount", "POST", "/subaccounts", {"name": ("n", around(0, 512)), "idempotency_key": KEY}),
]
#: These take an id, which knows no limit, or nothing but a subaccount's.
WITHOUT_LIMITS = {"get_order", "get_subaccount", "get_impact_data", "get_impact_hosted_page_config"}


def test_every_operation_is_held_against_its_pretence():
    """Or has nothing to be held against."""
    assert operations(CNaughtClient).keys() == {limits.name for limits in LIMITS} | WITHOUT_LIMITS


def raw(limits: Limits, arguments: dict[str, Any], order_id: str) -> Request:
    """What the reference says to send for these arguments, limits not looked at."""
    headers, fields, query = dict(AUTHORIZED), {}, ""
    for name, value in arguments.items():
        if name == "idempotency_key":
            headers["idempotency-key"] = value
        elif name == "limit":
            query = f"limit={value}"
        elif name == "notification_url" and value is not None:
            fields["notification_config"] = {"url": value}
        elif value is not None:
            fields[name] = float(value) if isinstance(value, Decimal) else value
    body = json.dumps(fields).encode() if fields else b""
    return Request(limits.method, f"/cnaught/v1{limits.path.replace('{id}', order_id)}", query, headers, body)


@pytest.mark.parametrize("limits", LIMITS, ids=lambda limits: limits.name)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_client_refuses_what_the_provider_would_refuse_and_nothing_else(limits, data):
    """Before anything is sent; what it sends is accepted. Two arguments at most are unusual at once."""
    odd = data.draw(st.sets(st.sampled_from(sorted(limits.arguments)), max_size=2))
    arguments = {
        each: data.draw(others, each) if each in odd else usual for each, (usual, others) in limits.arguments.items()
    }

    async def verdicts():
        ours, theirs = (Sandbox(Options(seed=1), clock=LoopClock()) for _ in range(2))
        ids = [(await LISTS["list_orders"](open_client(each)[0], "first")).id for each in (ours, theirs)]
        client, listening = open_client(ours)
        kwargs = {each: value for each, value in arguments.items() if value is not None}
        if "{id}" in limits.path:
            kwargs["id"] = ids[0]
        try:
            answer = getattr(client, limits.name)(**kwargs)
            await (anext(answer) if limits.name.startswith("list_") else answer)
            accepted = True
        except Refused:
            accepted = False
        with theirs.exchange(raw(limits, arguments, ids[1])) as reply:
            return accepted, listening.count, reply.status

    accepted, sent, status = run_virtual(verdicts())
    assert (accepted, sent) == ((True, 1) if status < 300 else (False, 0))
    assert status < 300 or status == 400
