"""What every client does alike: which error an answer is, what is tried again, what messages may hold."""

import asyncio
import time
from decimal import Decimal

import httpx
import pytest
from client_helpers import NOON, PatientClock, Script, sample
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from impactflow.clients import CNaughtClient, ImpactAPIClient, OneClickImpactClient, WickedReportsClient
from impactflow.clients.answers import place
from impactflow.clients.http import TRIES
from impactflow.errors import (
    Forbidden,
    IdempotencyConflict,
    NotFound,
    NotSent,
    OutcomeUnknown,
    ProviderError,
    RateLimited,
    Refused,
    Unauthorized,
    Unavailable,
    WrongAddress,
)

KEY = "key-8f3a"


def open_client(*answers, clock=None, timeout_s=20.0):
    script = Script(*answers)
    client = OneClickImpactClient(
        "https://one.example/base", KEY, transport=script, timeout_s=timeout_s, clock=clock or PatientClock()
    )
    return client, script


def reply(status, text="", **headers):
    return httpx.Response(status, content=text.encode(), headers=headers)


WRITE_ERRORS = [
    (reply(400), Refused),
    (reply(401), Unauthorized),
    (reply(402), Unauthorized),
    (reply(403), Forbidden),
    (reply(404), NotFound),
    (reply(409), Refused),
    (reply(413), Refused),
    (reply(422), Refused),
    (reply(429), RateLimited),
    (reply(101), OutcomeUnknown),
    (reply(301, location="https://elsewhere.example"), OutcomeUnknown),
    (reply(302, location="https://elsewhere.example"), OutcomeUnknown),
    (reply(304), OutcomeUnknown),
    (reply(307, location="https://elsewhere.example"), OutcomeUnknown),
    (reply(308, location="https://elsewhere.example"), OutcomeUnknown),
    (reply(408), OutcomeUnknown),
    (reply(500), OutcomeUnknown),
    (reply(502, "<html>Bad gateway</html>"), OutcomeUnknown),
    (reply(503), OutcomeUnknown),
    (reply(600), OutcomeUnknown),
    (reply(200, "<html>Welcome</html>"), OutcomeUnknown),
    (reply(200, '{"user_id":"U77","time_u'), OutcomeUnknown),
    (reply(200, '{"user_id":"U77"}'), OutcomeUnknown),
    (reply(200), OutcomeUnknown),
    (reply(204), OutcomeUnknown),
    (httpx.ConnectError("no"), Unavailable),
    (httpx.ConnectTimeout("no"), Unavailable),
    (httpx.PoolTimeout("no"), Unavailable),
    (httpx.ReadTimeout("no"), OutcomeUnknown),
    (httpx.WriteError("no"), OutcomeUnknown),
    (httpx.ReadError("no"), OutcomeUnknown),
    (httpx.RemoteProtocolError("no"), OutcomeUnknown),
    (ConnectionResetError("no"), OutcomeUnknown),
]


@pytest.mark.parametrize(("answer", "expected"), WRITE_ERRORS, ids=lambda value: repr(value)[:40])
async def test_a_write_that_fails_says_whether_it_happened_and_is_never_repeated(answer, expected):
    """One request, whatever comes back; the error's class is the answer to "did it happen?"."""
    client, script = open_client(answer)
    with pytest.raises(ProviderError) as caught:
        await client.plant_tree(1)
    assert (expected, 1) == (type(caught.value), len(script.requests))


READ_ERRORS = [
    (reply(400), Refused, 1),
    (reply(401), Unauthorized, 1),
    (reply(402), Unauthorized, 1),
    (reply(403), Forbidden, 1),
    (reply(404), WrongAddress, 1),
    (reply(302), Refused, 1),
    (reply(101), Unavailable, TRIES),
    (reply(600), Unavailable, TRIES),
    (reply(429), RateLimited, TRIES),
    (reply(500), Unavailable, TRIES),
    (reply(200, "<html>"), Unavailable, TRIES),
    (httpx.ConnectError("no"), Unavailable, TRIES),
    (httpx.ReadTimeout("no"), Unavailable, TRIES),
]


@pytest.mark.parametrize(("answer", "expected", "tries"), READ_ERRORS, ids=lambda value: repr(value)[:40])
async def test_a_read_is_tried_again_where_that_may_help(answer, expected, tries):
    """Five times at most, and not at all where the provider has said no."""
    client, script = open_client(answer)
    with pytest.raises(expected):
        await client.whoami()
    assert tries == len(script.requests)


async def test_an_answer_without_a_required_field_is_not_asked_for_again():
    """The error names provider, operation and field."""
    client, script = open_client(reply(200, '{"email":"ana@example.org"}'))
    with pytest.raises(Unavailable) as caught:
        await client.whoami()
    expected = "oneclickimpact whoami (HTTP 200): the answer cannot be read: field user_id: it is missing"
    assert (expected, 1) == (str(caught.value), len(script.requests))


