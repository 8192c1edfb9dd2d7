"""The commands about the policy file: check it, describe it, renew its exchange rates."""

import re
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from impactflow.cli import console
from impactflow.cli.command import DONE, UNDONE, Json, ending

setup_app = typer.Typer()
policy_app = typer.Typer(no_args_is_help=True, help="Check the policy file, and say what it may hold.")


@setup_app.command(epilog="Example: impactflow rates --ecb eurofxref.zip --write")
@ending
def rates(
    ecb: Annotated[
        Path,
        typer.Option(metavar="FILE", help="Downloaded: eurofxref-daily.xml, eurofxref.zip, eurofxref-hist.zip."),
    ],
    on: Annotated[
        datetime | None,
        typer.Option(
            metavar="DAY", formats=["%Y-%m-%d"], help="Rates of this day, or of the last business day before it."
        ),
    ] = None,
    currencies: Annotated[
        str, typer.Option(metavar="EUR,GBP", help="Currencies besides those that the policy names.")
    ] = "",
    write: Annotated[
        bool, typer.Option("--write", help="Write the rates into the policy; without, they are only shown.")
    ] = False,
    policy: Annotated[Path | None, typer.Option(metavar="FILE", help="Default: IMPACTFLOW_POLICY.")] = None,
    json: Json = False,
) -> int:
    """Renew the policy's exchange rates from the European Central Bank's reference rates."""
    from impactflow.cli.rates import renew_rates
    from impactflow.settings import load_settings

    if currencies and not re.fullmatch("[A-Z]{3}(,[A-Z]{3})*", currencies):
        raise typer.BadParameter(f"--currencies takes codes such as EUR,GBP, not {currencies!r}")
    asked = currencies.split(",") if currencies else []
    path = policy or load_settings().impactflow_policy
    fine = renew_rates(ecb, on.date() if on else None, asked, path, write=write, as_json=json)
    return DONE if fine else UNDONE


@policy_app.command("schema", epilog="Example: impactflow policy schema > policy.schema.json")
@ending
def schema() -> int:
    """Print the policy file's JSON Schema."""
    from impactflow.policy import policy_schema

    console.print_json(policy_schema())
    return DONE
