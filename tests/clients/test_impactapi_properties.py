"""ImpactAPI's client and its pretence, held against each other: the same limits, and every record once."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count as counted
from operator import itemgetter
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from client_helpers import LoopClock, run_virtual
from hypothesis import given, settings
from hypothesis import strategies as st

from impactflow.clients import ImpactAPIClient
from impactflow.clients.operations import operations
from impactflow.errors import Refused
from impactflow.sandbox import Options, Request, Sandbox, environment
from impactflow.sandbox.transport import SandboxTransport

VARIABLES = environment("http://127.0.0.1")
URL, KEY = VARIABLES["IMPACTAPI_URL"], VARIABLES["IMPACTAPI_API_KEY"]
SHARE = {"campaign_identifier": "cleanhub", "amount": 5}
PORTION = {"type": "portion_of_sales", "allocations": [SHARE]}
CHOICE = {"type": "add_on", "amount": 500, "available_campaigns": ["cleanhub"]}


class Meeting:
    """A sandbox with one of everything, a client of it, and how many requests the client sent."""

    def __init__(self) -> None:
        self.sandbox = Sandbox(Options(seed=1), clock=LoopClock())
        self.transport = SandboxTransport(self.sandbox)
        self.client = ImpactAPIClient(URL, KEY, transport=self, timeout_s=20, clock=self.sandbox.clock)
        self.sent = 0
        self.ids: dict[str, str] = {}
        for name, body in {"customers": {}, "vendors": {}, "sessions": PORTION}.items():
            self.ids[name] = self.ask("POST", f"/{name}", body)[1]["id"]
        choice = self.ask("POST", "/sessions", CHOICE)[1]
        self.ids |= {"choice": choice["id"], "secret": choice["session_secret"]}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.sent += 1
        return await self.transport.handle_async_request(request)

    def ask(self, method: str, path: str, body: Any = None, query: Any = ()) -> tuple[int, Any]:
        """Send a request as it is."""
        content = b"" if body is None else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {KEY}", "x-session-secret": self.ids.get("secret", "")}
        with self.sandbox.exchange(Request(method, f"/impactapi{path}", urlencode(query), headers, content)) as reply:
            return reply.status, json.loads(reply.body)

    async def add(self, kind: str, number: int) -> str:
        """Add a record, such as the list of that name lists; its id."""
        if "intents" not in kind:
            created = await getattr(self.client, f"create_{kind[5:-1]}")(name="cab"[number % 3])
            return created.id
        whose = {"customer_id": self.ids["customers"], "vendor_id": self.ids["vendors"]}
        session = await self.client.create_session(**PORTION, **whose)
        return (await self.client.confirm_session(session.id)).donation_intents[0].id

    def pages(self, kind: str, **chosen: Any) -> Any:
        """The pages of the list of that name."""
        whose = {"list_customer_donation_intents": "customers", "list_vendor_donation_intents": "vendors"}.get(kind)
        return getattr(self.client, kind)(*([self.ids[whose]] if whose else []), **chosen)


SORTS = {
    "list_customers": ["created_at", "name", "updated_at"],
    "list_vendors": ["created_at", "name", "updated_at"],
    "list_donation_intents": ["created_at"],
    "list_customer_donation_intents": ["created_at"],
    "list_vendor_donation_intents": ["created_at"],
}


@pytest.mark.parametrize("kind", SORTS)
@settings(max_examples=25, deadline=None)
@given(
    count=st.integers(0, 9),
    limit=st.integers(1, 4),
    added=st.lists(st.integers(0, 3), max_size=6),
    ascending=st.booleans(),
    interrupted=st.booleans(),
    data=st.data(),
)
def test_a_list_returns_each_record_once_while_others_are_added(
    kind, count, limit, added, ascending, interrupted, data
):
    """In every order; taken up again by another client, none is missing, though pages may overlap."""
    chosen = {"sort_by": data.draw(st.sampled_from(SORTS[kind])), "sort_order": "asc" if ascending else "desc"}

    async def work():
        meeting, numbers, meanwhile = Meeting(), counted(), iter(added)
        there = [await meeting.add(kind, next(numbers)) for _ in range(count)]
        pages, found = meeting.pages(kind, limit=limit, **chosen), []
        while (page := await anext(pages, None)) is not None:
            found += [record.id for record in page.items]
            for _ in range(next(meanwhile, 0)):
                await meeting.add(kind, next(numbers))
            if interrupted and page.next is not None:
                pages = meeting.pages(kind, limit=limit, cursor=page.next, **chosen)
        return there, found

    there, found = run_virtual(work())
    assert set(there) <= set(found)
    if not interrupted:
        assert Counter(found) == dict.fromkeys(found, 1)


#: An argument that is left out.
LEFT_OUT = object()
Sent = tuple[Any, list[tuple[str, Any]]]


def in_query(arguments: dict[str, Any]) -> Sent:
    """As a list's arguments go into the query."""
    names = {"limit": "per_page", "cursor": "page"}
    return None, [(names.get(name, name), value) for name, value in arguments.items()]


