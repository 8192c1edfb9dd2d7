"""What the receiver answers to each scheme's deliveries, right and wrong, and what the ledger holds afterwards."""

import asyncio
import base64
import hashlib
import hmac
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date

import httpx
import pytest
from sqlalchemy import event

from benchmarks.storm.senders import SECRETS, Post, kept_as, signed, sold
from impactflow.callbacks import callback_path
from impactflow.clock import SystemClock
from impactflow.errors import LedgerError
from impactflow.ledger import Ledger
from impactflow.webhooks.app import make_app
from impactflow.webhooks.bounds import Bounds
from impactflow.webhooks.refusals import Refusals
from impactflow.webhooks.sources import Secrets

SIGNED = ("standard", "shopify", "woocommerce", "stripe")
ALL = (*SIGNED, "cnaught")
TIMED = ("standard", "stripe")
OLD_SECRET = {
    "standard": "whsec_" + "b2xkIHNlY3JldCBvZiBTdGFuZGFyZA==",
    "shopify": "old",
    "woocommerce": "old",
    "stripe": "whsec_old",
}
KEPT = {"stored": 202, "known": 200}


@asynccontextmanager
async def serving(ledger, bounds: Bounds | None = None, served=SIGNED) -> AsyncIterator[httpx.AsyncClient]:
    """The receiver without a network; each source knows its new secret and an old one."""
    secrets = Secrets({source: (SECRETS[source], OLD_SECRET[source]) for source in served}, SECRETS["cnaught"])
    clock = SystemClock()
    refusals = Refusals(ledger, "acme", clock)
    app = make_app(ledger, "acme", secrets, clock, bounds or Bounds(), refusals)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://receiver") as client:
        yield client
    await refusals.flush()  # as the command does in the end


async def send(client: httpx.AsyncClient, post: Post) -> httpx.Response:
    return await client.post(post.path, content=post.body, headers=post.headers)


async def stored(ledger) -> list[str]:
    return [each.webhook_id for each in await ledger.pending_deliveries("acme")]


@pytest.mark.parametrize("source", SIGNED)
async def test_a_signed_delivery_is_stored_byte_for_byte_and_a_repeated_one_is_known(ledger, source):
    """202 for the first, 200 from then on; one row."""
    post = signed(source, "d1")
    async with serving(ledger) as client:
        answers = [await send(client, post) for _ in range(3)]
    [delivery] = await ledger.pending_deliveries("acme")

    assert [(202, "stored"), (200, "known"), (200, "known")] == [(a.status_code, a.json()["result"]) for a in answers]
    assert (delivery.source, delivery.webhook_id, delivery.body) == (source, kept_as(source, "d1", post), post.body)


WOO_BODY = b'{"id":1843,"number":"1843","status":"processing"}'


async def test_a_signature_as_woocommerce_makes_it_fits(ledger):
    """The base64 of the raw HMAC-SHA256 of the body, and headers as WordPress writes them."""
    digest = hmac.new(SECRETS["woocommerce"].encode(), WOO_BODY, hashlib.sha256).digest()
    headers = {
        "User-Agent": "WooCommerce/10.3.4 Hookshot (WordPress/6.9)",
        "Content-Type": "application/json",
        "X-WC-Webhook-Source": "https://shop.example.com/",
        "X-WC-Webhook-Topic": "order.updated",
        "X-WC-Webhook-Resource": "order",
        "X-WC-Webhook-Event": "updated",
        "X-WC-Webhook-Signature": base64.b64encode(digest).decode(),
        "X-WC-Webhook-ID": "14",
        "X-WC-Webhook-Delivery-ID": "0f1d7f2f1c0f9a6b5e4d3c2b1a098765",
    }
    async with serving(ledger) as client:
        answer = await client.post("/webhooks/woocommerce", content=WOO_BODY, headers=headers)
    [delivery] = await ledger.pending_deliveries("acme")

    assert (202, "stored") == (answer.status_code, answer.json()["result"])
    assert ("order.updated", WOO_BODY) == (delivery.topic, delivery.body)


async def test_deliveries_of_woocommerce_that_share_an_id_are_two_where_they_tell_of_two_things(ledger):
    """The id is made of webhook and second; the same told again is one, whatever its id."""
    first, second = (signed("woocommerce", "shared", sale=sold(order)) for order in ("1843", "1844"))
    created = signed("woocommerce", "shared", topic="order.created", body=first.body)
    again = first.with_headers(x_wc_webhook_delivery_id="another")
    async with serving(ledger) as client:
        answers = [await send(client, post) for post in (first, second, created, again, first)]

    assert ["stored", "stored", "stored", "known", "known"] == [answer.json()["result"] for answer in answers]
    assert [first.body, second.body, first.body] == [each.body for each in await ledger.pending_deliveries("acme")]


