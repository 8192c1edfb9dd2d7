"""
Records without a key, at accounts that do not return our metadata: find the placements that may have made them.

A parked placement may have made one. So may a placement that was sent again after a doubt or a ruling: its earlier
request may have arrived after all. All other records without a key are ignored here.
"""

from collections import defaultdict
from collections.abc import Container, Iterator, Sequence
from datetime import timedelta
from decimal import Decimal

from impactflow.audit.findings import Disagreement, Suspect
from impactflow.ledger import Entry, Status
from impactflow.models import Kind
from impactflow.providers import CLOCK_SKEW, Record

#: How long after the last attempt a purchase may still be the late effect of one.
_LATEST = timedelta(days=1)
#: The only differences between purchases where records name no key: kind, quantity, customer (as a digest, since the
#: ledger may have forgotten the address).
_Fingerprint = tuple[Kind | None, int | Decimal | None, str]


class Unmatched:
    """
    The records that name no key and may be some placement's.

    Args:
        entries: The placements that may have made some.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._by_fingerprint: dict[_Fingerprint, list[Entry]] = defaultdict(list)
        for entry in entries:
            placement = entry.placement
            for customer in placement.customers:
                self._by_fingerprint[placement.kind, placement.quantity, customer].append(entry)
        self._records: dict[str, list[Record]] = defaultdict(list)

    def add(self, record: Record) -> None:
        """Keep a record with the first placement that may have made it."""
        for entry in self._by_fingerprint.get((record.kind, record.quantity, record.customer), ()):
            placement = entry.placement
            if placement.first_attempted_at - CLOCK_SKEW <= record.at <= placement.attempted_at + _LATEST:
                self._records[placement.key].append(record)
                return

    @property
    def refs(self) -> Sequence[str]:
        """The provider's names of the records that were kept."""
        return [record.ref for records in self._records.values() for record in records]

    @property
    def keys(self) -> Sequence[str]:
        """The keys of the placements that may have made these records."""
        return [*self._records]

    def suspects(self, entries: Sequence[Entry], named: Container[int]) -> Iterator[Suspect]:
        """
        The suspects: one for all records that may explain the same parked placement, one each for the other records.

        Args:
            entries: The placements that hold ``refs`` or have ``keys`` by now, because a run may be placing meanwhile.
                A purchase that is held by now is known, and placements being sent or in doubt are about to be resolved.
            named: Ids of placements whose own record says their key: the account returns keys, so a record without one
                is another buyer's.
        """
        held = {entry.placement.provider_ref for entry in entries}
        for key, entry in {entry.placement.key: entry for entry in entries}.items():
            records = [record for record in self._records.get(key, ()) if record.ref not in held]
            match entry.status:
                case Status.PARKED if records:
                    refs = ", ".join(record.ref for record in records)
                    yield Suspect(Disagreement.EXTRA, entry, None, refs)
                case Status.PLACED | Status.COMPLETED if entry.placement.id not in named:
                    yield from (Suspect(Disagreement.DUPLICATE, entry, each, each.ref) for each in records)
                case Status.AWAITING_APPROVAL | Status.PLANNED | Status.FAILED | Status.CANCELLED | Status.COVERED:
                    yield from (Suspect(Disagreement.EXTRA, entry, each, each.ref) for each in records)
