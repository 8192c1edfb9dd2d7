"""Campaigns for donations, and the impact of a donation. Used by the other modules of this package."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

#: By slug: the name, the metric, and the units of the metric that one US dollar achieves.
CAMPAIGNS = {
    "trees-for-the-future": ("Trees for the Future", "Trees planted", 4.0),
    "cleanhub": ("CleanHub", "Plastic removed", 1.2),
    "school-meals": ("School Meals", "Meals served", 2.5),
    "clean-water": ("Clean Water", "Litres of water", 40.0),
}


def show_campaign(slug: str, *, metrics: bool) -> dict[str, Any]:
    """Return a campaign as ImpactAPI writes it."""
    name, metric, per_dollar = CAMPAIGNS[slug]
    shown: dict[str, Any] = {"slug": slug, "name": name}
    if metrics:
        shown["impact_metrics"] = [{"name": metric, "impact_per_dollar": per_dollar}]
    return shown


def show_impact(donations: Iterable[tuple[str, int]]) -> list[dict[str, Any]]:
    """The total impact of (campaign, cents) pairs, by metric."""
    cents: Counter[str] = Counter()
    for slug, amount in donations:
        cents[slug] += amount
    impacts = ((CAMPAIGNS[slug], total) for slug, total in cents.items())
    return [{"name": metric, "amount": total * per_dollar / 100} for (_, metric, per_dollar), total in impacts]
