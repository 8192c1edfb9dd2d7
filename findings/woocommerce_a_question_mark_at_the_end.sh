#!/usr/bin/env bash
# WooCommerce's own client, woocommerce 3.0.0, asks a shop without TLS, such as a copy for tests, for something else
# than it was told. If the parameters stand in the path, the last one ends in a question mark; if they are given as
# params, a list goes out twice, once as Python writes it. Guessed: both arrive as given, with the OAuth parameters
# beside them.
# Seen (Python 3.11):
#   page: 1; search: tree?
#   include: [17, 18]; include: 17; include: 18
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet woocommerce==3.0.0 requests==2.34.2
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from woocommerce import API

asked = []


class Shop(BaseHTTPRequestHandler):
    def do_GET(self):
        parameters = parse_qsl(urlsplit(self.path).query)
        asked.append([f"{name}: {value}" for name, value in parameters if not name.startswith("oauth_")])
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
threading.Thread(target=server.serve_forever, daemon=True).start()
api = API(url=f"http://127.0.0.1:{server.server_port}", consumer_key="ck_1", consumer_secret="cs_1", version="wc/v3")
api.get("orders?page=1&search=tree")
api.get("orders", params={"include": [17, 18]})
for parameters in asked:
    print("; ".join(parameters))
PYTHON
diff "$folder/seen" - <<'SEEN'
page: 1; search: tree?
include: [17, 18]; include: 17; include: 18
SEEN
