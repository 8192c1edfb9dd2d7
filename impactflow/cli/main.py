"""The commands; each translates its arguments, has the work done, prints the result and says what is left undone."""

import os
import re
import sys
from contextlib import nullcontext
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from impactflow import stopping
from impactflow.adoption import PurchasesUnknown
from impactflow.approval import Answer
from impactflow.approval import Decision as Approval
from impactflow.audit import CANCELLED_UNASKED, choose_window
from impactflow.backfill import choose_days
from impactflow.cli import approve as approving
from impactflow.cli import audited, console, ledgers, placing, story
from impactflow.cli import dismiss as dismissing
from impactflow.cli.command import DONE, MISUSED, UNDONE, Json, Store, ending, whoever_types
from impactflow.cli.prefect import run_flow
from impactflow.cli.webhook_commands import webhooks_app
from impactflow.clients.proxies import spare_loopback
from impactflow.clock import SystemClock
from impactflow.errors import MISUSES, ConfigurationError, ImpactError
from impactflow.ledger import Ledger, Status
from impactflow.ledger.location import back_up, describe
from impactflow.models import ProviderName, Unit
from impactflow.outcome import Standing, by_provider, in_standings
from impactflow.planning import unread
from impactflow.policy import load_policy, policy_schema
from impactflow.ruling import OPEN_TO_RULING, Decision, Ruled, Ruling, settle_by_ruling
from impactflow.run import open_run
from impactflow.settings import load_settings
from impactflow.units import shown

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Make every order do some good: at most one purchase per order and slot, each one found and recorded.",
)
policy_app = typer.Typer(no_args_is_help=True, help="What the policy file may say.")
app.add_typer(policy_app, name="policy")
app.add_typer(webhooks_app, name="webhooks")

_STOPPED = "stopped; run it again to go on where it ended"
#: What typer raises for arguments that make no sense; where it lies differs between typer's releases.
_UsageError: Any = typer.BadParameter.__base__


def main() -> NoReturn:
    """Run a command; typed errors become one line and an exit status, never a traceback."""
    as_json = "--json" in sys.argv[1:]
    spare_loopback(os.environ)
    try:
        with stopping.raising():
            sys.exit(app(standalone_mode=False))
    except _UsageError as misuse:
        if as_json:
            sys.exit(_fail(misuse.format_message(), MISUSED, as_json=True))
        misuse.show()  # who mistypes is shown the usage; a program gets its one object
        sys.exit(MISUSED)
    except ImpactError as error:
        misused = isinstance(error, MISUSES)
        more = error.told if isinstance(error, PurchasesUnknown) else {}
        sys.exit(_fail(str(error), MISUSED if misused else UNDONE, as_json=as_json, **more))
    except stopping.Stopped as stopped:
        sys.exit(_fail(_STOPPED, stopped.exit_status, as_json=as_json))


def _fail(message: str, status: int, *, as_json: bool, **more: Any) -> int:
    if as_json:
        console.print_json({"error": message, **more})
    console.err.print("[bold red]error:[/bold red]", end=" ")
    console.err.print(message, markup=False)
    return status


@app.command(epilog="Example: impactflow place --from 2025-01-01 --to 2025-01-31 --dry-run")
@ending
def place(
    from_: Annotated[str | None, typer.Option("--from", metavar="DAY", help="First day of orders, UTC.")] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="DAY", help="Last day, included.")] = None,
    policy: Annotated[Path | None, typer.Option(metavar="FILE", help="Default: IMPACTFLOW_POLICY.")] = None,
    orders: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Read orders from this CSV or JSON lines file, not from Wicked Reports."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be bought; buy nothing.")] = False,
    patience: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="Go on until what is due lies further off than this.")
    ] = 30.0,
    json: Json = False,
) -> int:
    """Read new orders, buy what each has earned, once each, and report."""
    settings = load_settings()
    path, file = policy or settings.impactflow_policy, "" if orders is None else str(orders.absolute())
    with ledgers.none_made(settings) if dry_run else nullcontext(settings) as used:
        days = placing.check(used, path, from_, to, file)
        result = run_flow(
            "place_impacts", "placing", from_day=days[0], to_day=days[1], policy_file=str(path), orders_file=file,
            dry_run=dry_run, patience_s=patience,
        )  # fmt: skip
    ledger = describe(settings.impactflow_ledger_url)
    if json:
        console.print_json(result | {"ledger": ledger})
    elif dry_run:
        _tell_preview(result)
    else:
        _tell_placed(result)
    if not json:
        console.out.print(f"Ledger: {ledger}", markup=False)
    if dry_run:
        return UNDONE if result["may_be_missing"] else DONE
    return _status_of(result)


