"""The flow ``place_events`` on a real server: it buys what webhooks told of, also what they tell while it runs."""

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime

import pytest
from flow_runs import ROOT
from processes import Impactflow, sandbox_thread

from impactflow.ledger import Delivery, Ledger
from impactflow.proof.programs import base_environment

#: Runs ``place_events`` with a webhook that comes once it has planned something, then ``place_impacts`` with another.
WHILE_WEBHOOKS_COME = """
import asyncio, json, os, sys
from datetime import UTC, datetime
from prefect.flows import load_flow_from_entrypoint
from impactflow.ledger import Delivery, Ledger

async def tell(number):
    with Ledger.open(os.environ["IMPACTFLOW_LEDGER_URL"]) as ledger:
        while not await ledger.counts():
            await asyncio.sleep(0.02)
        sold = {"id": number, "financial_status": "paid", "total_price": "80.00", "currency": "USD"}
        body = json.dumps(sold | {"line_items": [{"quantity": 2}]})
        store = sys.argv[1]
        told = Delivery(store, "shopify", f"d{number}", "orders/paid", datetime.now(UTC), body.encode())
        await ledger.store_delivery(told)

async def main():
    events = load_flow_from_entrypoint("flows/place_events.py:place_events")
    impacts = load_flow_from_entrypoint("flows/place_impacts.py:place_impacts")
    key = os.environ.pop("WICKED_REPORTS_API_KEY")  # only webhooks tell: no orders are read
    first, _ = await asyncio.gather(events(), tell(2))
    os.environ["WICKED_REPORTS_API_KEY"] = key
    await tell(3)
    print(json.dumps([first.as_json(), (await impacts()).as_json()]))

asyncio.run(main())
"""
STORE = "acme"


@pytest.fixture(scope="module")
def outcome(server, tmp_path_factory):
    """What each of the two flows came to, what was bought, and the ledger."""
    folder = tmp_path_factory.mktemp("events")
    url = f"sqlite:///{folder / 'impactflow.db'}"
    own = {
        "PREFECT_API_URL": server.api_url,
        "IMPACTFLOW_LEDGER_URL": url,
        "IMPACTFLOW_POLICY": str(ROOT / "policy.yaml"),
        "IMPACTFLOW_REPORTS": str(folder / "reports"),
    }
    sold = {
        "id": 1,
        "financial_status": "paid",
        "total_price": "80.00",
        "currency": "USD",
        "line_items": [{"quantity": 2}],
        "email": "x@example.com",
    }
    body = json.dumps(sold).encode()

    async def before():
        with Ledger.open(url) as ledger:
            for webhook_id, content in (
                ("d1", body),
                ("d0", b'{"id": 9, "financial_status": "paid", "total_price": "canary"}'),
            ):
                at = datetime.now(UTC)
                await ledger.store_delivery(Delivery(STORE, "shopify", webhook_id, "orders/paid", at, content))

    asyncio.run(before())
    with sandbox_thread([], speed=1e7) as sandbox:
        command = Impactflow(ROOT, {**base_environment(folder), **sandbox.variables, **own})
        ended = command.python(WHILE_WEBHOOKS_COME, STORE)
        assert ended.status == 0, ended.err
        return json.loads(ended.out.splitlines()[-1]), sandbox.purchases(), url


def test_every_order_that_a_webhook_told_of_is_bought_for_once(outcome):
    """By the run that it came before, by the one that it came during, and by ``place_impacts``."""
    _, purchases, _ = outcome
    by_order = Counter(purchase["order_id"] for purchase in purchases)

    assert set(by_order) == {"shopify:1", "shopify:2", "shopify:3"}
    assert set(Counter((each["order_id"], each["provider"], each["kind"]) for each in purchases).values()) == {1}


def test_a_delivery_that_comes_while_it_runs_is_taken_up_by_the_same_run(outcome):
    """A second run would have been cancelled."""
    [events, impacts], _, url = outcome

    async def pending():
        with Ledger.open(url) as ledger:
            return await ledger.pending_since(STORE)

    assert (3, 1) == (events["webhooks"]["deliveries"], impacts["webhooks"]["deliveries"])
    assert events["webhooks"]["sold"]["broken"] == 1
    assert asyncio.run(pending()) is None


def test_what_it_did_is_told_in_words_without_anything_personal(outcome, api):
    """As an artifact."""
    [artifact] = api.filter("artifacts", artifacts={"key": {"any_": ["place-events"]}}, sort="CREATED_DESC")[:1]

    assert "Took up 3 deliveries: 2 of orders that were sold" in artifact["data"]
    assert "1 unreadable" in artifact["data"]
    assert "example.com" not in artifact["data"]
    assert "canary" not in artifact["data"]
