"""
Records that name nobody: which placement may have made them, where the account does not return what it was told.

A parked placement may, and one that was sent again after a doubt: its earlier request may have arrived late after all.
Everything else that names nobody is nobody's business here. Called by ``comparison``.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import timedelta
from decimal import Decimal

from impactflow.audit.findings import Disagreement, Suspect
from impactflow.ledger import Entry, Status
from impactflow.models import Kind, Placement
from impactflow.providers import Record
from impactflow.reconcile import CLOCK_SKEW

#: How long after the last attempt a purchase may still be the late effect of one.
_LATEST = timedelta(days=1)


class Strangers:
    """
    The records that name nobody and may be some placement's.

    Args:
        entries: The placements that may have made some.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._by_look: dict[_Look, list[Entry]] = defaultdict(list)
        for entry in entries:
            self._by_look[_look(entry.placement)].append(entry)
        self._records: dict[int, list[Record]] = defaultdict(list)

    def add(self, record: Record) -> None:
        """Keep a record with the first placement that may have made it."""
        for entry in self._by_look.get(_look(record), ()):
            placement = entry.placement
            if placement.first_attempted_at - CLOCK_SKEW <= record.at <= placement.attempted_at + _LATEST:
                self._records[placement.id].append(record)
                return

    def suspects(self) -> Iterator[Suspect]:
        """What they may mean: all that may explain a parked placement at once, any other one by one."""
        for entries in self._by_look.values():
            for entry in entries:
                records = self._records.get(entry.placement.id, [])
                match entry.status:
                    case Status.PARKED if records:
                        refs = ", ".join(record.ref for record in records)
                        yield Suspect(Disagreement.EXTRA, entry, None, refs)
                    case Status.PLACED | Status.COMPLETED:
                        yield from (Suspect(Disagreement.DUPLICATE, entry, each, each.ref) for each in records)
                    case Status.AWAITING_APPROVAL | Status.PLANNED | Status.FAILED | Status.CANCELLED:
                        yield from (Suspect(Disagreement.EXTRA, entry, each, each.ref) for each in records)


def _look(thing: Placement | Record) -> "_Look":
    """All that tells purchases apart where records name nobody."""
    return thing.kind, thing.quantity, (thing.customer_email or "").casefold()


_Look = tuple[Kind | None, int | Decimal, str]
