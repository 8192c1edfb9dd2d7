"""
A provider's records as evidence about purchases whose answers were lost. Pure: it does not matter who read the records.

A record that names our key proves the purchase. A record without a key counts as ours only if no other record can be
ours, and only after every late record has had time to appear.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from impactflow.ledger import Status
from impactflow.models import Kind, Placement, Receipt
from impactflow.providers import CLOCK_SKEW, Absent, Ambiguous, Found, Record, Verdict

#: The result for a doubt that arose because the provider said no: its records decide at once.
DENIED = frozenset({Status.PLANNED.value, Status.FAILED.value})
_Amount = tuple[Kind | None, int | Decimal | None]
#: The only differences between purchases where records carry no key: kind, quantity, customer (as a digest, since the
#: ledger may have forgotten the address).
_Fingerprint = tuple[Kind | None, int | Decimal | None, str]


class Evidence:
    """
    The records that could explain some doubts, from any number of readings of the merchant's list and the customers'.

    Args:
        doubts: The doubts to explain. Records of anything else are dropped at once.
        settle_s: How long after it was sent a purchase may still take effect, in seconds.
    """

    def __init__(self, doubts: Sequence[Placement], settle_s: float) -> None:
        self._latest_after_sent = timedelta(seconds=settle_s) + CLOCK_SKEW
        self._doubt_by_key = {doubt.key: doubt for doubt in doubts}
        self._spans: dict[_Amount, tuple[datetime, datetime]] = {}
        for doubt in doubts:
            begins, ends = self._span(doubt)
            first, last = self._spans.get(_amount(doubt), (begins, ends))
            self._spans[_amount(doubt)] = min(first, begins), max(last, ends)
        self._keyed: dict[str, dict[str, Record]] = defaultdict(dict)
        self._times: dict[str, datetime] = {}
        #: How many records of each name one reading has shown, and how many the current reading has shown so far.
        self._unkeyed: dict[_Fingerprint, Counter[str]] = defaultdict(Counter)
        self._unkeyed_here: dict[_Fingerprint, Counter[str]] = defaultdict(Counter)
        self._keys_return = False

    def add(self, record: Record) -> None:
        """Keep a record if it could explain a doubt, or could show whose another such record is."""
        if record.is_somebodys:
            self._keys_return = True
        elif record.key is not None:
            self._keys_return = True
            keyed = self._doubt_by_key.get(record.key)
            if keyed is not None and not _was_over(record, keyed):
                known = self._keyed[record.key].get(record.ref)
                if known is None or known.differs(keyed):  # two purchases may share a name, and show one key
                    self._keyed[record.key][record.ref] = record
        elif _is_in(record.at, self._spans.get(_amount(record))):
            self._times[record.ref] = record.at
            self._unkeyed_here[_fingerprint(record)][record.ref] += 1

    def turn(self) -> None:
        """End one reading: the records added since the last turn exist side by side; the next ones may repeat them."""
        for fingerprint, here in self._unkeyed_here.items():
            self._unkeyed[fingerprint] |= here
        self._unkeyed_here.clear()

    def names(self, doubt: Placement) -> bool:
        """Whether a record names the doubt's own key."""
        return doubt.key in self._keyed

    def alike(self, doubt: Placement) -> Sequence[str]:
        """The purchases without a key that may belong to the doubt or to another placement."""
        return sorted({*self._of(doubt, _fingerprint(doubt)), *self._of(doubt, _first_fingerprint(doubt))})

    def _of(self, doubt: Placement, fingerprint: _Fingerprint) -> Sequence[str]:
        refs = self._unkeyed.get(fingerprint, ())
        return sorted(ref for ref in refs if _is_in(self._times[ref], self._span(doubt)))

    def verdict(
        self, doubt: Placement, holders: Mapping[str, Sequence[Placement]], *, is_settled: bool
    ) -> Verdict | None:
        """
        The verdict of the evidence on one doubt.

        Args:
            doubt: One of the doubts.
            holders: By the provider's name for a purchase, the placements that hold one of that name.
            is_settled: Whether every late record has had time to appear. Before that only a record that names our key
                proves anything: another record may belong to another buyer, and the doubt's own may follow. The absence
                of a record then proves something only where the provider had said no.

        Returns:
            None where there is no verdict yet.
        """
        if keyed := self._keyed.get(doubt.key):
            verdict = _verdict_by_key(doubt, keyed)
            return verdict if is_settled or isinstance(verdict, Found) else None
        alike = [
            ref for ref in self._of(doubt, _fingerprint(doubt)) if self._left(doubt, ref, holders.get(ref, ())) > 0
        ]
        # For a customer who was forgotten between two attempts: what the earlier one may have bought after all.
        late = self._late(doubt, holders)
        if not alike and not late:
            return Absent() if is_settled or doubt.if_absent in DENIED else None
        if not is_settled:
            return None
        # Where the account returns any metadata, a record of ours would probably carry it: this one is another buyer's,
        # or has lost it, and a person decides. A name that another buyer's purchase has, too, is a time they share.
        is_shared = late or alike[0] in holders or self._for_customers(doubt, alike[0]) > 0
        if doubt.alone and len(alike) == 1 and not self._keys_return and not is_shared:
            return Found(Receipt(alike[0]))
        # A page may begin with the last record of the page before. A purchase that another placement holds is then
        # shown twice, as if one were left for the doubt.
        counted = any(ref in holders for ref in alike)
        return Ambiguous("it may be any of " + ", ".join([*alike, *late]), so_far=counted)

    def _late(self, doubt: Placement, holders: Mapping[str, Sequence[Placement]]) -> Sequence[str]:
        first = _first_fingerprint(doubt)
        if first == _fingerprint(doubt):
            return []
        held = Counter(ref for ref, some in holders.items() for each in some if _fingerprint(each) == first)
        return [ref for ref in self._of(doubt, first) if self._unkeyed[first][ref] > held[ref]]

    def _left(self, doubt: Placement, ref: str, holders: Sequence[Placement]) -> int:
        """The number of records of a name that look like the doubt and belong to no other placement."""
        held = sum(_fingerprint(holder) == _fingerprint(doubt) for holder in holders)
        listed_twice = self._for_customers(doubt, ref) if self._lists_customers_twice(doubt) else 0
        return self._unkeyed[_fingerprint(doubt)][ref] - listed_twice - held

    def _for_customers(self, doubt: Placement, ref: str) -> int:
        """The number of purchases for customers with this name and the doubt's amount; 0 for a customer's doubt."""
        if doubt.customer:
            return 0
        return sum(
            refs[ref]
            for fingerprint, refs in self._unkeyed.items()
            if fingerprint[:2] == _amount(doubt) and fingerprint[2]
        )

    def _lists_customers_twice(self, doubt: Placement) -> bool:
        """Whether the merchant's list also shows purchases for customers: then it shows all of them."""
        own = self._unkeyed[_fingerprint(doubt)]
        customers = (
            refs for fingerprint, refs in self._unkeyed.items() if fingerprint[:2] == _amount(doubt) and fingerprint[2]
        )
        return all(ref in own for refs in customers for ref in refs)

    def _span(self, doubt: Placement) -> tuple[datetime, datetime]:
        """The span of time in which a doubt may have taken effect."""
        return doubt.attempted_at - CLOCK_SKEW, doubt.sent_until + self._latest_after_sent