@pytest.mark.parametrize("is_signed", [False, True])
async def test_a_ping_of_woocommerce_is_answered_and_not_kept(ledger, is_signed):
    """WooCommerce says that the URL does not answer unless it gets 200; in itself it does not sign the ping."""
    body = b"webhook_id=14"
    form = {"content-type": "application/x-www-form-urlencoded"}
    headers = signed("woocommerce", "d1", body=body).headers | form if is_signed else form
    async with serving(ledger) as client:
        answer = await client.post("/webhooks/woocommerce", content=body, headers=headers)
        elsewhere = await client.post("/webhooks/shopify", content=body, headers=form)

    assert (200, "ignored") == (answer.status_code, answer.json()["result"])
    assert elsewhere.status_code == 400
    assert await stored(ledger) == []


@pytest.mark.parametrize(
    "body", [b"webhook_id=", b"webhook_id=1&topic=order.updated", b'webhook_id=1{"id":1}', b"id=1"]
)
async def test_what_only_looks_like_a_ping_must_be_signed(ledger, body):
    """Nothing else is answered without a signature."""
    async with serving(ledger) as client:
        answer = await client.post("/webhooks/woocommerce", content=body)

    assert answer.status_code == 400


@pytest.mark.parametrize("source", SIGNED)
async def test_the_second_of_two_secrets_is_as_good(ledger, source):
    """While one secret takes the other's place, senders use either."""
    async with serving(ledger) as client:
        answer = await send(client, signed(source, "d1", secret=OLD_SECRET[source]))

    assert answer.status_code == 202


@pytest.mark.parametrize("source", SIGNED)
async def test_a_wrong_secret_is_refused(ledger, source):
    """401, and nothing is kept."""
    other = "whsec_" + "YW5vdGhlciBzZWNyZXQgYWx0b2dldGhlcg=="
    async with serving(ledger) as client:
        answer = await send(client, signed(source, "d1", secret=other))

    assert answer.status_code == 401
    assert await stored(ledger) == []


@pytest.mark.parametrize("source", SIGNED)
async def test_a_body_that_was_changed_is_refused(ledger, source):
    """One byte is enough."""
    post = signed(source, "d1")
    async with serving(ledger) as client:
        answer = await send(client, Post(post.path, post.headers, post.body + b" "))

    assert answer.status_code == 401
    assert await stored(ledger) == []


@pytest.mark.parametrize(
    ("source", "header"),
    [
        *(("standard", f"webhook-{part}") for part in ("id", "timestamp", "signature")),
        *(("shopify", f"x-shopify-{part}") for part in ("hmac-sha256", "topic", "webhook-id")),
        *(("woocommerce", f"x-wc-webhook-{part}") for part in ("signature", "topic")),
        ("stripe", "stripe-signature"),
    ],
)
async def test_a_missing_header_is_named(ledger, source, header):
    """400, so that a person can set the sender up."""
    async with serving(ledger) as client:
        answer = await send(client, signed(source, "d1").with_headers(**{header.replace("-", "_"): None}))

    assert (400, f"the header {header} is missing") == (answer.status_code, answer.json()["error"])


@pytest.mark.parametrize(
    "nonsense", ["nonsense", "v1", "v1,!", "v1,x,y", "t=1", "t=a,v1=b", "t=1,v1=é", "=", ",", "v1=", "t=" + "9" * 5000]
)
@pytest.mark.parametrize(
    ("source", "header"),
    [
        ("standard", "webhook_signature"),
        ("shopify", "x_shopify_hmac_sha256"),
        ("woocommerce", "x_wc_webhook_signature"),
        ("stripe", "stripe_signature"),
    ],
)
async def test_a_malformed_signature_is_refused(ledger, source, header, nonsense):
    """Whatever it is, it proves nothing."""
    async with serving(ledger) as client:
        post = signed(source, "d1").with_headers(**{header: None})
        headers = [*post.headers.items(), (header.replace("_", "-"), nonsense.encode())]
        answer = await client.post(post.path, content=post.body, headers=headers)

    assert answer.status_code in {400, 401}


@pytest.mark.parametrize("source", TIMED)
@pytest.mark.parametrize(("age_s", "status"), [(290, 202), (310, 401), (-290, 202), (-310, 401)])
async def test_a_signed_time_must_be_within_five_minutes(ledger, source, age_s, status):
    """Old ones are replays, future ones come from wrong clocks."""
    async with serving(ledger) as client:
        answer = await send(client, signed(source, "d1", age_s=age_s))

    assert answer.status_code == status


