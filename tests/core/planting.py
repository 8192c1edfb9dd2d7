"""Behind the ledger's back: buying, cancelling, losing and changing purchases at the pretend providers."""

import json
from contextlib import contextmanager
from decimal import Decimal
from itertools import count

from impactflow.models import ProviderName, provider_ref
from impactflow.sandbox import Request

CNAUGHT, IMPACTAPI, ONECLICK = ProviderName.CNAUGHT, ProviderName.IMPACTAPI, ProviderName.ONECLICKIMPACT
KEYS = {
    CNAUGHT: {"authorization": "Bearer sandbox-cnaught-key"},
    IMPACTAPI: {"authorization": "Bearer sandbox-impactapi-key"},
    ONECLICK: {"x-api-key": "sandbox-oneclickimpact-key"},
}
NUMBERS = count()


@contextmanager
def calm(world, provider):
    """What is asked for meanwhile meets no fault."""
    line = world.sandbox._lines[provider]
    draws = line._draws
    line.calm()
    yield
    line._draws = draws


def ask(world, provider, method, path, body=None, **headers):
    """One request of somebody else's."""
    content = b"" if body is None else json.dumps(body).encode()
    request = Request(method, f"/{provider}{path}", "", {**KEYS[provider], **headers}, content)
    with calm(world, provider), world.sandbox.exchange(request) as reply:
        assert reply.status < 300, reply.body
        return json.loads(reply.body or b"null")


def buy(world, provider, metadata=None, quantity=None, email=None):
    """Buy what the world's policy buys of this provider, told to be for a placement; the provider's name for it."""
    match provider:
        case ProviderName.ONECLICKIMPACT:
            body = {"amount": quantity or 1} | ({"metadata": metadata} if metadata else {})
            made = ask(world, provider, "POST", "/v1/plant_tree", body | ({"customer_email": email} if email else {}))
            return f"{made['user_id']}|{made['time_utc']}"
        case ProviderName.CNAUGHT:
            body = {"amount_kg": (quantity or 5000) / 1000} | ({"metadata": json.dumps(metadata)} if metadata else {})
            key = {"idempotency-key": f"key-{next(NUMBERS)}"}
            return ask(world, provider, "POST", "/v1/orders", body, **key)["id"]
    shares = [{"campaign_identifier": "trees-for-the-future", "amount": quantity or 80}]
    body = {"type": "portion_of_sales", "allocations": shares, "metadata": metadata}
    session = ask(world, provider, "POST", "/sessions", body)["id"]
    ask(world, provider, "POST", f"/sessions/{session}/confirm")
    return session


def metadata_of(row):
    """What a provider is told of a placement."""
    return {"order_id": row["order_id"], "impactflow_key": row["key"]}


def cancel(world, provider, ref):
    """Cancel a purchase."""
    ref = provider_ref(ref)
    match provider:
        case ProviderName.ONECLICKIMPACT:
            user_id, time_utc = ref.split("|")
            ask(world, provider, "POST", "/v1/cancel_impact", {"user_id": user_id, "time_utc": time_utc})
        case ProviderName.CNAUGHT:
            ask(world, provider, "POST", f"/v1/orders/{ref}/cancel", **{"idempotency-key": f"theirs-{ref}"})
        case ProviderName.IMPACTAPI:
            for intent in ask(world, provider, "GET", f"/sessions/{ref}")["donation_intents"]:
                ask(world, provider, "PUT", f"/donation_intents/{intent['id']}/cancel")


def lose(world, provider, ref):
    """Let the provider forget a purchase."""
    api = world.sandbox._lines[provider].api
    match provider:
        case ProviderName.ONECLICKIMPACT:
            for impacts in (api._own, api._for_customers):
                impacts[:] = [impact for impact in impacts if impact.purchase.ref != ref]
        case ProviderName.CNAUGHT:
            api._orders.remove(api._by_id.pop(ref))
            for position, order in enumerate(api._orders):
                order.position = position
        case ProviderName.IMPACTAPI:
            for intent in api._sessions._by_id.pop(ref).intents:
                api._intents._all.remove(api._intents._by_id.pop(intent.id))
    world.sandbox.books.purchases[:] = [each for each in world.sandbox.books.purchases if each.ref != ref]


def change(world, provider, ref):
    """Let the provider have another amount on record."""
    api = world.sandbox._lines[provider].api
    [purchase] = [each for each in world.sandbox.books.purchases if each.ref == ref]
    purchase.quantity += 1000
    match provider:
        case ProviderName.CNAUGHT:
            api._by_id[ref].amount_kg += Decimal(1)
        case ProviderName.IMPACTAPI:
            api._sessions._by_id[ref].intents[0].cents += 1000


def standing(world, row):
    """The provider's names for the purchases of a placement that stand."""
    return [each["ref"] for each in world.purchases if each["impactflow_key"] == row["key"] and not each["cancelled"]]
