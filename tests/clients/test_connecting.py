"""The way to a provider: by a proxy or not, and what is told where there is none; real sockets, real TLS."""

import asyncio
import base64
import os
import socket
import ssl
import sys
from contextlib import asynccontextmanager
from datetime import timedelta

import aiohttp
import pytest
from authorities import Authority

from impactflow.clients import OneClickImpactClient
from impactflow.clients.http import open_transport
from impactflow.clients.proxies import read_proxies, spare_loopback
from impactflow.errors import ConfigurationError, OutcomeUnknown, Unavailable

BODY = b'{"user_id":"U77","time_utc":"2026-02-03T04:05:06.070Z","tree_planted":1}'
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
HOST = "api.example.com"
VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def no_proxy_of_this_machine(monkeypatch):
    """What the tests' own machine says of proxies."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """Whom nobody trusts yet."""
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def trusted(authority, monkeypatch):
    """The same, trusted, as with SSL_CERT_FILE, which aiohttp reads when it is imported."""
    monkeypatch.setattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED", ssl.create_default_context(cafile=authority.file))
    return authority


class Provider:
    """Answers each request whole; or, where it is told so, not at all."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.answers = True

    async def serve(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(int(x.split(b":")[1]) for x in head.lower().split(b"\r\n") if x.startswith(b"content-l"))
                await reader.readexactly(length)
                self.requests.append(head)
                if not self.answers:
                    break
                writer.write(WHOLE)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()


@asynccontextmanager
async def listening(serve, certificate=None):
    """The port on which something is served."""
    tls = None
    if certificate is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


class Proxy:
    """
    A proxy that knows CONNECT, and takes every host for one on this machine.

    Args:
        answer: What it answers to CONNECT; nothing at all where that is empty. By default it does what it is asked.
    """

    def __init__(self, answer: bytes | None = None) -> None:
        self.answer = answer
        self.asked: list[bytes] = []

    async def serve(self, reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return
        self.asked.append(head)
        if self.answer is not None:
            writer.write(self.answer)
            writer.close()
            return
        port = int(head.split()[1].rpartition(b":")[2])
        there, back = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))


async def _pass_on(reader, writer):
    try:
        while some := await reader.read(65536):
            writer.write(some)
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()


@asynccontextmanager
async def client(url, timeout_s=60.0):
    """A client on the production transport, opened under the environment as it is."""
    async with open_transport(4) as transport:
        yield OneClickImpactClient(url, "s3cret-key", transport=transport, timeout_s=timeout_s)


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
async def test_o3_a_provider_is_reached_by_the_proxy_of_the_environment(trusted, monkeypatch, variable):
    """The proxy is told the host, and its own user and password; what is bought, and the key, it cannot read."""
    provider, proxy = Provider(), Proxy()
    async with listening(provider.serve, trusted.sign(HOST)) as port, listening(proxy.serve) as way:
        monkeypatch.setenv(variable, f"http://ana:pass%20word@127.0.0.1:{way}")
        async with client(f"https://{HOST}:{port}") as shop:
            assert 1 == (await shop.plant_tree(1)).tree_planted
            assert 1 == (await shop.plant_tree(1)).tree_planted
    [asked] = proxy.asked
    assert asked.startswith(f"CONNECT {HOST}:{port} HTTP/1.1\r\n".encode())
    assert b"Proxy-Authorization: Basic " + base64.b64encode(b"ana:pass word") in asked
    assert b"s3cret-key" not in asked
    assert 2 == len(provider.requests)
    assert all(b"x-api-key: s3cret-key" in each and b"proxy-auth" not in each.lower() for each in provider.requests)


