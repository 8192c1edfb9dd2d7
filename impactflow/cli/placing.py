"""Check that a run that buys can begin: a person's mistakes are reported before a server is started."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from impactflow import stopping
from impactflow.buying.hosts import refuse_hosts
from impactflow.buying.run import open_run
from impactflow.buying.slips import refuse_slips
from impactflow.cli.ledgers import none_made, require_ledger_folder
from impactflow.policy import Policy, load_policy
from impactflow.settings import Settings
from impactflow.window import Window, day_of

if TYPE_CHECKING:
    from impactflow.buying.preview import DryRun


def check(
    settings: Settings,
    policy: Path,
    from_: str | None,
    to: str | None,
    orders_file: str = "",
    *,
    dry_run: bool = False,
) -> tuple[date | None, date | None]:
    """
    Return the first and the last day that a person has asked for.

    Args:
        settings: The settings from the environment.
        policy: The policy's file.
        from_: The first day, as typed.
        to: The last day, as typed.
        orders_file: The path of the file to read orders from; by default they are read from Wicked Reports.
        dry_run: Whether nothing will be bought; then slips in the policy are shown with the preview.

    Raises:
        ConfigurationError: A file, a day or a key is wrong or missing, or the policy would buy something unintended.
        LedgerError: The ledger cannot be opened.
    """
    chosen, today = load_policy(policy), datetime.now(UTC).date()
    require_ledger_folder(settings)
    _check_senders(settings)
    days = None if from_ is None else day_of("--from", from_), None if to is None else day_of("--to", to)
    if not orders_file:
        Window.parse(from_, to, today=today, watermark=None)
    stopping.run(_open(settings, chosen, orders_file, days, today, dry_run=dry_run))
    return days


def check_policy(settings: Settings, policy: Path) -> None:
    """
    Check that a run that buys nothing can begin.

    Raises:
        ConfigurationError: A file is wrong or missing, or a host is not as real as the policy says.
    """
    refuse_hosts(load_policy(policy), settings)
    _check_senders(settings)


def check_sellers(settings: Settings, policy: Path) -> None:
    """
    Check that a run that reads no orders can begin.

    Raises:
        ConfigurationError: A file or a key is wrong or missing, or the policy would buy something unintended.
        LedgerError: The ledger cannot be opened.
    """
    chosen = load_policy(policy)
    require_ledger_folder(settings)
    _check_senders(settings)
    stopping.run(_open_for(settings, chosen))


def _check_senders(settings: Settings) -> None:
    if settings.impactflow_senders is not None:
        from impactflow.intake.senders.mapping import load_senders  # noqa: PLC0415 - the senders' libraries take their time

        load_senders(settings.impactflow_senders)


async def _open_for(settings: Settings, policy: Policy) -> None:
    async with open_run(settings, "check") as run:
        run.require_sellers({rule.provider for rule in policy.rules})
        await refuse_slips(run, policy)


def preview_deliveries(settings: Settings, policy: Path) -> "DryRun":
    """
    Return the purchases that a run without reading orders would make.

    Raises:
        ConfigurationError: A file or a key is wrong or missing.
        LedgerError: The ledger cannot be opened.
    """
    chosen = load_policy(policy)
    require_ledger_folder(settings)
    with none_made(settings) as used:
        return stopping.run(_preview(used, chosen))


async def _preview(settings: Settings, policy: Policy) -> "DryRun":
    from impactflow.buying.preview import preview_deliveries as foresee  # noqa: PLC0415 - the senders' libraries take time
    from impactflow.intake.senders.mapping import load_senders  # noqa: PLC0415 - likewise

    async with open_run(settings, "preview") as run:
        return await foresee(run, policy, load_senders(settings.impactflow_senders))


async def _open(
    settings: Settings,
    policy: Policy,
    orders_file: str,
    days: tuple[date | None, date | None],
    today: date,
    *,
    dry_run: bool,
) -> None:
    async with open_run(settings, "check") as run:
        run.order_source(orders_file)
        if not dry_run:
            run.require_sellers({rule.provider for rule in policy.rules})
            await refuse_slips(run, policy)
        if orders_file:
            file = run.orders_file(orders_file)
            file.require_orders()
            file.window(*days, today)
