"""The commands that read orders, buy and track purchases: each runs the flow of its name."""

from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from impactflow.cli.command import Json, Patience, PolicyFile, end, ending, only

if TYPE_CHECKING:
    from impactflow.buying.preview import DryBackfill, DryRun
    from impactflow.reports.reconciled import ReconcileOutcome
    from impactflow.reports.refunded import RefundsOutcome
    from impactflow.reports.summary import Outcome, TrackOutcome
    from impactflow.settings import Settings

buying_app = typer.Typer()

_LOOKING = "looking what would be bought"


@buying_app.command(
    epilog="Example: impactflow place --from 2025-01-01 --to 2025-01-31 --dry-run\n\n"
    "Example: impactflow place --orders orders.csv --dry-run\n\n"
    "Example: impactflow place --webhooks"
)
@ending
def place(
    from_: Annotated[str | None, typer.Option("--from", metavar="DAY", help="First day of orders, UTC.")] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="DAY", help="Last day, included.")] = None,
    policy: PolicyFile = None,
    orders: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Read orders from this CSV or JSON lines file, not from Wicked Reports."),
    ] = None,
    webhooks: Annotated[
        bool, typer.Option("--webhooks", help="Read no orders: buy only what webhook deliveries reported.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be bought; buy nothing.")] = False,
    patience: Patience = 30.0,
    json: Json = False,
) -> int:
    """Read new orders, buy what each has earned, once each, and report."""
    from impactflow.cli import ledgers, placing
    from impactflow.cli.prefect import run_flow
    from impactflow.settings import load_settings

    settings = load_settings()
    path, file = (
        only("--policy", policy) or settings.impactflow_policy,
        "" if orders is None else str(orders.absolute()),
    )
    if webhooks:
        if from_ or to or orders is not None:
            raise typer.BadParameter("--webhooks reads no orders, so it takes no --from, --to or --orders")
        if dry_run:
            return _end(placing.preview_deliveries(settings, path), settings, as_json=json)
        placing.check_sellers(settings, path)
        result = run_flow("place_events", "placing", policy_file=str(path), patience_s=patience)
        return _end(result, settings, as_json=json)
    ledgers.require_ledger_folder(settings)
    with ledgers.none_made(settings) if dry_run else nullcontext(settings) as used:
        days = placing.check(used, path, from_, to, file, dry_run=dry_run)
        result = run_flow(
            "place_impacts", _LOOKING if dry_run else "placing", from_day=days[0], to_day=days[1],
            policy_file=str(path), orders_file=file, dry_run=dry_run, patience_s=patience,
        )  # fmt: skip
    return _end(result, settings, as_json=json)


def _end(result: "Outcome | DryRun", settings: "Settings", *, as_json: bool) -> int:
    """Print the result of a run or of a dry run, and the ledger that it is in."""
    from impactflow.cli import console, placed
    from impactflow.ledger.location import describe

    ledger = describe(settings.impactflow_ledger_url)

    def show(result: "Outcome | DryRun") -> None:
        placed.show(result)
        console.out.print(f"Ledger: {ledger}", markup=False)

    return end(result, show, as_json=as_json, ledger=ledger)


@buying_app.command(epilog="Example: impactflow backfill --from 2024-01-01 --to 2024-12-31 --at-most 1000")
@ending
def backfill(
    from_: Annotated[str, typer.Option("--from", metavar="DAY", help="First day of orders, UTC.")],
    to: Annotated[str, typer.Option("--to", metavar="DAY", help="Last day, included; today at the latest.")],
    window_days: Annotated[
        int, typer.Option(metavar="N", min=1, help="Days that are read, planned and bought at a time.")
    ] = 7,
    at_most: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="The most placements that this run may plan; a later run plans the rest."
        ),
    ] = None,
    policy: PolicyFile = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what each window would buy; buy nothing.")] = False,
    patience: Patience = 30.0,
    json: Json = False,
) -> int:
    """Buy what the orders of a past range have earned, window by window. A later run continues where one has ended."""
    from impactflow.buying.backfill import choose_days
    from impactflow.cli import ledgers, placing
    from impactflow.cli.prefect import run_flow
    from impactflow.clock import SystemClock
    from impactflow.settings import load_settings

    settings = load_settings()
    path = only("--policy", policy) or settings.impactflow_policy
    ledgers.require_ledger_folder(settings)
    with ledgers.none_made(settings) if dry_run else nullcontext(settings) as used:
        from_day, to_day = placing.check(used, path, from_, to, dry_run=dry_run)
        if from_day and to_day:
            choose_days(from_day, to_day, SystemClock())
        result: Outcome | DryBackfill = run_flow(
            "backfill_orders", _LOOKING if dry_run else "backfilling", from_day=from_day, to_day=to_day,
            window_days=window_days, at_most=at_most, policy_file=str(path), dry_run=dry_run, patience_s=patience,
        )  # fmt: skip
    from impactflow.cli import placed

    return end(result, placed.show, as_json=json)


