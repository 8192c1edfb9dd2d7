"""Serve the sandbox as a process of its own."""

import asyncio
from datetime import UTC, datetime
from typing import Any, Literal, cast

import typer

from impactflow.cli.console import err, out, print_json
from impactflow.sandbox import WEAKNESSES, Faults, Options, Sandbox, environment, generate_orders
from impactflow.sandbox.orders import CONVERTIBLE_CURRENCIES
from impactflow.sandbox.server import serve
from impactflow.stopping import Stopped, run


def serve_sandbox(
    *,
    port: int,
    orders: int,
    days: int,
    faults: str,
    seed: int,
    metadata: str,
    poor: str,
    rate: int,
    as_json: bool,
    **rest: Any,
) -> int:
    """
    Serve until a signal comes; the first line on standard output is the environment, printed once it listens.

    Raises:
        typer.BadParameter: An argument is wrong, or the port is taken.
    """
    poorness = frozenset(filter(None, (name.strip() for name in poor.split(","))))
    if unknown := poorness - WEAKNESSES.keys():
        msg = f"--poor: {', '.join(sorted(unknown))} is unknown; there are {', '.join(WEAKNESSES)}"
        raise typer.BadParameter(msg)
    try:
        options = Options(
            seed=seed,
            faults=Faults.parse(faults),
            metadata=cast("Literal['echo', 'ignored']", metadata),
            wicked_reports_per_minute=rate,
            poor=poorness,
            **rest,
        )
    except ValueError as wrong:
        msg = f"--faults: {wrong}"
        raise typer.BadParameter(msg) from None
    sold = generate_orders(orders, seed, datetime.now(UTC), days, currencies=CONVERTIBLE_CURRENCIES)
    try:
        run(_serve(Sandbox(options, orders=sold), port, as_json=as_json))
    except OSError as taken:
        msg = f"--port {port}: {taken.strerror}"
        raise typer.BadParameter(msg) from None
    except Stopped as stopped:
        return stopped.exit_status
    return 0


async def _serve(sandbox: Sandbox, port: int, *, as_json: bool) -> None:
    async with serve(sandbox, port) as base_url:
        variables = environment(base_url)
        if as_json:
            print_json(variables)
        else:
            for name, value in variables.items():
                out.print(f"export {name}={value}", markup=False, soft_wrap=True)  # to be copied as it is
            out.file.flush()
            err.print(f"[dim]serving on {base_url}; books at {base_url}/_sandbox/books; Ctrl-C ends it[/dim]")
        await asyncio.Event().wait()  # until a signal cancels it
