"""See that a run that buys can begin: whatever a person may have got wrong is told before a server is started."""

from datetime import UTC, date, datetime
from pathlib import Path

from impactflow import stopping
from impactflow.models import ProviderName
from impactflow.orders import Window
from impactflow.orders.window import day_of
from impactflow.policy import load_policy
from impactflow.run import open_run
from impactflow.settings import Settings


def check(
    settings: Settings, policy: Path, from_: str | None, to: str | None, orders_file: str = ""
) -> tuple[date | None, date | None]:
    """
    The first and the last day that a person has asked for.

    Args:
        settings: What the environment says.
        policy: The policy's file.
        from_: The first day as it was typed.
        to: The last day as it was typed.
        orders_file: The path of the file to read orders from; by default they are read from Wicked Reports.

    Raises:
        ConfigurationError: A file, a day or a key is wrong or missing.
        LedgerError: The ledger cannot be opened.
    """
    chosen, today = load_policy(policy), datetime.now(UTC).date()
    if settings.impactflow_senders is not None:
        from impactflow.webhooks.senders import load_senders  # noqa: PLC0415 - the senders' libraries take their time

        load_senders(settings.impactflow_senders)
    days = None if from_ is None else day_of("--from", from_), None if to is None else day_of("--to", to)
    if not orders_file:
        Window.parse(from_, to, today=today, watermark=None)
    stopping.run(_open(settings, {rule.provider for rule in chosen.rules}, orders_file, days, today))
    return days


async def _open(
    settings: Settings,
    providers: set[ProviderName],
    orders_file: str,
    days: tuple[date | None, date | None],
    today: date,
) -> None:
    async with open_run(settings, "check") as run:
        run.require_keys(providers, orders_file)
        if orders_file:
            run.orders_file(orders_file).window(*days, today)