def test_the_name_of_a_broken_field_shows_no_address_either():
    """Theirs may be anything."""
    assert "user_records.0.metadata.***" == place(("user_records", 0, "metadata", "ana@example.org"))


async def test_a_read_recovers_from_a_passing_failure():
    """Down, cut short, then whole."""
    client, _ = open_client(reply(503), reply(200, '{"user_'), sample("oneclickimpact", "whoami.200"))
    assert (await client.whoami()).user_id == "U123"


async def test_a_read_waits_as_long_as_retry_after_asks():
    """Seconds, taken from the header."""
    clock = PatientClock()
    answers = reply(429, **{"retry-after": "7"}), sample("oneclickimpact", "whoami.200")
    client, _ = open_client(*answers, clock=clock)
    await client.whoami()
    assert [7.0] == clock.waits


async def test_a_read_does_not_wait_for_an_hour():
    """The next run may have more luck."""
    client, script = open_client(reply(429, **{"retry-after": "3600"}))
    with pytest.raises(RateLimited):
        await client.whoami()
    assert 1 == len(script.requests)


@pytest.mark.parametrize(
    ("header", "expected"), [("7", 7.0), ("Tue, 03 Feb 2026 12:00:09 GMT", 9.0), (None, None), ("soon", None)]
)
async def test_a_refused_write_tells_when_to_try_again(header, expected):
    """Seconds or a date; None where the provider does not say."""
    client, _ = open_client(reply(429, **({"retry-after": header} if header else {})))
    with pytest.raises(RateLimited) as caught:
        await client.plant_tree(1)
    assert expected == caught.value.retry_after_s


async def test_a_write_during_a_pause_is_not_sent_rather_than_sent_late():
    """Beyond half its timeout it would reach past its lease."""
    client, script = open_client(reply(429, **{"retry-after": "60"}))
    with pytest.raises(RateLimited):
        await client.plant_tree(1)
    with pytest.raises(RateLimited) as caught:
        await client.plant_tree(1)
    assert (1, None, 60.0) == (len(script.requests), caught.value.status, caught.value.retry_after_s)