@pytest.mark.parametrize("spared", [HOST, "example.com", ".example.com", "other.org, EXAMPLE.com", "*"])
def test_o3_a_host_of_no_proxy_is_reached_directly(monkeypatch, spared):
    """By its own name or that of a domain that it is in."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.net:3128")
    monkeypatch.setenv("NO_PROXY", spared)
    assert read_proxies().url_for(HOST) is None


@pytest.mark.parametrize("spared", ["", "ample.com", "www.example.com", "api.example.com.evil.org"])
def test_o3_a_host_that_no_proxy_does_not_list_is_not_reached_directly(monkeypatch, spared):
    """What merely ends alike is another domain."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.net:3128")
    monkeypatch.setenv("NO_PROXY", spared)
    assert "http://proxy.example.net:3128" == read_proxies().url_for(HOST)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_o3_loopback_is_never_reached_by_a_proxy(trusted, monkeypatch, scheme):
    """As the sandbox, whatever the environment says."""
    provider, proxy = Provider(), Proxy()
    certificate = trusted.sign("127.0.0.1") if scheme == "https" else None
    async with listening(provider.serve, certificate) as port, listening(proxy.serve) as way:
        for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{way}")
        async with client(f"{scheme}://127.0.0.1:{port}") as shop:
            await shop.plant_tree(1)
    assert ([], 1) == (proxy.asked, len(provider.requests))


REFUSALS = {
    "wants a login": (
        b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
        r"the proxy 127\.0\.0\.1:\d+ answered 407 .*: check the user and the password in HTTPS_PROXY",
    ),
    "forbids it": (
        b"HTTP/1.1 403 Go away\r\nContent-Length: 0\r\n\r\n",
        r"the proxy 127\.0\.0\.1:\d+ answered 403 Forbidden\), nothing was sent: check HTTPS_PROXY, NO_PROXY and ",
    ),
    "cannot reach the host": (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "answered 502 Bad Gateway"),
    "goes away": (b"", r"the proxy 127\.0\.0\.1:\d+: the connection broke"),
    "is no proxy": (b"SSH-2.0-OpenSSH_9.9\r\n\r\n", r"the proxy 127\.0\.0\.1:\d+: .*check HTTPS_PROXY and "),
}


@pytest.mark.parametrize(("answer", "message"), REFUSALS.values(), ids=REFUSALS)
async def test_o3_a_failed_connect_means_that_nothing_was_sent(trusted, monkeypatch, answer, message):
    """The write is not in doubt; the proxy is named, its password is not."""
    provider, proxy = Provider(), Proxy(answer)
    async with listening(provider.serve, trusted.sign(HOST)) as port, listening(proxy.serve) as way:
        monkeypatch.setenv("HTTPS_PROXY", f"http://ana:passw0rd@127.0.0.1:{way}")
        async with client(f"https://{HOST}:{port}") as shop:
            with pytest.raises(Unavailable, match=message) as refused:
                await shop.plant_tree(1)
    assert "passw0rd" not in str(refused.value)
    assert ([], 1) == (provider.requests, len(proxy.asked))


async def test_o3_a_proxy_that_does_not_listen_is_named(monkeypatch):
    """And its variable."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTPS_PROXY", f"127.0.0.1:{taken.getsockname()[1]}")
        async with client(f"https://{HOST}") as shop:
            with pytest.raises(Unavailable, match=r"the proxy 127\.0\.0\.1:\d+: connection refused.*check HTTPS_PROXY"):
                await shop.plant_tree(1)


async def test_o3_an_answer_that_is_lost_behind_a_proxy_leaves_a_write_in_doubt(trusted, monkeypatch):
    """The request was written, so the tunnel's end says nothing of it."""
    provider, proxy = Provider(), Proxy()
    provider.answers = False
    async with listening(provider.serve, trusted.sign(HOST)) as port, listening(proxy.serve) as way:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{way}")
        async with client(f"https://{HOST}:{port}") as shop:
            with pytest.raises(OutcomeUnknown):
                await shop.plant_tree(1)
    assert 1 == len(provider.requests)


@pytest.mark.parametrize("url", ["socks5://127.0.0.1:1080", "http://", "http://h:port", "ftp://ana:passw0rd@h"])
def test_o3_a_proxy_that_cannot_be_used_is_refused_before_anything_is_bought(monkeypatch, url):
    """Naming the variable, not the value."""
    monkeypatch.setenv("ALL_PROXY", url)
    with pytest.raises(ConfigurationError, match="ALL_PROXY must be the URL of an HTTP proxy") as refused:
        open_transport(1)
    assert "passw0rd" not in str(refused.value)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, None),
        ({"NO_PROXY": "example.com"}, "example.com"),
        ({"HTTP_PROXY": "http://p:1"}, "localhost,127.0.0.1,::1"),
        ({"https_proxy": "http://p:1", "no_proxy": "a.org, localhost"}, "a.org,localhost,127.0.0.1,::1"),
        ({"HTTP_PROXY": "http://p:1", "NO_PROXY": "*"}, "*"),
    ],
)
def test_o3_prefect_is_kept_from_asking_a_proxy_for_this_machine(monkeypatch, before, after):
    """It obeys HTTP_PROXY even for its temporary server; what the variables say otherwise stays."""
    for name, value in before.items():
        monkeypatch.setenv(name, value)
    spare_loopback(os.environ)
    assert after == os.environ.get("no_proxy", os.environ.get("NO_PROXY"))


