#!/usr/bin/env bash
# Square's SDK, squareup 46.0.0.20260916, sends an order that was answered with 503 again, twice, without having been
# told to and also where the call has no idempotency key. Square does not ask for a key there, so one call may become
# three orders. Its README names the statuses that it tries again, and nothing about methods or keys. Guessed: a POST
# is sent again only with a key, the caller's or one that the SDK makes up, as Stripe's and Svix's do.
# Seen (Python 3.11):
#   one call, told: 503
#   POST /v2/orders, key: None
#   POST /v2/orders, key: None
#   POST /v2/orders, key: None
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile squareup==46.0.0.20260916
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from square import Square
from square.core.api_error import ApiError

came = []


class Shop(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = body.get("idempotency_key") or self.headers.get("Idempotency-Key")
        came.append(f"{self.command} {self.path}, key: {key}")
        self.send_response(503)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = Square(token="made-up", base_url=f"http://127.0.0.1:{server.server_port}")
try:
    client.orders.create(order={"location_id": "L1", "line_items": [{"name": "tree", "quantity": "1"}]})
except ApiError as error:
    print(f"one call, told: {error.status_code}")
print(*came, sep="\n")
PYTHON
diff "$folder/seen" - <<'SEEN'
one call, told: 503
POST /v2/orders, key: None
POST /v2/orders, key: None
POST /v2/orders, key: None
SEEN
