"""
The commands ``impactflow prove`` and ``impactflow month``.

The program adds them to the others at its start: the proof runs the others, so this module lies above them.
"""

from typing import Annotated

import typer

from impactflow.cli.command import Json, ending

proof_app = typer.Typer()


@proof_app.command(
    epilog="Example: impactflow prove --seeds 100000 --healthy-seeds 10000 --process-seconds 0 --baseline-orders 0"
)
@ending
def prove(
    seeds: Annotated[int, typer.Option(min=1, help="Number of simulated seeds.")] = 1_000,
    first_seed: Annotated[
        int, typer.Option(min=0, help="The first seed; choose one of your own, because those from 0 were tried before.")
    ] = 0,
    healthy_seeds: Annotated[
        int, typer.Option(min=0, help="Number of seeds in which nothing goes wrong; 0: none.")
    ] = 500,
    process_seconds: Annotated[
        float,
        typer.Option(min=0, help="Seconds that real processes run in all; below 50 few are killed; 0: none run."),
    ] = 50,
    baseline_orders: Annotated[
        int, typer.Option(min=0, help="Number of orders for each usual alternative; 0: none.")
    ] = 30,
    plant: Annotated[bool, typer.Option(help="Plant bugs that the seeds must notice.")] = True,
    json: Json = False,
) -> int:
    """Try to break the promise: simulated seeds, a crash at every boundary, planted bugs, killed processes."""
    from impactflow.proof.prove import Size
    from impactflow.proof.showing import run_proof

    size = Size(first_seed, seeds, healthy_seeds, process_seconds, baseline_orders, planted_bugs=plant)
    return run_proof(size, as_json=json)


@proof_app.command(epilog="Example: impactflow month")
@ending
def month(json: Json = False) -> int:
    """Play a month of a made-up merchant in seconds: purchases, refunds, credit and a cap, compared with the books."""
    from impactflow.proof.month import run_month

    return run_month(as_json=json)
