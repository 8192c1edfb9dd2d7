"""The commands that serve: pretend providers, deployments, everything together; and the demo, which needs no keys."""

from typing import Annotated

import typer

from impactflow.cli.command import Json, ending

serving_app = typer.Typer()


@serving_app.command(epilog="Example: impactflow demo --orders 50")
@ending
def demo(
    orders: Annotated[
        int, typer.Option(min=1, max=100_000, help="Number of orders that the pretend shop has sold.")
    ] = 200,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 7,
    json: Json = False,
) -> int:
    """Run the whole job against the sandbox, with faults, no keys and nothing to set up."""
    from impactflow.cli.demo import run_demo

    return run_demo(orders, seed, as_json=json)


@serving_app.command(epilog="Example: impactflow sandbox --port 8123 --faults rough --metadata ignored")
@ending
def sandbox(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0: any free port.")] = 0,
    orders: Annotated[int, typer.Option(min=0, help="Number of orders that the shop has sold.")] = 200,
    days: Annotated[
        int, typer.Option(min=1, max=365, help="Number of days up to now over which the orders were sold.")
    ] = 7,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    faults: Annotated[
        str, typer.Option(help="Faults and their shares, such as none, rough, lost_answer=0.05,cnaught.hang=0.01.")
    ] = "none",
    metadata: Annotated[str, typer.Option(help="Metadata at 1ClickImpact: echo (returned) or ignored.")] = "echo",
    latency_ms: Annotated[float, typer.Option(min=0, help="Milliseconds that each answer takes.")] = 0.0,
    speed: Annotated[float, typer.Option(min=0.001, help="Factor by which weeks pass faster than in life.")] = 1.0,
    rate: Annotated[int, typer.Option(min=1, help="Requests per minute that Wicked Reports accepts.")] = 120,
    late: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="The longest delay of a late effect or record; the settling time must be longer.",
        ),
    ] = 1.0,
    hang: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="Seconds that a hanging request hangs.")] = 60.0,
    poor: Annotated[
        str, typer.Option(help="Fields that answers leave out, such as late_intents,metadata_dropped.")
    ] = "",
    unpaid: Annotated[
        float,
        typer.Option(min=0, metavar="SECONDS", help="Seconds at the start in which the accounts cannot pay (402)."),
    ] = 0.0,
    json: Json = False,
) -> int:
    """Serve the four pretend providers on loopback, and print the environment that points at them."""
    from impactflow.cli.sandbox import serve_sandbox

    if metadata not in {"echo", "ignored"}:
        msg = f"--metadata must be echo or ignored, not {metadata!r}"
        raise typer.BadParameter(msg)
    return serve_sandbox(
        port=port, orders=orders, days=days, seed=seed, faults=faults, metadata=metadata, latency_s=latency_ms / 1000,
        speed=speed, rate=rate, hang_s=hang, late_s=late, poor=poor, unpaid_s=unpaid, as_json=json,
    )  # fmt: skip


@serving_app.command(epilog="Example: impactflow serve")
@ending
def serve(json: Json = False) -> int:
    """Register all deployments of prefect.yaml at PREFECT_API_URL, and run their flows on this machine."""
    from impactflow.cli.serve import serve_deployments

    return serve_deployments(as_json=json)


@serving_app.command(epilog="Example: impactflow register")
@ending
def register(json: Json = False) -> int:
    """Register all deployments of prefect.yaml at PREFECT_API_URL; what a person has paused or added there stays."""
    from impactflow.cli.registering import run_register

    return run_register(as_json=json)


@serving_app.command(epilog="Example: impactflow automations --notify slack-webhook/impactflow")
@ending
def automations(
    notify: Annotated[
        str | None, typer.Option(metavar="TYPE/NAME", help="The notification block of Prefect that sends the messages.")
    ] = None,
    vanished_after: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=31,
            help="Seconds without a sign of life until a run counts as vanished; a sign comes every 30.",
        ),
    ] = 300.0,
    pending_after: Annotated[
        float, typer.Option(metavar="SECONDS", min=10, help="Seconds that a run may take to start.")
    ] = 300.0,
    check: Annotated[
        bool, typer.Option("--check", help="Send a test message through the block, and say what came back.")
    ] = False,
    json: Json = False,
) -> int:
    """Install automations at PREFECT_API_URL that mark vanished runs as crashed and notify people."""
    from impactflow.cli.automations import install_automations

    if check and not notify:
        raise typer.BadParameter("--check sends a test through a block: give --notify TYPE/NAME too")
    return install_automations(notify, vanished_after, pending_after, check=check, as_json=json)


@serving_app.command(epilog="Example: impactflow up")
@ending
def up(json: Json = False) -> int:
    """Start Prefect with its pages, the deployments, the receiver and the sandbox on this machine, without keys."""
    from impactflow.cli.up import run_up

    return run_up(as_json=json)
