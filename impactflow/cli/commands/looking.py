"""The commands that show the state of things, and change nothing."""

from pathlib import Path
from typing import Annotated

import typer

from impactflow.cli import console
from impactflow.cli.command import DONE, Json, PolicyFile, Store, ending, only

looking_app = typer.Typer()


@looking_app.command(epilog="Example: impactflow status --json")
@ending
def status(
    totals: Annotated[bool, typer.Option("--totals", help="Also sum up what was bought, and at what price.")] = False,
    json: Json = False,
) -> int:
    """Count placements, list what needs attention, and say why things are held, not earned or refused."""
    from impactflow.cli.status import show_status

    return show_status(totals=totals, as_json=json)


@looking_app.command(epilog="Example: impactflow show WR-000017")
@ending
def show(
    order: Annotated[str, typer.Argument(help="Any name of the order: its Wicked Reports id, or src:SYSTEM:ID.")],
    store: Store = None,
    json: Json = False,
) -> int:
    """Show one order: what it earned or did not earn, and every event since."""
    from impactflow.cli.story import show_story

    show_story(order, store, as_json=json)
    return DONE


@looking_app.command(epilog="Example: impactflow caps")
@ending
def caps(policy: PolicyFile = None, json: Json = False) -> int:
    """Show how much of each of the policy's caps is used, what waits behind it, and when its next period begins."""
    from impactflow.cli.capping import show_caps
    from impactflow.clock import SystemClock

    show_caps(only("--policy", policy), SystemClock(), as_json=json)
    return DONE


@looking_app.command(epilog="Example: impactflow balance --slot trees")
@ending
def balance(
    slot: Annotated[str | None, typer.Option(metavar="SLOT", help="Only this slot.")] = None,
    json: Json = False,
) -> int:
    """Show what is owed, bought, waiting and credited in each slot, and whether the sums agree; ends with 1 if not."""
    from impactflow.cli.balancing import show_balances

    return show_balances(slot, as_json=json)


@looking_app.command(epilog="Example: impactflow doctor")
@ending
def doctor(
    policy: PolicyFile = None,
    json: Json = False,
) -> int:
    """Check the settings, the policy, the ledger, and each key and URL with a harmless call."""
    from impactflow import stopping
    from impactflow.cli.doctor import examine, show_findings

    with console.waiting_for("the providers and the shop"):
        findings = stopping.run(examine(only("--policy", policy)))
    if json:
        console.print_json({"checks": findings, "ok": all(finding["ok"] for finding in findings)})
    else:
        show_findings(findings)
    return max((finding["status"] for finding in findings), default=DONE)


@looking_app.command(epilog="Example: impactflow backup impactflow-2025-01-31.db")
@ending
def backup(
    file: Annotated[Path, typer.Argument(help="The path of the copy; no file may be there yet.")],
    json: Json = False,
) -> int:
    """Copy a SQLite ledger, also while runs write to it; for Postgres, name the command that makes a copy."""
    from impactflow.ledger.location import back_up, describe
    from impactflow.settings import load_settings

    url = load_settings().impactflow_ledger_url
    back_up(url, file)
    if json:
        console.print_json({"ledger": describe(url), "backup": str(file.absolute())})
    else:
        console.out.print(f"{describe(url)} is copied to {file.absolute()}", markup=False)
    return DONE