def in_body(arguments: dict[str, Any]) -> Sent:
    """As the arguments of what creates go into the body."""
    return {name: value for name, value in arguments.items() if value is not None}, []


def as_it_is(arguments: dict[str, Any]) -> Sent:
    """Nulls are sent too."""
    return arguments, []


def bare(arguments: dict[str, Any]) -> Sent:
    """The one argument is the body."""
    (body,) = arguments.values()
    return body, []


@dataclass(frozen=True)
class Limits:
    """
    An operation with documented limits, as the reference writes its request.

    Args:
        name: The operation's.
        request: Its method and path, with the name of one of ``Meeting.ids`` where an id stands.
        write: Puts arguments into a body and a query.
        arguments: A usual value of each, and others around its limits.
    """

    name: str
    request: str
    write: Callable[[dict[str, Any]], Sent]
    arguments: dict[str, tuple[Any, st.SearchStrategy[Any]]]


def usually(value: Any, *others: Any) -> tuple[Any, st.SearchStrategy[Any]]:
    """A usual value and the others, each of which may be made for the sandbox it is sent to."""
    return value, st.sampled_from(others)


def whole(least: int, most: int) -> tuple[Any, st.SearchStrategy[Any]]:
    """A whole number, left out as a rule."""
    near = [least - 1, least, least + 1, most - 1, most, most + 1]
    return LEFT_OUT, st.sampled_from([*near, 0, -1, True, float(least), str(least)]) | st.integers(least, most)


def shares(most: int) -> tuple[Any, st.SearchStrategy[Any]]:
    """A list of donations."""
    amount = st.sampled_from([-1, 0, 1, 999_999_999, 1_000_000_000, 1_000_000_001, True, 5.0, "5", None])
    odd = st.sampled_from([[], [{}], ["all"], "all", {}, 7, [SHARE | {"campaign_identifier": ""}]])
    lengths = st.sampled_from([1, 2, most - 1, most, most + 1, 2 * most]).map(lambda length: [SHARE] * length)
    return [SHARE], odd | lengths | amount.map(lambda cents: [SHARE, SHARE | {"amount": cents}])


def ulid(of: str) -> tuple[Any, st.SearchStrategy[Any]]:
    """The id of a customer or vendor, left out as a rule."""
    spoil = [lambda id_: id_, lambda id_: id_[:-1], lambda id_: f"{id_}0", lambda id_: f"8{id_[1:]}"]
    spoil += [lambda _: "U" * 26, lambda _: "", lambda _: 7]
    return LEFT_OUT, st.sampled_from([lambda ids, change=change: change(ids[of]) for change in spoil])


