"""How much of each of the policy's caps is used, and what waits behind it."""

from datetime import datetime
from pathlib import Path
from typing import Any

from impactflow import stopping
from impactflow.cli import ledgers
from impactflow.cli.console import out, print_json, print_table
from impactflow.clock import Clock
from impactflow.ledger import CapUse
from impactflow.policy import load_policy
from impactflow.reports.standing import rounded_decimal, share_in_words
from impactflow.settings import load_settings


def show_caps(path: Path | None, clock: Clock, *, as_json: bool) -> None:
    """
    Print the caps in their present periods.

    Raises:
        ConfigurationError: The policy cannot be read, or there is no ledger.
        LedgerError: The ledger cannot be read.
    """
    settings, now = load_settings(), clock.now()
    policy = load_policy(path or settings.impactflow_policy)
    with ledgers.open_existing(settings) as ledger:
        uses, waiting = stopping.run(ledger.caps(policy.store, policy.caps_at(now), now))
    if as_json:
        print_json({"store": policy.store, "caps": [_row(use, now) for use in uses], "waiting": waiting})
        return
    if not uses:
        out.print("The policy has no caps.")
    print_table("", [_readable(use, now) for use in uses])


def _row(use: CapUse, now: datetime) -> dict[str, Any]:
    cap = use.cap
    return {
        "cap": cap.in_words,
        "used": rounded_decimal(use.used),
        "most": rounded_decimal(cap.most),
        "unit": cap.unit,
        "since": cap.since,
        "until": cap.until,
        "waiting": use.waiting,
        "full_at": cap.full_at(use.used, now),
    }


def _readable(use: CapUse, now: datetime) -> dict[str, Any]:
    full_at = use.cap.full_at(use.used, now)
    return {
        "cap": use.cap.in_words,
        "used": share_in_words(use.used, use.cap.most),
        "waiting": use.waiting,
        "full at this pace": "now" if use.used >= use.cap.most else f"{full_at:%Y-%m-%d %H:%M} UTC" if full_at else "",
        "next period": f"{use.cap.until:%Y-%m-%d %H:%M} UTC",
    }