@app.command(epilog="Example: impactflow backfill --from 2024-01-01 --to 2024-12-31 --at-most 1000")
@ending
def backfill(
    from_: Annotated[str, typer.Option("--from", metavar="DAY", help="First day of orders, UTC.")],
    to: Annotated[str, typer.Option("--to", metavar="DAY", help="Last day, included; today at the latest.")],
    window_days: Annotated[int, typer.Option(metavar="N", min=1, help="Days read, planned and bought at a time.")] = 7,
    at_most: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Placements that this run may plan; the rest is left.")
    ] = None,
    policy: Annotated[Path | None, typer.Option(metavar="FILE", help="Default: IMPACTFLOW_POLICY.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what each window would buy; buy nothing.")] = False,
    patience: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="Go on until what is due lies further off than this.")
    ] = 30.0,
    json: Json = False,
) -> int:
    """Buy what the orders of a past range have earned, window by window; run again, it goes on where it ended."""
    settings = load_settings()
    path = policy or settings.impactflow_policy
    from_day, to_day = placing.check(settings, path, from_, to)
    if from_day and to_day:
        choose_days(from_day, to_day, SystemClock())
    result = run_flow(
        "backfill_orders", "backfilling", from_day=from_day, to_day=to_day, window_days=window_days, at_most=at_most,
        policy_file=str(path), dry_run=dry_run, patience_s=patience,
    )  # fmt: skip
    if json:
        console.print_json(result)
    elif dry_run:
        _tell_previews(result)
    else:
        console.out.print(result["backfill"]["said"], markup=False)
        _tell_placed(result)
    if dry_run:
        return DONE
    return _status_of(result) or (UNDONE if result["backfill"]["left_from"] else DONE)


@app.command(epilog="Example: impactflow track --wait 60")
@ending
def track(
    wait: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="Go on until all are complete.")] = 0.0,
    json: Json = False,
) -> int:
    """Ask where everything is that was bought: one pass over what is due."""
    result = run_flow("track_placements", "tracking", wait_s=wait)
    if json:
        console.print_json(result)
    else:
        console.out.print(
            f"{result['checked']} looks, {result['completed']} completed, {result['open']} still open."
            f" Report: {result['report']}"
        )
    if result["refused_keys"]:
        return _fail_after_result(result["left_alone"])
    failed = bool(result["left_alone"] or result["unanswered"] or (wait and result["open"]))
    return UNDONE if failed else DONE


@app.command(epilog="Example: impactflow reconcile --audit --from 2025-01-01 --to 2025-01-31")
@ending
def reconcile(
    audit: Annotated[bool, typer.Option("--audit", help="Then compare with the providers' own records.")] = False,
    from_: Annotated[str | None, typer.Option("--from", metavar="DAY", help="First day of purchases, UTC.")] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="DAY", help="Last day, included.")] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Cancel proven duplicates, record proven purchases and cancellations.")
    ] = False,
    cancel_up_to: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, help="Duplicates that may be cancelled at each provider; none is if there are more."
        ),
    ] = CANCELLED_UNASKED,
    patience: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="How long to wait for what is due.")] = 30.0,
    json: Json = False,
) -> int:
    """Settle what is in doubt, from the providers' own records; audit what was bought."""
    if not audit and (from_ or to or repair):
        raise typer.BadParameter("--from, --to and --repair belong to --audit")
    window = choose_window(from_, to, today=datetime.now(UTC).date())
    result = run_flow(
        "reconcile_providers", "settling", patience_s=patience, audit=audit, from_day=window.from_ if from_ else None,
        to_day=window.to if to else None, repair=repair, cancel_up_to=cancel_up_to,
    )  # fmt: skip
    if json:
        console.print_json(result)
    else:
        _tell_placed(result)
        if audit:
            audited.tell(result["audit"])
    return _status_of_reconciled(result)