async def test_an_answer_that_never_comes_ends_with_the_timeout():
    """A write is then in doubt."""

    class Silent(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            await asyncio.sleep(60)

    client = OneClickImpactClient("https://one.example", KEY, transport=Silent(), timeout_s=0.05, clock=PatientClock())
    with pytest.raises(OutcomeUnknown):
        await client.plant_tree(1)


async def test_a_message_quotes_the_provider_without_addresses_or_the_key():
    """Their own words, one line, at most 200 characters."""
    client, _ = open_client(sample("oneclickimpact", "plant_tree.400"))
    with pytest.raises(Refused) as caught:
        await client.plant_tree(1)
    expected = "oneclickimpact plant_tree (HTTP 400): the provider declined (they say: bad customer ***)"
    assert expected == str(caught.value)


ECHOES = ["secret-91", "jane@example.org", "jane%40example.org", "Jane%2540example.org", "to=jane%40example.org&x=1"]


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize("secret", ["secret-91", SecretStr("secret-91")])
async def test_a_message_repeats_no_secret_of_a_session_and_no_address_of_a_url(secret, echo):
    """Whatever was sent with the request may come back in an answer, in its text or as its id."""
    answer = httpx.Response(400, json={"error": {"message": f"no {echo} here"}}, headers={"x-request-id": f"r {echo}"})
    client = ImpactAPIClient("https://i.example", KEY, transport=Script(answer), timeout_s=20, clock=PatientClock())
    for asking in (
        client.get_session("s", session_secret=secret),
        client.choose_campaign("s", "trees", session_secret=secret),
    ):
        with pytest.raises(Refused, match=r"they say: no \*\*\* here") as caught:
            await asking
        assert "r ***" == caught.value.request_id


def test_a_long_word_without_an_address_is_searched_quickly():
    """A provider's answer must not stop the loop."""
    answer = httpx.Response(400, json={"message": "x" * 60_000})
    client, _ = open_client(answer)
    started_s = time.perf_counter()
    with pytest.raises(Refused):
        asyncio.run(client.plant_tree(1))
    assert 1 > time.perf_counter() - started_s


@given(st.text(min_size=1).map(lambda text: f"{text} {KEY} ana@example.org {text}"), st.sampled_from(WRITE_ERRORS))
def test_no_message_holds_the_key_or_an_address_or_a_second_line(text, error):
    """Whatever the provider writes."""
    status = error[0].status_code if isinstance(error[0], httpx.Response) else 400
    client, _ = open_client(httpx.Response(status, json={"message": text, "detail": text, "error": {"message": text}}))
    with pytest.raises(ProviderError) as caught:
        asyncio.run(client.plant_tree(1, customer_email="bob@example.org"))
    shown = f"{caught.value} {caught.value!r}"
    assert not any(secret in shown for secret in (KEY, "ana@example.org", "bob@example.org", "\n"))


@pytest.mark.parametrize(
    "body", [b"[]", b"null", b"7", b'"x"', b"\xff\xfe", b'{"error":"x"}', b'{"message":[1]}', b"[" * 50_000]
)
async def test_an_error_body_of_any_shape_is_survived(body):
    """It only adds words to a message."""
    client, _ = open_client(httpx.Response(400, content=body))
    with pytest.raises(Refused):
        await client.plant_tree(1)


@pytest.mark.parametrize(
    ("ask", "expected"),
    [(lambda client: client.whoami(), Refused), (lambda client: client.plant_tree(1), OutcomeUnknown)],
)
async def test_a_redirect_names_the_variable_to_check(ask, expected):
    """It is not followed, for the key would go elsewhere; some servers redirect after they have done their work."""
    client, _ = open_client(reply(307, location="https://elsewhere.example"))
    with pytest.raises(expected, match="check ONECLICKIMPACT_URL"):
        await ask(client)


async def test_a_wrong_key_names_the_variable_to_check():
    """And nothing of the key."""
    client, _ = open_client(sample("oneclickimpact", "plant_tree.401"))
    with pytest.raises(Unauthorized, match="check ONECLICKIMPACT_API_KEY"):
        await client.whoami()


@pytest.mark.parametrize(
    ("status", "expected"), [(409, OutcomeUnknown), (422, IdempotencyConflict), (403, Forbidden), (400, Refused)]
)
async def test_a_write_with_a_key_tells_its_conflicts_apart(status, expected):
    """Still running is in doubt; another body under the same key is refused."""
    script = Script(sample("cnaught", f"submit_generic_order.{status}"))
    client = CNaughtClient("https://c.example/v1", KEY, transport=script, timeout_s=20, clock=PatientClock())
    with pytest.raises(ProviderError) as caught:
        await client.submit_generic_order(amount_kg=Decimal(1), idempotency_key="k")
    assert expected is type(caught.value)


async def test_what_is_forbidden_names_no_variable_to_check():
    """The key is good; billing that is not set up is mended at the provider."""
    script = Script(sample("cnaught", "submit_generic_order.403"))
    client = CNaughtClient("https://c.example/v1", KEY, transport=script, timeout_s=20, clock=PatientClock())
    with pytest.raises(Forbidden, match="Billing is not set up") as caught:
        await client.submit_generic_order(amount_kg=Decimal(1), idempotency_key="k")
    assert "CNAUGHT_" not in str(caught.value)


async def test_the_providers_own_name_of_the_request_is_kept():
    """A header or, at ImpactAPI, the correlation id."""
    script = Script(sample("impactapi", "create_session.401"))
    client = ImpactAPIClient("https://i.example", KEY, transport=script, timeout_s=20, clock=PatientClock())
    with pytest.raises(Unauthorized) as caught:
        await client.list_campaigns()
    assert "c-2" == caught.value.request_id


@pytest.mark.parametrize("kind", [OneClickImpactClient, CNaughtClient, ImpactAPIClient, WickedReportsClient])
def test_a_client_shows_its_url_and_not_its_key(kind):
    """In a log or a traceback."""
    client = kind("https://x.example", KEY, transport=Script(reply(200)), timeout_s=20)
    assert f"{kind.__name__}('https://x.example')" == repr(client)


async def harmless(client):
    """Ask for anything."""
    match client:
        case CNaughtClient():
            await client.get_order("x")
        case ImpactAPIClient():
            await client.list_campaigns()
        case OneClickImpactClient():
            await client.whoami()
        case WickedReportsClient():
            await anext(client.list_orders(NOON.date(), NOON.date()))


@pytest.mark.parametrize(
    ("kind", "header", "value"),
    [
        (OneClickImpactClient, "x-api-key", KEY),
        (CNaughtClient, "authorization", f"Bearer {KEY}"),
        (ImpactAPIClient, "authorization", f"Bearer {KEY}"),
        (WickedReportsClient, "apikey", KEY),
    ],
)
async def test_each_provider_gets_the_key_in_its_own_header(kind, header, value):
    """As its reference writes it."""
    script = Script(reply(401))
    client = kind("https://x.example:8443/p", KEY, transport=script, timeout_s=20, clock=PatientClock())
    with pytest.raises(Unauthorized):
        await harmless(client)
    request = script.requests[0]
    assert (value, "x.example:8443") == (request.headers[header], request.headers["host"])


async def test_a_limit_told_by_headers_is_obeyed_before_it_is_hit():
    """Nothing remains, so the second read waits for the reset."""
    clock = PatientClock()
    answer = sample("oneclickimpact", "whoami.200", **{"x-ratelimit-remaining": "0", "x-ratelimit-reset": "30"})
    client, _ = open_client(answer, clock=clock)
    await client.whoami()
    await client.whoami()
    assert [31.01] == clock.waits


async def test_not_sent_covers_all_that_may_be_tried_later():
    """Callers catch by the question, never by the status."""
    client, _ = open_client(reply(429))
    with pytest.raises(NotSent):
        await client.plant_tree(1)
