"""The commands about the policy file: check it, describe it, renew its exchange rates."""

import re
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from impactflow.cli import console
from impactflow.cli.command import DONE, UNDONE, Json, PolicyFile, ending, only

setup_app = typer.Typer()
policy_app = typer.Typer(no_args_is_help=True, help="Check the policy file, and say what it may hold.")


@setup_app.command(epilog="Example: impactflow init --store acme --orders-from webhooks --earns trees,donation")
@ending
def init(
    store: Annotated[
        str | None, typer.Option(metavar="NAME", help="The store's name; it must never change afterwards.")
    ] = None,
    orders_from: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="The source of orders: wickedreports, file or webhooks.")
    ] = None,
    earns: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="The impacts that each order earns: a list of trees, offset, donation."),
    ] = None,
    json: Json = False,
) -> int:
    """
    Ask what your orders shall earn and for the keys, write policy.yaml and .env into this folder, and check them.

    An answer that makes no sense is asked for again, a key may be left for later, and no file is overwritten.
    """
    from impactflow.cli.init import Answers, set_up, split

    return set_up(Answers(store, orders_from, split(earns) if earns else ()), as_json=json)


@setup_app.command(epilog="Example: impactflow plan --policy new.yaml --against policy.yaml --from 2025-01-01")
@ending
def plan(
    policy: PolicyFile = None,
    against: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Another policy: print the difference to it, too.")
    ] = None,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="DAY", help="First day of orders, UTC. Default: thirty days ago; of a file its first day."
        ),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(metavar="DAY", help="Last day of orders, included. Default: today, or the file's last."),
    ] = None,
    orders: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Read this CSV or JSON lines file of orders in the place of Wicked Reports."),
    ] = None,
    json: Json = False,
) -> int:
    """Say what a policy would have bought over past orders, and what that would have cost. Nothing is written."""
    from impactflow.cli.estimating import show_estimates
    from impactflow.clock import SystemClock
    from impactflow.settings import load_settings

    path = only("--policy", policy) or load_settings().impactflow_policy
    show_estimates([path, *([against] if against else [])], from_, to, orders, SystemClock(), as_json=json)
    return DONE


@setup_app.command(epilog="Example: impactflow campaigns")
@ending
def campaigns(json: Json = False) -> int:
    """List the campaigns that the account at ImpactAPI may give to, as a rule's `campaign` names them."""
    from impactflow.cli.campaigns import show_campaigns
    from impactflow.settings import load_settings

    show_campaigns(load_settings(), as_json=json)
    return DONE


@setup_app.command(epilog="Example: impactflow rates --ecb eurofxref.zip --currencies EUR --write")
@ending
def rates(
    ecb: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="The bank's file from www.ecb.europa.eu: eurofxref-daily.xml, eurofxref.zip or eurofxref-hist.zip.",
        ),
    ],
    on: Annotated[
        datetime | None,
        typer.Option(
            metavar="DAY",
            formats=["%Y-%m-%d"],
            help="Use the rates of this day, or of the last business day before this day.",
        ),
    ] = None,
    currencies: Annotated[
        str, typer.Option(metavar="EUR,GBP", help="Currencies besides those that the policy names.")
    ] = "",
    write: Annotated[
        bool, typer.Option("--write", help="Write the rates into the policy; without this option they are only shown.")
    ] = False,
    policy: PolicyFile = None,
    json: Json = False,
) -> int:
    """
    Write the policy's exchange rates, the first ones or new ones, from a file of the European Central Bank.

    The first time name your currencies, since a new policy names none: --currencies EUR,GBP.
    """
    from impactflow.cli.rates import renew_rates
    from impactflow.settings import load_settings

    if currencies and not re.fullmatch("[A-Z]{3}(,[A-Z]{3})*", currencies):
        raise typer.BadParameter(f"--currencies takes codes such as EUR,GBP, not {currencies!r}")
    asked = currencies.split(",") if currencies else []
    path = only("--policy", policy) or load_settings().impactflow_policy
    fine = renew_rates(ecb, on.date() if on else None, asked, path, write=write, as_json=json)
    return DONE if fine else UNDONE


@policy_app.command("check", epilog="Example: impactflow policy check policy.yaml")
@ending
def check(
    file: Annotated[Path | None, typer.Argument(help="The policy file; by default IMPACTFLOW_POLICY.")] = None,
    json: Json = False,
) -> int:
    """Read the policy file and say what it means, or where it is wrong. No provider is asked, nothing is changed."""
    from impactflow.cli.checking import check_policy
    from impactflow.settings import load_settings

    settings = load_settings()
    return check_policy(file or settings.impactflow_policy, settings, as_json=json)


@policy_app.command("schema", epilog="Example: impactflow policy schema > policy.schema.json")
@ending
def schema(json: Json = False) -> int:
    """Print the policy file's JSON Schema; with --json on one line."""
    from json import dumps

    from impactflow.policy import policy_schema

    if json:
        console.print_json(policy_schema())
    else:
        typer.echo(dumps(policy_schema(), indent=2, ensure_ascii=False))
    return DONE