def _status_of_reconciled(result: dict[str, Any]) -> int:
    audits = result["audit"]["providers"] if "audit" in result else {}
    halted = {name: tally["halted"] for name, tally in audits.items() if tally["halted"]} | result["left_alone"]
    if result["refused_keys"] or (audits and result["audit"]["refused_keys"]):
        return _fail_after_result("; ".join(halted.values()))
    placements = result["all_placements"]
    disagrees = bool(audits and result["audit"]["remaining"])
    return UNDONE if placements["in_doubt"] or placements["parked"] or halted or disagrees else DONE


@app.command(epilog="Example: impactflow settle WR-000017 trees --as bought --ref 'U1000|2025-01-31T12:00:00.000Z'")
@ending
def settle(
    order: Annotated[str, typer.Argument(help="Any name the order goes by.")],
    slot: Annotated[str, typer.Argument(help="Which of its placements, as the policy names it.")],
    decision: Annotated[
        Decision,
        typer.Option("--as", help="What became of it: not-bought sends it again, given-up cancels it."),
    ],
    ref: Annotated[str, typer.Option(metavar="REF", help="The provider's name for what was bought.")] = "",
    why: Annotated[str, typer.Option(metavar="TEXT", help="How you know; kept in the ledger.")] = "",
    by: Annotated[str, typer.Option(metavar="NAME", help="Who decides; by default who is logged in.")] = "",
    store: Store = None,
    json: Json = False,
) -> int:
    """Settle a parked or failed placement as you have found out; the provider's records are asked if it can be so."""
    ruled = stopping.run(_rule(Ruling(order, slot, decision, by or whoever_types(), why, ref, store)))
    if json:
        console.print_json(ruled.as_json())
    else:
        console.out.print(ruled.in_words(), markup=False)
    return DONE


async def _rule(ruling: Ruling) -> Ruled:
    async with open_run(load_settings(), "settle") as run:
        return await settle_by_ruling(run.ledger, run.provider, run.clock, run.terms, run.id, ruling)


@app.command(epilog="Example: impactflow approve WR-000017 trees --at-most 20 --why 'a wholesaler'")
@ending
def approve(
    order: Annotated[
        str, typer.Argument(help="Any name the order goes by; without one, all that awaits is listed.")
    ] = "",
    slot: Annotated[str, typer.Argument(help="Which of its placements, as the policy names it.")] = "",
    at_most: Annotated[
        float | None, typer.Option(metavar="QUANTITY", min=0, help="Buy no more than this, in the unit that is listed.")
    ] = None,
    reject: Annotated[bool, typer.Option("--reject", help="Buy nothing, unless the order changes.")] = False,
    why: Annotated[str, typer.Option(metavar="TEXT", help="For what reason; kept in the ledger.")] = "",
    by: Annotated[str, typer.Option(metavar="NAME", help="Who decides; by default who is logged in.")] = "",
    store: Store = None,
    json: Json = False,
) -> int:
    """Approve what exceeds the policy's limit, so that the next run buys it; or trim, reject or list it."""
    if not order:
        if at_most is not None or reject or why or by:
            raise typer.BadParameter("give ORDER and SLOT too: `impactflow approve` lists them")
        return UNDONE if approving.tell_awaiting(store, as_json=json) else DONE
    if not slot:
        raise typer.BadParameter("give the order's SLOT too: `impactflow approve` lists them")
    if reject and at_most is not None:
        raise typer.BadParameter("--reject buys nothing, so it takes no --at-most")
    decision = Approval.REJECT if reject else Approval.APPROVE if at_most is None else Approval.TRIM
    quantity = None if at_most is None else Decimal(str(at_most))
    approving.decide(order, slot, store, Answer(decision, by or whoever_types(), why, quantity), as_json=json)
    return DONE


@app.command(epilog="Example: impactflow dismiss polar:0b1c --why 'a test order'")
@ending
def dismiss(
    name: Annotated[str, typer.Argument(help="What could not be read, as `impactflow status` lists it.")],
    why: Annotated[str, typer.Option(metavar="TEXT", help="Why nothing is to be done; kept in the ledger.")],
    by: Annotated[str, typer.Option(metavar="NAME", help="Who says so; by default who is logged in.")] = "",
    store: Store = None,
    json: Json = False,
) -> int:
    """Take an order or a webhook's delivery that could not be read off the list; another problem shows it again."""
    dismissing.dismiss(name, why, by or whoever_types(), store, SystemClock(), as_json=json)
    return DONE


