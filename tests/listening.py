"""A local URL that remembers what was posted to it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: One JSON object that was posted.
Origin = dict[str, Any]


@dataclass
class Listener:
    """Where to post, what was posted, and with which status it is answered; what is refused counts as lost."""

    url: str
    received: list[Origin] = field(default_factory=list)
    status: int = 204
    lost: list[Origin] = field(default_factory=list)


@contextmanager
def listening() -> Iterator[Listener]:
    """Listen on loopback until the context is left."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            (listener.received if listener.status < 300 else listener.lost).append(body)
            self.send_response(listener.status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener = Listener(f"http://127.0.0.1:{server.server_address[1]}/")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield listener
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