@pytest.mark.parametrize("timestamp", ["soon", "nan", "inf", "-inf", "1e400", "9" * 400])
async def test_a_time_that_is_none_is_refused(ledger, timestamp):
    """No number of that kind is near now."""
    async with serving(ledger) as client:
        answer = await send(client, signed("standard", "d1").with_headers(webhook_timestamp=timestamp))

    assert answer.status_code in {400, 401}


@pytest.mark.parametrize("source", SIGNED)
async def test_a_topic_that_is_not_handled_is_acknowledged_and_not_kept(ledger, source):
    """Or its sender would repeat it for days."""
    async with serving(ledger) as client:
        answer = await send(client, signed(source, "d1", topic="customer.created"))

    assert (202, "ignored") == (answer.status_code, answer.json()["result"])
    assert await stored(ledger) == []


@pytest.mark.parametrize("source", SIGNED)
@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"\xff\xfe\xfd", b'{"type": }', b"[" * 100_000], ids=lambda body: repr(body[:9])
)
async def test_a_signed_body_that_is_no_json_object_is_refused(ledger, source, body):
    """400: repeating it would not help; a body that is no text proves nothing where text is signed."""
    try:
        post = signed(source, "d1", body=body)
    except UnicodeEncodeError:
        post = Post(f"/webhooks/{source}", signed(source, "d1").headers, body)
    async with serving(ledger) as client:
        answer = await send(client, post)

    assert answer.status_code in ({400, 401} if body.startswith(b"\xff") else {400})
    assert await stored(ledger) == []


@pytest.mark.parametrize("name", ["", 7, None, "a\x00b", "\ud800", "é", "x" * 256])
async def test_an_id_that_no_database_keeps_is_refused(ledger, name):
    """One such would spoil the commit that it shares with others."""
    body = json.dumps({"id": name, "type": "charge.refunded"}).encode()
    async with serving(ledger) as client:
        answer = await send(client, signed("stripe", "d1", body=body))

    assert answer.status_code == 400


async def test_what_a_shop_writes_is_kept_as_it_is(ledger):
    """Huge numbers, unpaired surrogates, zero bytes written as JSON, doubled names."""
    body = b'{"id": ' + b"9" * 5000 + b', "note": "\\u0000 \\ud800 \xf0\x9f\x8c\xb3", "note": 1e999, "x": NaN}'
    async with serving(ledger) as client:
        answer = await send(client, signed("shopify", "d1", body=body))
    [delivery] = await ledger.pending_deliveries("acme")

    assert answer.status_code == 202
    assert delivery.body == body


@pytest.mark.parametrize("source", ALL)
async def test_a_body_that_is_too_large_is_refused_as_soon_as_that_shows(ledger, source, caplog):
    """413; by its length before anything is read, else with the first byte too many; said for a person (C20)."""
    caplog.set_level(logging.WARNING, "impactflow")
    read = []

    async def endless():
        while True:
            read.append(b"x" * 1000)
            yield read[-1]

    async with serving(ledger, Bounds(max_bytes=10_000)) as client:
        post = signed(source, "d1")
        declared = await client.post(post.path, content=b"x" * 10_001, headers=post.headers)
        shown = await client.post(post.path, content=endless(), headers=post.headers)

    assert [413, 413] == [declared.status_code, shown.status_code]
    assert shown.headers["connection"] == "close"
    assert len(read) <= 12
    [message] = [record.getMessage() for record in caplog.records if record.name == "impactflow.webhooks.refusals"]
    assert f"1 delivery of {source} was refused: 1 too large (413)" in message
    assert "10001 bytes" in message
    assert "IMPACTFLOW_WEBHOOKS_MAX_BYTES" in message
    assert post.path not in message  # a callback's path is its proof
    assert {source: {413: 2}} == await ledger.refused(date(2000, 1, 1))


@pytest.mark.parametrize("source", ALL)
async def test_a_body_that_comes_too_slowly_is_refused(ledger, source):
    """408, however steadily it drips."""

    async def dripping():
        while True:
            yield b" "
            await asyncio.sleep(0.02)

    async with serving(ledger, Bounds(body_s=0.1)) as client:
        post = signed(source, "d1")
        answer = await client.post(post.path, content=dripping(), headers=post.headers)

    assert answer.status_code == 408
    assert answer.headers["connection"] == "close"


