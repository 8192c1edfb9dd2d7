"""
Facts that otherwise go unnoticed: reasons for held placements, orders that did not earn, and refused deliveries.

None of them is work that a run left undone, so they do not change the exit status.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from impactflow.cli.console import out, print_table
from impactflow.ledger import Ledger, Reasons

if TYPE_CHECKING:
    from impactflow.policy import Policy

#: The period for orders that did not earn, in days.
_UNEARNED_DAYS = 30
#: The number of days of refused deliveries that are reported, today included.
_REFUSED_DAYS = 7


@dataclass(frozen=True, slots=True)
class Silence:
    """
    The ledger's facts that otherwise go unnoticed.

    Args:
        since: The start of the period for orders that did not earn.
        held: The reasons why placements are held.
        unearned: The reasons why orders did not earn.
        refused: The number of deliveries refused lately, by source and status.
    """

    since: datetime
    held: Reasons
    unearned: Reasons
    refused: Mapping[str, Mapping[int, int]]

    def as_json(self) -> dict[str, Any]:
        """Return the object that ``status --json`` prints."""
        return {
            "held": {
                "reasons": [{"reason": each.reason, "count": each.count} for each in self.held.first],
                "others": self.held.others,
            },
            "not_earned": {
                "since": self.since,
                "reasons": [
                    {"reason": each.reason, "slot": each.slot, "count": each.count} for each in self.unearned.first
                ],
                "others": self.unearned.others,
            },
            "refused_deliveries": [
                {"source": source, "status": status, "count": count}
                for source, counts in self.refused.items()
                for status, count in counts.items()
            ],
        }

    def show(self) -> None:
        """Print the orders that did not earn and the refused deliveries."""
        title = f"Not earned, last {_UNEARNED_DAYS} days, by reason"
        print_table(title, _rows(self.unearned, "slot", "reason"))
        for sentence in refusals_in_words(self.refused):
            out.print(sentence, markup=False)


async def measure(ledger: Ledger, now: datetime) -> Silence:
    """Read the facts from the ledger."""
    since = now - timedelta(days=_UNEARNED_DAYS)
    return Silence(since, await ledger.why_held(), await ledger.why_unearned(since), await refused(ledger, now.date()))


async def refused(ledger: Ledger, today: date, store: str | None = None) -> Mapping[str, Mapping[int, int]]:
    """Return the number of deliveries refused lately, by source and status; of one store or of all."""
    return await ledger.refused(today - timedelta(days=_REFUSED_DAYS - 1), store=store)


def refusals_in_words(counts: Mapping[str, Mapping[int, int]]) -> list[str]:
    """Return one sentence per source: the number of refused deliveries, and the remedy."""
    if not counts:
        return []
    from impactflow.webhooks.refusals import in_words, what_to_do  # noqa: PLC0415 - the senders' libraries take time

    return [
        f"{in_words(source, each, f'in the last {_REFUSED_DAYS} days')}; {what_to_do(source, each)}"
        for source, each in counts.items()
    ]


def without_products(policy: "Policy", served: Sequence[str]) -> list[str]:
    """For each served source that reports no products, name the rules that count them: they earn nothing from it."""
    from impactflow.webhooks.sources import SCHEMES  # noqa: PLC0415 - likewise

    sentences = []
    for scheme in SCHEMES:
        if scheme.lists_products or scheme.source not in served:
            continue
        rules = [f"{rule.slot} ({how})" for rule in policy.rules if (how := rule.counts_items_of(scheme.source))]
        if rules:
            sentences.append(
                f"{', '.join(rules)}: a rule that counts items earns nothing for what {scheme.source}'s webhook tells"
                " of, which lists no products, until Wicked Reports lists the order with them; use per_order or"
                f" per_amount there, or say not_sources: [{scheme.source}] in the rule's when"
            )
    return sentences


def _rows(reasons: Reasons, *columns: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {"count": each.count, "slot": each.slot or "the whole order", "reason": each.reason} for each in reasons.first
    ]
    if reasons.others:
        rows.append({"count": reasons.others, "slot": "", "reason": "other reasons"})
    return [{name: row[name] for name in ("count", *columns)} for row in rows]
