"""Serve the receiver of webhooks."""

import asyncio
import logging
import socket
import sys
from contextlib import nullcontext, suppress

import typer

from impactflow.callbacks import CALLBACK_PATH
from impactflow.cli.console import err, out, print_json
from impactflow.clock import SystemClock
from impactflow.errors import ConfigurationError
from impactflow.intake.senders.mapping import load_senders
from impactflow.ledger import Ledger
from impactflow.policy import load_policy
from impactflow.reports.standing import takes_up_deliveries
from impactflow.settings import Settings, load_prefect_api, load_settings
from impactflow.stopping import Stopped
from impactflow.taskgroup import together
from impactflow.webhooks.app import make_app
from impactflow.webhooks.arrivals import Arrivals
from impactflow.webhooks.bounds import Bounds
from impactflow.webhooks.refusals import Refusals
from impactflow.webhooks.server import listen, serve
from impactflow.webhooks.sources import CNAUGHT, Secrets
from impactflow.webhooks.trigger import Trigger, open_prefect_api

#: The longest time for writing the last counts of refused deliveries, in seconds.
_LAST_S = 1.0


def serve_webhooks(host: str, port: int, *, as_json: bool) -> int:
    """
    Serve until a signal comes, and finish storing deliveries; the addresses are printed once the receiver listens.

    Raises:
        ConfigurationError: A setting or the policy is wrong, or no secret is set.
        LedgerError: The ledger cannot be opened.
        typer.BadParameter: The port is taken.
    """
    settings = load_settings()
    secrets = Secrets.of(settings, load_senders(settings.impactflow_senders).schemes)
    if not secrets.served:
        variables = ", ".join(secrets.not_served.values())
        raise ConfigurationError(f"no webhook can be proven: set at least one of {variables}")
    store = load_policy(settings.impactflow_policy).store
    try:
        at = listen(host, port)
    except OSError as taken:
        raise typer.BadParameter(f"--host {host} --port {port}: {taken.strerror}") from None
    with at, Ledger.open(settings.impactflow_ledger_url) as ledger:
        try:
            asyncio.run(_serve(settings, secrets, store, ledger, at, as_json=as_json))
        except Stopped as stopped:
            return stopped.exit_status
    return 0


async def _serve(
    settings: Settings, secrets: Secrets, store: str, ledger: Ledger, at: socket.socket, *, as_json: bool
) -> None:
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("impactflow").setLevel(logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.ERROR)  # malformed requests are answered, not logged
    # The ledger's thread asks the loop to give way after each statement; the default of 5 ms is as long as a commit.
    sys.setswitchinterval(0.0005)
    clock = SystemClock()
    bounds, refusals = Bounds(max_bytes=settings.impactflow_webhooks_max_bytes), Refusals(ledger, store, clock)
    arrivals = Arrivals(clock)
    app = make_app(ledger, store, secrets, clock, bounds, refusals, arrivals)
    async with open_prefect_api(load_prefect_api()) or nullcontext() as api, together() as tasks:
        triggering = tasks.create_task(Trigger(ledger, store, api).go_on(clock)) if api else None
        if triggering is None:
            err.print(
                f"[dim]PREFECT_API_URL is not set: what comes waits for the next {takes_up_deliveries(settings)}, or"
                " the schedule of place_events[/dim]"
            )
        counting = [tasks.create_task(each.go_on()) for each in (refusals, arrivals)]
        try:
            await serve(app, at, lambda: _show(settings, secrets, at, as_json=as_json))
        finally:
            await _keep_last(refusals)
        for each in counting:
            each.cancel()
        if triggering is not None:
            triggering.cancel()


async def _keep_last(refusals: Refusals) -> None:
    """Write the refusals since the last write, unless the ledger is slow: the receiver's end waits no longer."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_LAST_S):
            await refusals.flush()


def _show(settings: Settings, secrets: Secrets, at: socket.socket, *, as_json: bool) -> None:
    host, port = at.getsockname()[:2]
    here = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    base = settings.impactflow_webhooks_url or here
    addresses = {
        source: base + (CALLBACK_PATH if source == CNAUGHT else f"/webhooks/{source}") for source in secrets.served
    }
    if as_json:
        print_json({"url": here, "addresses": addresses, "not_served": secrets.not_served})
        return
    for source, address in addresses.items():
        out.print(f"{source}: {address}", markup=False)
    for source, variable in secrets.not_served.items():
        out.print(f"{source}: not served, {variable} is not set", markup=False)
    out.file.flush()
    err.print(f"[dim]serving on {here}; {here}/health says whether the ledger answers; Ctrl-C ends it[/dim]")