async def test_too_much_at_once_is_put_off_and_one_source_does_not_burden_another(ledger):
    """429 with a time to come back; what was under way is taken, and then there is room again."""
    go = asyncio.Event()

    async def held(body):
        yield body[:5]
        await go.wait()
        yield body[5:]

    async with serving(ledger, Bounds(under_way_bytes=3 * 8192 + 2000)) as client:
        posts = [signed("shopify", f"d{number}") for number in range(4)]
        waiting = [
            asyncio.create_task(client.post(post.path, content=held(post.body), headers=post.headers))
            for post in posts[:3]
        ]
        await asyncio.sleep(0.05)
        put_off, other = await send(client, posts[3]), await send(client, signed("stripe", "s1"))
        go.set()
        taken = [answer.status_code for answer in await asyncio.gather(*waiting)]
        later = await send(client, posts[3])

    assert (429, "5") == (put_off.status_code, put_off.headers["retry-after"])
    assert [202, 202, 202, 202, 202] == [other.status_code, *taken, later.status_code]


async def test_a_callback_is_taken_on_its_own_path_only(ledger):
    """CNaught repeats for a day what is not answered with 200; any other path is none of ours."""
    post = signed("cnaught", "impactflow0123")
    other = Post(callback_path("x" * 20, "impactflow0123"), post.headers, post.body)
    renamed = Post(post.path.replace("0123", "0124"), post.headers, post.body)
    async with serving(ledger) as client:
        answers = [await send(client, each) for each in (post, post, other, renamed)]
    [delivery] = await ledger.pending_deliveries("acme")

    assert [200, 200, 404, 404] == [answer.status_code for answer in answers]
    assert ["stored", "known"] == [answer.json()["result"] for answer in answers[:2]]
    assert (delivery.source, delivery.webhook_id[:14]) == ("cnaught", "impactflow0123")


async def test_a_source_without_a_secret_is_not_served(ledger):
    """404, and OpenAPI does not list it."""
    async with serving(ledger, served=("shopify",)) as client:
        answer = await send(client, signed("stripe", "d1"))
        paths = (await client.get("/openapi.json")).json()["paths"]

    assert answer.status_code == 404
    assert set(paths) == {"/health", "/webhooks/shopify", "/webhooks/cnaught/{key}/{token}"}


@pytest.mark.parametrize("source", ALL)
async def test_where_the_ledger_fails_the_sender_is_told_to_repeat(ledger, source, monkeypatch):
    """503 with a time to come back, whether it fails or does not answer in time; health says so too."""

    async def fail(*_):
        raise LedgerError("its disk is full")

    async def hang(*_):
        await asyncio.sleep(60)

    statuses = []
    async with serving(ledger, Bounds(ledger_s=0.05)) as client:
        for trouble in (fail, hang):
            monkeypatch.setattr(ledger, "store_delivery", trouble)
            monkeypatch.setattr(ledger, "require_writes", trouble)
            answer = await send(client, signed(source, "d1"))
            statuses += [
                answer.status_code,
                int(answer.headers["retry-after"]),
                (await client.get("/health")).status_code,
            ]
            assert "disk" not in answer.text
    monkeypatch.undo()
    async with serving(ledger) as client:
        statuses += [(await send(client, signed(source, "d1"))).is_success, (await client.get("/health")).status_code]

    assert [503, 10, 503, 503, 10, 503, True, 200] == statuses


async def test_o2_health_says_whether_deliveries_can_be_stored_not_only_read(tmp_path, caplog):
    """
    Where the ledger can be read and not written, senders and watchdogs are both told 503.

    The log says why, once; and that it works again. What Postgres does then is tested with the ledger.
    """
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with Ledger.open(url) as ledger, caplog.at_level(logging.WARNING, logger="impactflow.webhooks.app"):
        async with serving(ledger) as client:
            healthy = await client.get("/health")
            event.listen(ledger._engine, "connect", _takes_no_writes)
            ledger._engine.dispose()
            answers = [await send(client, signed("shopify", f"d{number}")) for number in range(3)]
            sick = await client.get("/health")
            assert [] == await stored(ledger)
            event.remove(ledger._engine, "connect", _takes_no_writes)
            ledger._engine.dispose()
            answers.append(await send(client, signed("shopify", "d1")))
            assert 200 == (await client.get("/health")).status_code

    assert [(200, "takes deliveries"), (503, "takes no deliveries")] == [
        (each.status_code, each.json()["ledger"]) for each in (healthy, sick)
    ]
    assert [503, 503, 503, 202] == [each.status_code for each in answers]
    messages = [record.message for record in caplog.records if record.name == "impactflow.webhooks.app"]
    assert 2 == len(messages)
    assert messages[0].startswith("deliveries cannot be stored: ")
    assert messages[1] == "deliveries can be stored again"


def _takes_no_writes(connection, _):
    connection.execute("PRAGMA query_only=ON")