async def test_o3_o4_an_authority_of_ssl_cert_file_is_trusted(authority):
    """As where a company's proxy looks into TLS; in a process of its own, because it is read but once."""
    provider = Provider()
    code = """if True:
        import asyncio
        from impactflow.clients import OneClickImpactClient
        from impactflow.clients.http import open_transport

        async def buy():
            async with open_transport(1) as transport:
                await OneClickImpactClient("{}", "k", transport=transport, timeout_s=20).plant_tree(1)

        asyncio.run(buy())
    """
    async with listening(provider.serve, authority.sign("127.0.0.1")) as port:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            code.format(f"https://127.0.0.1:{port}"),
            env={**os.environ, "SSL_CERT_FILE": str(authority.file)},
        )
        assert 0 == await process.wait()
    assert 1 == len(provider.requests)


async def test_o4_a_certificate_that_nobody_vouches_for_is_named(authority):
    """And what a company's network has to set."""
    provider = Provider()
    async with (
        listening(provider.serve, authority.sign("127.0.0.1")) as port,
        client(f"https://127.0.0.1:{port}") as shop,
    ):
        with pytest.raises(Unavailable, match=r"certificate is not accepted: unable to get.*check SSL_CERT_FILE"):
            await shop.plant_tree(1)
    assert [] == provider.requests


async def test_o4_a_certificate_of_another_host_is_named(trusted):
    """And the variable of the URL."""
    provider = Provider()
    async with listening(provider.serve, trusted.sign(HOST)) as port, client(f"https://127.0.0.1:{port}") as shop:
        with pytest.raises(Unavailable, match=r"not accepted: IP address mismatch.*network and ONECLICKIMPACT_URL"):
            await shop.plant_tree(1)
    assert [] == provider.requests


async def test_o4_a_certificate_that_is_over_is_named(trusted):
    """Perhaps the clock is wrong."""
    certificate = trusted.sign("127.0.0.1", begun=timedelta(days=9))
    async with listening(Provider().serve, certificate) as port, client(f"https://127.0.0.1:{port}") as shop:
        with pytest.raises(Unavailable, match=r"not accepted: certificate has expired.*check this machine's clock"):
            await shop.plant_tree(1)


async def test_o4_a_server_without_tls_is_named():
    """A port of something else."""

    async def serve(reader, writer):
        writer.write(b"SSH-2.0-OpenSSH_9.9\r\n")
        writer.close()

    async with listening(serve) as port, client(f"https://127.0.0.1:{port}") as shop:
        with pytest.raises(Unavailable, match=r"TLS failed: \w+.*check the network and ONECLICKIMPACT_URL"):
            await shop.plant_tree(1)


async def test_o4_a_name_without_an_address_is_named():
    """Names that end in ``.invalid`` have none (RFC 2606)."""
    async with client("https://api.invalid") as shop:
        with pytest.raises(Unavailable, match=r"no address is known for api\.invalid.*HTTPS_PROXY, where it needs"):
            await shop.plant_tree(1)


async def test_o4_a_server_that_does_not_take_the_connection_is_named():
    """Its queue is full, as behind a wall that answers nothing."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        async with client(f"http://127.0.0.1:{port}", timeout_s=2) as shop:
            with pytest.raises(Unavailable, match="no connection in time"):
                await shop.plant_tree(1)
        for each in waiting:
            each.close()


async def test_o4_a_refused_connection_is_named():
    """With host and port, and the variable of the URL."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        async with client(f"http://127.0.0.1:{port}") as shop:
            with pytest.raises(Unavailable, match=f"127.0.0.1:{port}: connection refused.*check the network and ONECL"):
                await shop.plant_tree(1)
