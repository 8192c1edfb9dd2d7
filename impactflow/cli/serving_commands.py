"""The commands that serve: pretend providers, deployments, all of it; and demo and proof, which need no keys."""

from typing import Annotated

import typer

from impactflow.cli.command import Json, ending

serving_app = typer.Typer()


@serving_app.command(epilog="Example: impactflow demo --orders 50")
@ending
def demo(
    orders: Annotated[int, typer.Option(min=1, max=100_000, help="How many orders the pretend shop has sold.")] = 200,
    seed: Annotated[int, typer.Option(help="What chance follows from.")] = 7,
    json: Json = False,
) -> int:
    """Run the whole job against the sandbox, with faults, no keys and nothing to set up."""
    from impactflow.cli.demo import run_demo

    return run_demo(orders, seed, as_json=json)


@serving_app.command(
    epilog="Example: impactflow prove --seeds 100000 --healthy-seeds 10000 --process-seconds 0 --baseline-orders 0"
)
@ending
def prove(
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds are simulated.")] = 1_000,
    first_seed: Annotated[
        int, typer.Option(min=0, help="Where they begin; take one of your own: those from 0 were tried before.")
    ] = 0,
    healthy_seeds: Annotated[int, typer.Option(min=0, help="How many where nothing goes wrong; 0: none.")] = 500,
    process_seconds: Annotated[
        float,
        typer.Option(min=0, help="How long real processes take in all; below 50 few are killed; 0: not tried."),
    ] = 50,
    baseline_orders: Annotated[int, typer.Option(min=0, help="Orders of each usual alternative; 0: none.")] = 30,
    plant: Annotated[bool, typer.Option(help="Plant bugs that must be noticed.")] = True,
    json: Json = False,
) -> int:
    """Try to break the promise: simulated seeds, a crash at every boundary, planted bugs, killed processes."""
    from impactflow.cli.prove import run_proof
    from impactflow.proof.prove import Size

    size = Size(first_seed, seeds, healthy_seeds, process_seconds, baseline_orders, planted_bugs=plant)
    return run_proof(size, as_json=json)


@serving_app.command(epilog="Example: impactflow sandbox --port 8123 --faults rough --metadata ignored")
@ending
def sandbox(
    port: Annotated[int, typer.Option(min=0, max=65535, help="On 127.0.0.1; 0 for any free one.")] = 0,
    orders: Annotated[int, typer.Option(min=0, help="How many orders the shop has sold.")] = 200,
    days: Annotated[int, typer.Option(min=1, max=365, help="Over how many days up to now.")] = 7,
    seed: Annotated[int, typer.Option(help="What chance follows from.")] = 0,
    faults: Annotated[str, typer.Option(help="Such as none, rough, lost_answer=0.05,cnaught.hang=0.01.")] = "none",
    metadata: Annotated[str, typer.Option(help="Whether 1ClickImpact returns it: echo or ignored.")] = "echo",
    latency_ms: Annotated[float, typer.Option(min=0, help="How long each answer takes.")] = 0.0,
    speed: Annotated[float, typer.Option(min=0.001, help="How many times faster than life weeks pass.")] = 1.0,
    rate: Annotated[int, typer.Option(min=1, help="Requests a minute that Wicked Reports takes.")] = 120,
    late: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="The longest that something late takes; settle later.")
    ] = 1.0,
    hang: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="How long a hanging request hangs.")] = 60.0,
    poor: Annotated[str, typer.Option(help="What answers leave out, such as late_intents,metadata_dropped.")] = "",
    unpaid: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="How long the accounts cannot pay (402) at first.")
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
    """Register all deployments of prefect.yaml at PREFECT_API_URL, and run what they are asked to, on this machine."""
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
        str | None, typer.Option(metavar="TYPE/NAME", help="The block of Prefect's by which people are told.")
    ] = None,
    vanished_after: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=31, help="How long a run may show no sign of life; one comes every 30."),
    ] = 300.0,
    pending_after: Annotated[
        float, typer.Option(metavar="SECONDS", min=10, help="How long a run may take to start.")
    ] = 300.0,
    check: Annotated[
        bool, typer.Option("--check", help="Send a test message through the block, and say what came back.")
    ] = False,
    json: Json = False,
) -> int:
    """Install at PREFECT_API_URL what marks runs that vanished and tells people; doing it again is harmless."""
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