def _status_of(result: dict[str, Any]) -> int:
    if result["refused_keys"]:
        return _fail_after_result("; ".join(result["left_alone"].values()))
    return UNDONE if result["undone"] else DONE


def _fail_after_result(message: str) -> int:
    """A provider did not accept its key. The result is printed already: with ``--json`` no second object follows it."""
    return _fail(message, MISUSED, as_json=False)


def _tell_preview(result: dict[str, Any]) -> None:
    orders = result["orders"]
    console.out.print(result["window"])
    console.out.print(
        f"Dry run, nothing was bought: of {orders['read']} orders {orders['eligible']} count;"
        f" {result['would_place']} placements would be made, {result['would_await_approval']} would await approval,"
        f" {result['would_hold']} would be held."
    )
    if result["may_be_missing"]:
        console.out.print(f"No two readings of the orders agreed: {result['may_be_missing']} or more may be missing.")
    if orders["broken"]:
        console.out.print(f"{orders['broken']} orders cannot be read, and would earn nothing:")
    for problem in result["problems"][:20]:
        console.out.print(f"  {problem}", markup=False)
    for note in (*result["notes"], *result["wrong_options"]):
        console.out.print(note, markup=False)
    console.print_table("Would be bought", [_readable(row) for row in result["totals"]])
    console.print_table("The first of them", [_readable(row) for row in result["lines"][:20]])
    console.print_table("Would earn nothing", result["not_earned"])


def _tell_previews(result: dict[str, Any]) -> None:
    for window in result["windows"]:
        would, orders = window["would_place"], window["orders"]
        console.out.print(
            f"{window['from']} to {window['to']}: of {orders['read']} orders {orders['eligible']} count;"
            f" {would} placements would be made, {window['would_hold']} would be held."
        )
        console.print_table("", [_readable(row) for row in window["totals"]])
    if not result["windows"]:
        console.out.print("The range is planned to its end already, under this policy.")
    stop = f" It would stop before order {result['ends_before']}." if result["ends_before"] else ""
    console.out.print(f"Dry run, nothing was bought: {result['would_place']} placements in all.{stop}")


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its quantity as a person reads it."""
    if row["quantity"] is None:
        return row
    amount, unit = shown(row["quantity"], Unit(row["unit"]))
    return {**row, "quantity": amount, "unit": unit}


def _tell_placed(result: dict[str, Any]) -> None:
    console.out.print(f"Placements that this run has changed: {in_standings(result['this_run'])}.")
    if "orders" in result:
        read = result["orders"]
        console.out.print(f"{read['read']} orders read, {read['new']} new, {read['eligible']} count.")
    if (told := result.get("webhooks")) and told["deliveries"]:
        console.out.print(
            f"{told['deliveries']} webhook deliveries read: {told['sold']['read']} of orders that were sold,"
            f" {told['refunds']} of refunds."
        )
    if result.get("window"):
        console.out.print(result["window"])
    for note in result.get("notes", ()):
        console.out.print(note, markup=False)
    where = "these days" if result.get("window") else "all orders"
    console.out.print(f"Placements of {where}: {in_standings(result['placements'])}.")
    for name, why in result["left_alone"].items():
        console.out.print(f"{name} was left alone: {why}", markup=False)
    if result["broken_orders"]:
        console.out.print(f"{result['broken_orders']} orders could not be read; `impactflow status` lists them.")
    console.out.print(f"{result['requests']} requests in {result['duration_s']} s. Report: {result['report']}")
    if result["undone"]:
        console.out.print("Something is left undone: `impactflow status` says what; running this again goes on.")


@app.command(epilog="Example: impactflow status --json")
@ending
def status(json: Json = False) -> int:
    """Count placements, list what needs attention, and say why things are held, not earned or refused."""
    from impactflow.cli import silence  # noqa: PLC0415 - only this command needs it

    settings = load_settings()
    with ledgers.open_existing(settings) as ledger:
        counts, attention, broken = stopping.run(_look(ledger))
        waiting, read_by = stopping.run(_unread(ledger))
        unheard = stopping.run(silence.look(ledger, SystemClock().now()))
    standing, where = Standing.of(counts), describe(settings.impactflow_ledger_url)
    if json:
        listed = {"needs_attention": attention, "broken_orders": broken, "wait_to_be_read": waiting, "ledger": where}
        listed |= unheard.as_json()
        console.print_json({"placements": by_provider(counts), **listed, "undone": bool(standing.waiting or broken)})
    else:
        rows = [
            {"provider": provider, **{name: count for name, count in statuses.items() if _used(counts, name)}}
            for provider, statuses in by_provider(counts).items()
        ]
        console.print_table("Placements", rows if counts else [])
        if not counts:
            console.out.print("The ledger is empty: `impactflow place` fills it.")
        console.out.print(f"Ledger: {where}", markup=False)
        if waiting:
            console.out.print(f"{waiting} planned placements wait to be read again: `{read_by}` does that.")
        console.print_table("Needs attention", attention)
        if any(Status(row["status"]) in OPEN_TO_RULING for row in attention):
            console.out.print("`impactflow settle ORDER SLOT --as ...` settles what is parked or failed.")
        if standing.awaiting_approval:
            console.out.print("`impactflow approve` lists what awaits approval, and approves, trims or rejects it.")
        console.print_table("Orders that could not be read", broken)
        if broken:
            console.out.print(dismissing.HOW, markup=False)
        unheard.tell()
    return UNDONE if standing.waiting or standing.failed or broken else DONE


def _used(counts: Any, name: str) -> bool:
    return any(status.value == name for _, status in counts)


async def _look(ledger: Ledger) -> tuple[Any, Any, Any]:
    return await ledger.counts(), await ledger.attention(), await ledger.broken()


async def _unread(ledger: Ledger) -> tuple[int, str]:
    """What waits until its order is read again; nothing is said of that where there is no policy to go by."""
    try:
        return await unread(ledger, load_policy(load_settings().impactflow_policy), SystemClock())
    except ConfigurationError:
        return 0, ""


@app.command(epilog="Example: impactflow show WR-000017")
@ending
def show(
    order: Annotated[str, typer.Argument(help="Any name the order goes by: its Wicked Reports id, or src:SYSTEM:ID.")],
    store: Store = None,
    json: Json = False,
) -> int:
    """Tell one order's whole story: what it earned or not, and every event since."""
    with ledgers.open_existing(load_settings()) as ledger:
        told = stopping.run(ledger.story(order, store=store))
    if told is None:
        msg = f"no order goes by the name {order!r} in this ledger: `impactflow status` says what it holds"
        raise typer.BadParameter(msg)
    if json:
        console.print_json(told)
    else:
        story.tell(told)
    return DONE


