"""A proxy before Prefect's server that passes no websockets: everything works but events, and that is said."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from flow_runs import ROOT, Api
from processes import Impactflow, order, sandbox_thread

from impactflow.proof.programs import base_environment


@pytest.fixture
def api_url(server) -> Iterator[str]:
    """The API behind a proxy that speaks plain HTTP."""
    behind = httpx.Client(base_url=server.api_url.removesuffix("/api"), timeout=60, trust_env=False)

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if "upgrade" in {name.lower() for name in self.headers}:
                self.send_error(400)
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            kept = {name: self.headers[name] for name in ("Content-Type", "Authorization") if name in self.headers}
            answer = behind.request(self.command, self.path, content=body, headers=kept)
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers.get("content-type", "application/json"))
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_POST = do_PATCH = do_PUT = do_DELETE = do_GET  # noqa: N815 - as http.server calls them

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    thread = threading.Thread(target=proxy.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{proxy.server_address[1]}/api"
    proxy.shutdown()
    thread.join()
    proxy.server_close()
    behind.close()


def test_f4_a_run_whose_events_do_not_arrive_says_so_and_so_does_doctor(server, api_url, tmp_path):
    """The run itself buys and ends well."""
    with sandbox_thread([order(1)]) as sandbox:
        own = {
            "IMPACTFLOW_LEDGER_URL": f"sqlite:///{tmp_path / 'ledger.db'}",
            "IMPACTFLOW_POLICY": str(ROOT / "policy.yaml"),
            "PREFECT_API_URL": api_url,
        }
        command = Impactflow(tmp_path, {**base_environment(tmp_path), **sandbox.variables, **own})
        placed = command.run("place", "--json")
        behind, before = (
            command.run("doctor", "--json"),
            command.but(PREFECT_API_URL=server.api_url).run("doctor", "--json"),
        )
    assert 0 == placed.status, placed.err
    (report,) = Api(server).filter("artifacts", artifacts={"key": {"any_": ["place-impacts"]}}, sort="CREATED_DESC")[:1]
    assert "must pass websockets" in report["data"]
    assert ([False], [True]) == tuple(
        [each["ok"] for each in ended.json["checks"] if each["what"] == "prefect"][-1:] for ended in (behind, before)
    )