TEXT = usually(LEFT_OUT, "", *(letter * length for letter in "é€" for length in (254, 255, 256)), 7, None)
METADATA = usually(LEFT_OUT, {}, {"a": {"b": [1, 2.5, True, None]}}, [], ["a"], "text", None)
PARTY = {"external_id": TEXT, "name": TEXT, "metadata": METADATA}
PAGES = {
    "limit": usually(LEFT_OUT, -1, 0, 1, 2, 99, 100, 101, True, 1.0, "ten"),
    "cursor": usually(LEFT_OUT, "1", "2", "999999999", "0", "-1", "1000000000", "two", "", "1.5"),
    "sort_order": usually(LEFT_OUT, "asc", "desc", "ASC", ""),
}
BY_TIME = {"sort_by": usually(LEFT_OUT, "created_at", "name", "amount", "")}
PARTY_PAGES = PAGES | {"sort_by": usually(LEFT_OUT, "created_at", "name", "updated_at", "amount", "")}
ATTRIBUTED = {"customer_id": ulid("customers"), "vendor_id": ulid("vendors"), "metadata": METADATA}
FLAG = usually(LEFT_OUT, True, False, "yes", 1)
SESSION = ATTRIBUTED | {"expires_in": whole(15, 1_440), "approximated": FLAG}
TYPES = ("portion_of_sales", "add_on", "portion_of_sales_choice", "gift", "", 7)
SLUGS = (None, [], ["cleanhub"], ["cleanhub", "school-meals"], [""], [7], "cleanhub")
LIMITS = [
    Limits("list_customers", "GET /customers", in_query, PARTY_PAGES),
    Limits("create_customer", "POST /customers", in_body, PARTY),
    Limits("update_customer", "PATCH /customers/{customers}", as_it_is, PARTY),
    Limits("list_customer_donation_intents", "GET /customers/{customers}/donation_intents", in_query, PAGES | BY_TIME),
    Limits("list_vendors", "GET /vendors", in_query, PARTY_PAGES),
    Limits("create_vendor", "POST /vendors", in_body, PARTY),
    Limits("update_vendor", "PATCH /vendors/{vendors}", as_it_is, PARTY),
    Limits("list_vendor_donation_intents", "GET /vendors/{vendors}/donation_intents", in_query, PAGES | BY_TIME),
    Limits("create_donation_intents", "POST /donation_intents", bare, {"intents": shares(50)}),
    Limits("list_donation_intents", "GET /donation_intents", in_query, PAGES | BY_TIME),
    Limits(
        "create_session",
        "POST /sessions",
        in_body,
        SESSION
        | {
            "type": usually("portion_of_sales", *TYPES),
            "allocations": (shares(10)[0], shares(10)[1] | st.none()),
            "amount": usually(LEFT_OUT, 1, 500, None),
            "available_campaigns": usually(LEFT_OUT, *SLUGS),
        },
    ),
    Limits(
        "create_session",
        "POST /sessions",
        in_body,
        SESSION
        | {
            "type": usually("add_on", *TYPES),
            "allocations": usually(LEFT_OUT, None, [SHARE]),
            "amount": (500, whole(1, 1_000_000_000)[1] | st.none()),
            "available_campaigns": usually(["cleanhub"], *SLUGS),
        },
    ),
    Limits("update_session", "PATCH /sessions/{sessions}", as_it_is, ATTRIBUTED | {"approximated": FLAG}),
    Limits("set_allocations", "PUT /sessions/{sessions}/allocations", as_it_is, {"allocations": shares(10)}),
    Limits(
        "choose_campaign",
        "POST /sessions/{choice}/choose_campaign",
        as_it_is,
        {
            "campaign_identifier": usually("cleanhub", None, "", 7),
            "session_secret": (itemgetter("secret"), st.just(itemgetter("secret"))),
        },
    ),
    Limits("process_session", "POST /sessions/{sessions}/process", in_body, {"extends_by": whole(60, 43_200)}),
]
#: These take an id, days or a secret, which know no limits.
WITHOUT_LIMITS = {
    "list_campaigns",
    *(f"{verb}_{one}" for verb in ("get", "delete") for one in ("customer", "vendor")),
    *(f"get_{one}_impact_metrics" for one in ("customer", "vendor")),
    *("get_donation_intent", "cancel_donation_intent", "get_session", "confirm_session"),
}


def test_every_operation_is_held_against_its_pretence():
    """Or has nothing to be held against."""
    assert operations(ImpactAPIClient).keys() == {limits.name for limits in LIMITS} | WITHOUT_LIMITS


@pytest.mark.parametrize("limits", LIMITS, ids=lambda limits: limits.name)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_client_refuses_what_the_provider_would_refuse_and_nothing_else(limits, data):
    """Before anything is sent; what it sends is accepted. Three arguments at most are unusual at once."""
    odd = data.draw(st.sets(st.sampled_from(sorted(limits.arguments)), max_size=3))
    drawn = {
        name: data.draw(others, name) if name in odd else usual for name, (usual, others) in limits.arguments.items()
    }

    async def verdicts():
        ours, theirs = Meeting(), Meeting()
        arguments = {
            name: value(ours.ids) if callable(value) else value
            for name, value in drawn.items()
            if value is not LEFT_OUT
        }
        method, path = limits.request.format_map(ours.ids).split()
        ids = [id_ for id_ in ours.ids.values() if id_ in path]
        assert ours.ids == theirs.ids
        try:
            answer = getattr(ours.client, limits.name)(*ids, **arguments)
            await (anext(answer) if method == "GET" else answer)
            accepted = True
        except Refused:
            accepted = False
        return accepted, ours.sent, theirs.ask(method, path, *limits.write(arguments))[0]

    accepted, sent, status = run_virtual(verdicts())
    assert (accepted, sent) == ((True, 1) if status < 300 else (False, 0))
    assert status < 300 or status in {400, 422}