@app.command(epilog="Example: impactflow doctor")
@ending
def doctor(json: Json = False) -> int:
    """Check the settings, the policy, the ledger, and each key and URL with a harmless call."""
    from impactflow.cli.doctor import examine  # noqa: PLC0415 - only this command needs it

    findings = stopping.run(examine())
    if json:
        console.print_json({"checks": findings, "ok": all(finding["ok"] for finding in findings)})
    else:
        for finding in findings:
            mark = "[green]ok[/green]  " if finding["ok"] else "[red]wrong[/red]"
            console.out.print(mark, end=" ")
            console.out.print(f"{finding['what']}: {finding['said']}", markup=False)
    return max((finding["status"] for finding in findings), default=DONE)


@app.command(epilog="Example: impactflow adopt --yes")
@ending
def adopt(
    yes: Annotated[bool, typer.Option("--yes", help="Write it into the ledger; without, it is only shown.")] = False,
    from_: Annotated[str | None, typer.Option("--from", metavar="DAY", help="First day of purchases, UTC.")] = None,
    not_ours: Annotated[
        list[ProviderName] | None,
        typer.Option(metavar="PROVIDER", help="Nothing there that names nobody was bought for this store."),
    ] = None,
    policy: Annotated[Path | None, typer.Option(metavar="FILE", help="Default: IMPACTFLOW_POLICY.")] = None,
    by: Annotated[str, typer.Option(metavar="NAME", help="Who says so; by default who is logged in.")] = "",
    json: Json = False,
) -> int:
    """Take over from the providers' records what this store has bought and the ledger does not know."""
    from impactflow.cli.adopting import run_adoption  # noqa: PLC0415 - only this command needs it

    settings = load_settings()
    since = choose_window(from_, None, today=datetime.now(UTC).date()).from_ if from_ else None
    chosen = load_policy(policy or settings.impactflow_policy)
    return run_adoption(
        settings, chosen, since, frozenset(not_ours or ()), by or whoever_types(), yes=yes, as_json=json
    )


