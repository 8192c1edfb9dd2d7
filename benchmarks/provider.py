"""
A provider and a shop that cost next to nothing, so that the program measured against them is the limit.

``python -m benchmarks.provider --orders N --latency-ms M`` prints its URL and serves until its standard input closes.
The server knows the requests of one run of the flow: 1ClickImpact's account, newest records and trees, and a shop's
orders page by page. It checks no request: checking is the sandbox's task.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

_HEAD_END = b"\r\n\r\n"
#: The account returns metadata, as this older record shows: its purchases need not be sent one after the other.
_RECORDS = {
    "user_records": [
        {
            "user_id": "U1",
            "time_utc": "2025-01-01T00:00:00.000Z",
            "tree_planted": 1,
            "metadata": {"order_id": "older", "impactflow_key": "older"},
        }
    ]
}
#: Fixed answers, independent of the request's content.
_ALWAYS = {
    "/v1/whoami": b'{"user_id":"U1","email":"shop@example.com"}',
    "/v1/records": json.dumps(_RECORDS).encode(),
    "/v1/customer_records": b'{"customer_records":[]}',
}


class Answers:
    """
    The answers to requests.

    Args:
        orders: Number of orders in the shop, all of today.
    """

    def __init__(self, orders: int) -> None:
        self._orders = orders
        self._day = datetime.now(UTC).date().isoformat()
        self._latest = datetime.now(UTC)

    def to(self, method: bytes, target: bytes, body: bytes) -> bytes:
        """Return the whole answer to one request."""
        if method == b"POST":
            return _http(self._trees(json.loads(body)["amount"]))
        url = urlsplit(target.decode())
        if url.path == "/orders":
            query = parse_qs(url.query)
            return _http(self._page(int(query.get("next", ["0"])[0]), int(query["limit"][0])))
        if url.path == "/v1/track":
            return _http(_tracked(url.query))
        known = _ALWAYS.get(url.path)
        return b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}" if known is None else _http(known)

    def _trees(self, amount: int) -> bytes:
        # The purchase's name: no two share one, and none is older than the request for it.
        self._latest = max(datetime.now(UTC), self._latest + timedelta(milliseconds=1))
        at = self._latest.isoformat(timespec="milliseconds")
        return b'{"user_id":"U1","tree_planted":%d,"time_utc":"%s"}' % (amount, at.encode())

    def _page(self, start: int, limit: int) -> bytes:
        end = min(start + limit, self._orders)
        page = {
            "results": [self._order(number) for number in range(start, end)],
            "page": start // limit + 1,
            "totalPages": -(-self._orders // limit),
            "total": self._orders,
            "next": str(end) if end < self._orders else None,
        }
        return json.dumps(page).encode()

    def _order(self, number: int) -> dict[str, object]:
        return {
            "id": f"order-{number}",
            "sourceId": f"{number}",
            "sourceSystem": "shopify",
            "date": f"{self._day}T00:00:00Z",
            "amount": 20,
            "currency": "USD",
            "contact": {"email": f"customer-{number}@example.com"},
            "products": [{"qty": 1}],
            "payments": [{"status": "APPROVED", "amount": 20}],
        }


def _tracked(query: str) -> bytes:
    """The impact of the requested user and time, just begun."""
    user_id, time_utc = (parse_qs(query)[name][0] for name in ("user_id", "time_utc"))
    return json.dumps({"tracking_id": f"{user_id}-{time_utc}", "impact_initiated": time_utc}).encode()


def _http(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


class Line(asyncio.Protocol):
    """
    One connection: only the part of HTTP that the contestants use.

    Args:
        answers: The answers to give.
        latency_s: Time from a request to its answer, in seconds.
    """

    def __init__(self, answers: Answers, latency_s: float) -> None:
        self._answers = answers
        self._latency_s = latency_s
        self._read = b""
        self._write: Callable[[bytes], None] = lambda _: None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport of a new connection."""
        assert isinstance(transport, asyncio.Transport)
        self._write = transport.write

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete by now."""
        self._read += data
        while (request := self._next()) is not None:
            answer = self._answers.to(*request)
            if self._latency_s:
                asyncio.get_running_loop().call_later(self._latency_s, self._write, answer)
            else:
                self._write(answer)

    def _next(self) -> tuple[bytes, bytes, bytes] | None:
        """Return the method, the target and the body of the next complete request."""
        end = self._read.find(_HEAD_END)
        if end < 0:
            return None
        head = self._read[:end]
        _, found, length = head.lower().partition(b"\r\ncontent-length:")
        rest = end + len(_HEAD_END) + (int(length.split(b"\r\n", 1)[0]) if found else 0)
        if len(self._read) < rest:
            return None
        body, self._read = self._read[end + len(_HEAD_END) : rest], self._read[rest:]
        method, target, _ = head.split(b" ", 2)
        return method, target, body


async def serve(orders: int, latency_s: float) -> None:
    """Serve on a free port of loopback until standard input closes."""
    loop, answers = asyncio.get_running_loop(), Answers(orders)
    server = await loop.create_server(lambda: Line(answers, latency_s), "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--orders", type=int, required=True)
    parser.add_argument("--latency-ms", type=float, default=0.0)
    given = parser.parse_args()
    asyncio.run(serve(given.orders, given.latency_ms / 1000))
