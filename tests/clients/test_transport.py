"""What a real connection does, and what it is reported as: against a tiny server on loopback."""

import asyncio
import gzip
import socket
import ssl
import tracemalloc
import zlib
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from impactflow.clients import ImpactAPIClient, OneClickImpactClient
from impactflow.clients.answers import Misshapen
from impactflow.clients.http import open_transport
from impactflow.clients.operations import with_final_check
from impactflow.clients.transport import MOST_READ, MOST_UNPACKED
from impactflow.errors import NotSent, OutcomeUnknown, Unavailable

BODY = b'{"user_id":"U77","time_utc":"2026-02-03T04:05:06.070Z","tree_planted":1}'
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


class Server:
    """Reads each request whole, then does with the connection what the test says."""

    def __init__(self, act: Callable[[asyncio.StreamWriter, int], Awaitable[None]]) -> None:
        self.act = act
        self.requests: list[bytes] = []
        self.connections = self.begun = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while not writer.is_closing():
                first = await reader.readexactly(1)
                self.begun += 1
                head = first + await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (int(x.split(b":")[1]) for x in head.lower().split(b"\r\n") if x.startswith(b"content-l")), 0
                )
                self.requests.append(head + await reader.readexactly(length))
                await self.act(writer, len(self.requests))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def connected(act, *, timeout_s=2.0, concurrency=4, tls=None):
    """A client joined to such a server by the production transport."""
    server = Server(act)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    port = listening.sockets[0].getsockname()[1]
    transport = open_transport(concurrency)
    try:
        url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        yield OneClickImpactClient(url, "k", transport=transport, timeout_s=timeout_s), server
    finally:
        await transport.aclose()
        listening.close()


def reset(writer):
    """Close so that the other side sees a reset, not an end."""
    linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


async def answer_whole(writer, _):
    writer.write(WHOLE)


async def reset_unanswered(writer, _):
    reset(writer)


async def close_unanswered(writer, _):
    writer.close()


async def reset_amid_body(writer, _):
    writer.write(WHOLE[:-20])
    await writer.drain()
    await asyncio.sleep(0.05)
    reset(writer)


async def close_amid_body(writer, _):
    writer.write(WHOLE[:-20])
    writer.close()


async def close_amid_head(writer, _):
    writer.write(WHOLE[:20])
    writer.close()


async def answer_cut_json(writer, _):
    cut = BODY[:30]
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(cut), cut))


async def answer_html(writer, _):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>")


async def answer_no_http(writer, _):
    writer.write(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")


async def answer_false_gzip(writer, _):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope")


async def never_answer(writer, _):
    await asyncio.sleep(1)
    writer.close()


async def drip(writer, _):
    for byte in WHOLE:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.05)


IN_DOUBT = [
    reset_unanswered,
    close_unanswered,
    reset_amid_body,
    close_amid_body,
    close_amid_head,
    answer_cut_json,
    answer_html,
    answer_no_http,
    answer_false_gzip,
    never_answer,
    drip,
]


@pytest.mark.parametrize("act", IN_DOUBT, ids=lambda act: act.__name__)
async def test_whatever_happens_after_the_request_was_sent_leaves_a_write_in_doubt(act):
    """And it is sent once only."""
    async with connected(act, timeout_s=0.4) as (client, server):
        with pytest.raises(OutcomeUnknown):
            await client.plant_tree(1)
        assert 1 == len(server.requests)