@app.command(epilog="Example: impactflow backup impactflow-2025-01-31.db")
@ending
def backup(
    file: Annotated[Path, typer.Argument(help="The copy; it must not be there yet.")],
    json: Json = False,
) -> int:
    """Copy a SQLite ledger as it stands, also while runs write to it; for Postgres, say which command does that."""
    url = load_settings().impactflow_ledger_url
    back_up(url, file)
    if json:
        console.print_json({"ledger": describe(url), "backup": str(file.absolute())})
    else:
        console.out.print(f"{describe(url)} is copied to {file.absolute()}", markup=False)
    return DONE


@app.command(epilog="Example: impactflow demo --orders 50")
@ending
def demo(
    orders: Annotated[int, typer.Option(min=1, max=100_000, help="How many orders the pretend shop has sold.")] = 200,
    seed: Annotated[int, typer.Option(help="What chance follows from.")] = 7,
    json: Json = False,
) -> int:
    """Run the whole job against the sandbox, with faults, no keys and nothing to set up."""
    from impactflow.cli.demo import run_demo  # noqa: PLC0415 - only this command needs it

    return run_demo(orders, seed, as_json=json)


@app.command(
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
    from impactflow.cli.prove import run_proof  # noqa: PLC0415 - only this command needs it
    from impactflow.proof.prove import Size  # noqa: PLC0415 - likewise

    size = Size(first_seed, seeds, healthy_seeds, process_seconds, baseline_orders, planted_bugs=plant)
    return run_proof(size, as_json=json)


@app.command(epilog="Example: impactflow sandbox --port 8123 --faults rough --metadata ignored")
@ending
def sandbox(
    port: Annotated[int, typer.Option(min=0, max=65535, help="On 127.0.0.1; 0 for any free one.")] = 0,
    orders: Annotated[int, typer.Option(min=0, help="How many orders the shop has sold in the last week.")] = 200,
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
    from impactflow.cli.sandbox import serve_sandbox  # noqa: PLC0415 - only this command needs it

    if metadata not in {"echo", "ignored"}:
        msg = f"--metadata must be echo or ignored, not {metadata!r}"
        raise typer.BadParameter(msg)
    return serve_sandbox(
        port=port, orders=orders, seed=seed, faults=faults, metadata=metadata, latency_s=latency_ms / 1000,
        speed=speed, rate=rate, hang_s=hang, late_s=late, poor=poor, unpaid_s=unpaid, as_json=json,
    )  # fmt: skip


@app.command(epilog="Example: impactflow serve")
@ending
def serve(json: Json = False) -> int:
    """Register all deployments of prefect.yaml at PREFECT_API_URL, and run what they are asked to, on this machine."""
    from impactflow.cli.serve import serve_deployments  # noqa: PLC0415 - only this command needs it

    return serve_deployments(as_json=json)


@app.command(epilog="Example: impactflow register")
@ending
def register(json: Json = False) -> int:
    """Register all deployments of prefect.yaml at PREFECT_API_URL; what a person has paused or added there stays."""
    from impactflow.cli.registering import run_register  # noqa: PLC0415 - only this command needs it

    return run_register(as_json=json)


@app.command(epilog="Example: impactflow automations --notify slack-webhook/impactflow")
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
    from impactflow.cli.automations import install_automations  # noqa: PLC0415 - only this command needs it

    if check and not notify:
        raise typer.BadParameter("--check sends a test through a block: give --notify TYPE/NAME too")
    return install_automations(notify, vanished_after, pending_after, check=check, as_json=json)


@app.command(epilog="Example: impactflow up")
@ending
def up(json: Json = False) -> int:
    """Start Prefect with its pages, the deployments, the receiver and the sandbox on this machine, without keys."""
    from impactflow.cli.up import run_up  # noqa: PLC0415 - only this command needs it

    return run_up(as_json=json)


@app.command(epilog="Example: impactflow rates --ecb eurofxref.zip --write")
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
    from impactflow.cli.rates import renew_rates  # noqa: PLC0415 - only this command needs it

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
    console.print_json(policy_schema())
    return DONE