@buying_app.command(epilog="Example: impactflow track --wait 60")
@ending
def track(
    wait: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0,
            help="Keep checking until all purchases are complete, for at most this many seconds.",
        ),
    ] = 0.0,
    json: Json = False,
) -> int:
    """Ask the providers for the status of each purchase that is due for a check."""
    from impactflow.cli import ledgers
    from impactflow.cli.prefect import run_flow
    from impactflow.settings import load_settings

    ledgers.require(load_settings())
    from impactflow.cli import placed  # after the check, which a person need not wait for

    result: TrackOutcome = run_flow("track_placements", "tracking", wait_s=wait)
    return end(result, placed.show_tracked, as_json=json)


@buying_app.command(epilog="Example: impactflow refunds --dry-run")
@ending
def refunds(
    policy: PolicyFile = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="List what would be cancelled, as the orders were read last; change nothing."),
    ] = False,
    cancel_up_to: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            help="The most purchases that may be cancelled at each provider; where there are more, none is cancelled.",
            show_default="100",
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Ask again about what providers have refused to cancel.")
    ] = False,
    json: Json = False,
) -> int:
    """Read the last 60 days again, and undo what was bought for refunded orders, where the policy says so."""
    from impactflow.cli import ledgers, placing
    from impactflow.cli.prefect import run_flow
    from impactflow.settings import load_settings

    settings = load_settings()
    path = only("--policy", policy) or settings.impactflow_policy
    ledgers.require(settings)
    if dry_run:
        from impactflow.cli import undoing

        return undoing.show_list(settings, path, again=again, as_json=json)
    placing.check_policy(settings, path)
    from impactflow.buying.cancelling import CANCELLED_UNASKED  # after the checks, which a person need not wait for
    from impactflow.cli import placed

    up_to = CANCELLED_UNASKED if cancel_up_to is None else cancel_up_to
    result: RefundsOutcome = run_flow(
        "cancel_refunds", "undoing refunds", policy_file=str(path), cancel_up_to=up_to, again=again
    )
    return end(result, placed.show_refunded, as_json=json)


@buying_app.command(epilog="Example: impactflow reconcile --audit --from 2025-01-01 --to 2025-01-31")
@ending
def reconcile(
    audit: Annotated[
        bool, typer.Option("--audit", help="Then compare the ledger with the providers' own records.")
    ] = False,
    from_: Annotated[str | None, typer.Option("--from", metavar="DAY", help="First day of purchases, UTC.")] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="DAY", help="Last day, included.")] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Cancel proven duplicates, record proven purchases and cancellations.")
    ] = False,
    cancel_up_to: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            help="The most duplicates that may be cancelled at each provider; where there are more, none is cancelled.",
            show_default="5",
        ),
    ] = None,
    patience: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=0, help="Keep working while something is due within this many seconds."),
    ] = 30.0,
    json: Json = False,
) -> int:
    """Find out from the providers' own records what became of each placement in doubt; audit what was bought."""
    from impactflow.audit import CANCELLED_UNASKED, choose_window
    from impactflow.cli import ledgers
    from impactflow.cli.prefect import run_flow
    from impactflow.settings import load_settings

    if not audit and (from_ or to or repair):
        raise typer.BadParameter("--from, --to and --repair belong to --audit")
    window = choose_window(from_, to, today=datetime.now(UTC).date())
    ledgers.require(load_settings())
    result: ReconcileOutcome = run_flow(
        "reconcile_providers", "reconciling", patience_s=patience, audit=audit,
        from_day=window.from_ if from_ else None, to_day=window.to if to else None, repair=repair,
        cancel_up_to=CANCELLED_UNASKED if cancel_up_to is None else cancel_up_to,
    )  # fmt: skip
    from impactflow.cli import audited

    return end(result, audited.show, as_json=json)