async def test_a_refused_connection_means_that_nothing_was_sent():
    """The message names the variable to check."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        transport = open_transport(1)
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        client = OneClickImpactClient(url, "k", transport=transport, timeout_s=2)
        with pytest.raises(Unavailable, match="check the network and ONECLICKIMPACT_URL"):
            await client.plant_tree(1)
        await transport.aclose()


async def test_a_full_pool_means_that_nothing_was_sent():
    """One connection, and it is taken for longer than connecting may take."""
    async with connected(never_answer, timeout_s=0.8, concurrency=1) as (client, server):
        outcomes = await asyncio.gather(client.plant_tree(1), client.plant_tree(2), return_exceptions=True)
        assert {OutcomeUnknown, Unavailable} == {type(outcome) for outcome in outcomes}
        assert 1 == len(server.requests)


async def test_connections_are_used_again():
    """Ten purchases, one connection, each with the key and no cookie."""
    async with connected(answer_whole) as (client, server):
        for _ in range(10):
            await client.plant_tree(1)
        assert (10, 1) == (len(server.requests), server.connections)
        assert all(b"x-api-key: k\r\n" in request for request in server.requests)
        assert {1} == {request.lower().count(b"\r\ncontent-length:") for request in server.requests}


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE", "GET"])
@pytest.mark.parametrize("lose", [close_unanswered, reset_unanswered, close_amid_head], ids=lambda act: act.__name__)
async def test_a_request_on_a_kept_connection_that_the_server_closes_is_not_sent_again(lose, method):
    """The server may have acted on it before it closed; aiohttp by itself would repeat all but POST and PATCH."""

    async def second_is_lost(writer, number):
        await (answer_whole if number == 1 else lose)(writer, number)

    async with connected(second_is_lost) as (client, server):
        await client.plant_tree(1)
        with pytest.raises(httpx.ReadError):
            await client._http._transport.handle_async_request(httpx.Request(method, client._http.account.base_url))
        assert (2, 1) == (len(server.requests), server.connections)


async def test_a_write_whose_answer_is_lost_is_in_doubt_where_the_server_then_goes_away():
    """Sending it again would fail to connect, and say that nothing was sent."""

    async def second_is_the_last(writer, number):
        if number == 1:
            writer.write(WHOLE)
        else:
            listening.close()
            writer.close()

    server = Server(second_is_the_last)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    async with open_transport(1) as transport:
        await OneClickImpactClient(url, "k", transport=transport, timeout_s=2).plant_tree(1)
        client = ImpactAPIClient(url, "k", transport=transport, timeout_s=2)
        with pytest.raises(OutcomeUnknown):
            await client.delete_customer("01ABC")
    assert 2 == len(server.requests)


async def test_a_connection_that_was_closed_while_idle_is_replaced():
    """No doubt arises where the close was seen in time."""

    async def close_after(writer, _):
        writer.write(WHOLE)
        writer.close()

    async with connected(close_after) as (client, server):
        await client.plant_tree(1)
        await asyncio.sleep(0.05)
        await client.plant_tree(1)
        assert 2 == len(server.requests)


def forbid():
    """What a run finds that stood still for longer than its lease."""
    raise NotSent("too little of the lease was left to send it", provider="oneclickimpact", operation="place")


@pytest.mark.parametrize("kept", [False, True], ids=["new connection", "kept connection"])
@pytest.mark.parametrize("has_body", [False, True])
async def test_p4_the_final_check_comes_after_the_connection_and_before_the_first_byte(has_body, kept):
    """What it raises reaches the caller as it is; the server sees a connection, and no byte of a request."""
    async with connected(answer_whole) as (client, server):
        if kept:
            await client.plant_tree(1)
        before = server.begun
        with pytest.raises(NotSent, match="too little of the lease"):
            await with_final_check(client, forbid)._http.write("any", "/v1", bytes, body={"a": 1} if has_body else None)
        await asyncio.sleep(0.05)
        assert (1, before) == (server.connections, server.begun)
        assert 1 == (await client.plant_tree(1)).tree_planted  # whoever buys next is not disturbed


async def test_p4_a_final_check_that_forbids_nothing_changes_nothing():
    """And each write of the client that looks is looked at, no read, and no write of the client beside it."""
    checks = []
    async with connected(answer_whole) as (client, server):
        checked = with_final_check(client, lambda: checks.append(len(server.requests)))
        await asyncio.gather(checked.plant_tree(1), client.plant_tree(2))
        await checked.plant_tree(3)
        await checked._http.read("any", "/v1", bytes)
        assert (2, 4) == (len(checks), len(server.requests))


async def test_p4_time_that_passes_while_the_request_waits_for_a_connection_is_seen():
    """The one connection is taken for a while: the look comes after the wait, however long that was."""
    asked_at = asyncio.get_running_loop().time
    began, looked_at = asked_at(), []

    async def answer_late(writer, _):
        await asyncio.sleep(0.2)
        writer.write(WHOLE)

    async with connected(answer_late, concurrency=1) as (client, _):
        behind = with_final_check(client, lambda: looked_at.append(asked_at()))
        await asyncio.gather(client.plant_tree(1), behind.plant_tree(2))
    assert looked_at[0] - began > 0.19


async def test_redirects_are_not_followed_and_cookies_are_not_kept():
    """The key goes to no other host."""

    async def redirect(writer, _):
        writer.write(b"HTTP/1.1 307 Go\r\nLocation: /elsewhere\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n")

    async with connected(redirect) as (client, server):
        for _ in range(2):
            with pytest.raises(OutcomeUnknown):
                await client.plant_tree(1)
        assert (2, False) == (len(server.requests), any(b"cookie" in request.lower() for request in server.requests))


SENT = [
    ("GET", None, b""),
    ("POST", None, b"content-length: 0\r\n"),
    ("PUT", None, b"content-length: 0\r\n"),
    ("DELETE", None, b"content-length: 0\r\n"),
    ("PATCH", {"a": 1}, b"content-type: application/json\r\ncontent-length: 7\r\n"),
]


@pytest.mark.parametrize(("method", "body", "expected"), SENT)
async def test_only_what_has_a_body_has_a_content_type(method, body, expected):
    """And a write without one says that its length is 0; nothing else goes along but what the client says and is."""
    async with connected(answer_whole) as (client, server):
        if method == "GET":
            await client._http.read("any", "/v1", bytes)
        else:
            await client._http.write("any", "/v1", bytes, method=method, body=body)
    head, sent = server.requests[0].split(b"\r\n\r\n")
    first, *headers = head.lower().split(b"\r\n")
    fixed = [b"host:", b"accept: application/json", b"accept-encoding: gzip, deflate", b"x-api-key: k"]
    assert f"{method} /v1 http/1.1".lower().encode() == first
    assert fixed == [headers[0][:5], *headers[1:4]]
    assert expected == b"".join(line + b"\r\n" for line in headers[4:-1])
    assert headers[-1].startswith(b"user-agent: ")
    assert (b'{"a":1}' if body else b"") == sent


async def test_a_compressed_answer_is_read():
    """As the client says that it can."""
    packed = gzip.compress(BODY)

    async def answer(writer, _):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed)

    async with connected(answer) as (client, server):
        assert 1 == (await client.plant_tree(1)).tree_planted
        assert b"accept-encoding: gzip, deflate\r\n" in server.requests[0].lower()


@cache
def packed():
    """300 MiB of nothing, as gzip makes them small: a thousandth."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return b"".join(packer.compress(bytes(2**20)) for _ in range(300)) + packer.flush()