def _verdict_by_key(doubt: Placement, keyed: Mapping[str, Record]) -> Verdict:
    """The verdict of the records that name the doubt's own key: of those that stand, where any does."""
    standing = {ref: record for ref, record in keyed.items() if not record.cancelled} or keyed
    if len(standing) > 1:
        return Ambiguous("bought more than once: " + ", ".join(sorted(standing)))
    ((ref, record),) = standing.items()
    if record.differs(doubt):
        return Ambiguous(f"{ref} carries its key, but is {record.quantity} of {record.kind}")
    return Found(Receipt(ref), by_key=True)


def _was_over(record: Record, doubt: Placement) -> bool:
    """Whether a purchase was undone before the attempt, because a person had the placement tried again."""
    return record.cancelled and record.at < doubt.attempted_at - CLOCK_SKEW


def _is_in(at: datetime, span: tuple[datetime, datetime] | None) -> bool:
    return span is not None and span[0] <= at <= span[1]


def _amount(thing: Placement | Record) -> _Amount:
    return thing.kind, thing.quantity


def _fingerprint(thing: Placement | Record) -> _Fingerprint:
    """The only differences between purchases where records carry no key."""
    return thing.kind, thing.quantity, thing.customer


def _first_fingerprint(doubt: Placement) -> _Fingerprint:
    """The same of the attempts before its customer was forgotten; where there was none, of all attempts."""
    return doubt.kind, doubt.quantity, doubt.known_as or doubt.customer
