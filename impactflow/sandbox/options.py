"""The behaviour of a sandbox: everything that can be chosen about it, in one frozen value."""

from dataclasses import dataclass, field
from typing import Literal

from impactflow.sandbox.faults import Faults


@dataclass(frozen=True, slots=True)
class Options:
    """
    The behaviour of a sandbox.

    Args:
        seed: The source of all chance: the same seed and the same requests in the same order get the same answers.
        faults: The faults, and how often each strikes.
        latency_s: How long each provider takes to answer, in seconds.
        speed: The speed of purchases' progress, as a multiple of real time; at 1,000,000, weeks of tracking
            are seconds.
        metadata: Whether 1ClickImpact returns the metadata it was sent (``echo``) or drops it (``ignored``).
        extras: Whether 1ClickImpact has what its references leave out (coral, cancelling, projects, the category of a
            donation); otherwise 404, or 400 for the category. Whether CNaught sells by price; otherwise 400.
        key_lifetime_s: How long CNaught remembers an idempotency key, in seconds; None for ever.
        already_confirmed_error: Whether ImpactAPI answers a repeated confirm with an error instead of the session.
        wicked_reports_per_minute: The number of requests a minute that Wicked Reports accepts.
        late_clicks_s: How long after a click Wicked Reports lists it, in seconds; up to a day is documented.
        hang_s: How long a request hangs before its connection breaks, in seconds.
        late_s: The longest that something late takes to appear, in seconds.
        page_items: The most items on a page at 1ClickImpact, CNaught and Wicked Reports, whatever is asked for; None
            for as many as are asked for.
        poor: The weaknesses of the answers, by their names in each API's ``weaknesses``.
        unpaid_s: The time after its first request for which each provider refuses to sell (402), in seconds.
    """

    seed: int = 0
    faults: Faults = field(default_factory=Faults)
    latency_s: float = 0.0
    speed: float = 1.0
    metadata: Literal["echo", "ignored"] = "echo"
    extras: bool = True
    key_lifetime_s: float | None = None
    already_confirmed_error: bool = False
    wicked_reports_per_minute: int = 120
    late_clicks_s: float = 0.0
    hang_s: float = 60.0
    late_s: float = 1.0
    page_items: int | None = None
    poor: frozenset[str] = frozenset()
    unpaid_s: float = 0.0