def answering(body, coding=b"gzip"):
    """Answer with this body; whether it was read to its end does not matter."""

    async def answer(writer, _):
        with suppress(ConnectionError):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n" % (coding, len(body)))
            for start in range(0, len(body), 2**16):
                writer.write(body[start : start + 2**16])
                await writer.drain()

    return answer


TOO_LARGE = {
    "unpacks to 300 MiB": lambda: answering(packed()),
    "packed twice": lambda: answering(gzip.compress(packed()), b"gzip, gzip"),
    "long as it comes": lambda: answering(b"[" + bytes(MOST_READ), b"identity"),
}


@pytest.mark.parametrize("answer", TOO_LARGE.values(), ids=TOO_LARGE)
async def test_p18_an_answer_that_is_too_large_leaves_a_write_in_doubt_and_is_not_asked_for_again(answer):
    """The message says what is wrong with it, and whom to ask."""
    async with connected(answer(), timeout_s=20) as (client, server):
        with pytest.raises(OutcomeUnknown, match=r"the answer was not read, it .* MiB: check ONECLICKIMPACT_URL"):
            await client.plant_tree(1)
        with pytest.raises(Misshapen, match="the answer was not read"):
            await client.whoami()
        assert 2 == len(server.requests)


async def test_p18_no_more_of_an_answer_is_unpacked_than_the_bound():
    """A third of a megabyte that unpacks to hundreds: memory stays at the bound, and little beyond it."""
    body = packed()
    async with connected(answering(body), timeout_s=20) as (client, _):
        tracemalloc.start()
        try:
            with pytest.raises(OutcomeUnknown):
                await client.plant_tree(1)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 2.5 * MOST_UNPACKED  # zlib puts what it unpacked together once more


@pytest.mark.parametrize("coding", ["deflate", "bare deflate", "x-gzip", "gzip, deflate", "utf-8"])
async def test_p18_every_packing_that_was_asked_for_is_read(coding):
    """Also deflate without zlib's header, and two, one within the other; what is none is left as it is."""
    bare = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    bodies = {
        "deflate": zlib.compress(BODY),
        "bare deflate": bare.compress(BODY) + bare.flush(),
        "x-gzip": gzip.compress(BODY),
        "gzip, deflate": zlib.compress(gzip.compress(BODY)),
        "utf-8": BODY,
    }
    async with connected(answering(bodies[coding], coding.removeprefix("bare ").encode())) as (client, _):
        assert 1 == (await client.plant_tree(1)).tree_planted


async def test_a_transport_that_was_closed_can_be_closed_again():
    """Also one that was never used."""
    transport = open_transport(1)
    await transport.aclose()
    await transport.aclose()


async def test_an_untrusted_certificate_means_that_nothing_was_sent(tmp_path):
    """The key is told to nobody who cannot prove to be the provider."""
    certificate = tmp_path / "self_signed.pem"
    certificate.write_bytes(self_signed())
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    async with connected(answer_whole, tls=context) as (client, server):
        with pytest.raises(Unavailable):
            await client.plant_tree(1)
        assert [] == server.requests


def self_signed() -> bytes:
    """A certificate for 127.0.0.1 that nobody vouches for, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    unlocked = Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    return key.private_bytes(*unlocked) + certificate.public_bytes(Encoding.PEM)


def test_the_transport_is_one_of_httpx():
    """So that tests and the sandbox can take its place."""
    assert isinstance(open_transport(1), httpx.AsyncBaseTransport)
