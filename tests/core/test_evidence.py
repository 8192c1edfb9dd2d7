"""What records prove that name nobody, where several go by one name: the provider counts milliseconds only."""

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from impactflow.buying import evidence
from impactflow.buying.evidence import Evidence
from impactflow.models import Kind, Placement, ProviderName, Receipt, customer_digest
from impactflow.providers import Absent, Ambiguous, Found, Record

SENT_AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
REF = "U1|2026-03-02T12:00:01.000Z"
DOUBT = Placement(
    id=2,
    key="key-2",
    store="acme",
    order_id="WR-2",
    slot="trees",
    provider=ProviderName.ONECLICKIMPACT,
    kind=Kind.PLANT_TREES,
    quantity=1,
    options={},
    customer_email=None,
    attempt=1,
    attempted_at=SENT_AT,
    first_attempted_at=SENT_AT,
    sent_until=SENT_AT,
    handle=None,
    ref=None,
    alone=True,
)
FIRST = replace(DOUBT, id=1, key="key-1", order_id="WR-1", ref=REF)
SECOND = replace(DOUBT, id=3, key="key-3", order_id="WR-3", ref=f"{REF}#2")
RECORD = Record(REF, Kind.PLANT_TREES, 1, None, SENT_AT + timedelta(seconds=1), key=None)


def verdict(*readings, holders=()):
    """What is said once the settling time is over, of readings of so many records."""
    evidence = Evidence([DOUBT], settle_s=60)
    for count in readings:
        for _ in range(count):
            evidence.add(RECORD)
        evidence.turn()
    return evidence.verdict(DOUBT, {REF: holders} if holders else {}, is_settled=True)


def test_one_record_that_nobody_holds_is_the_doubt_s():
    """However often it was read."""
    assert Found(Receipt(REF)) == verdict(1, 1)


@pytest.mark.parametrize("holders", [[FIRST], [FIRST, SECOND]])
def test_as_many_records_as_hold_them_leave_none_for_the_doubt(holders):
    """It was not bought, in whichever pages the others were read."""
    assert Absent() == verdict(len(holders), len(holders), holders=holders)
    assert Absent() == verdict(*[1] * len(holders), holders=holders)


@pytest.mark.parametrize("holders", [[FIRST], [FIRST, SECOND]])
def test_one_record_more_than_hold_them_may_be_the_doubt_s(holders):
    """
    It was counted once at least, and buying again might be the second time.

    It is read again first: a page that begins with the last record of the page before shows one purchase as two.
    """
    for readings in ((len(holders), len(holders) + 1), (len(holders) + 1, 0), (len(holders) + 1, len(holders) + 1)):
        found = verdict(*readings, holders=holders)
        assert isinstance(found, Ambiguous)
        assert found.so_far


def test_two_records_that_nobody_holds_are_left_to_a_person_at_once():
    """Nothing is counted: each has a name of its own."""
    evidence = Evidence([DOUBT], settle_s=60)
    for ref in (REF, "U1|2026-03-02T12:00:01.001Z"):
        evidence.add(replace(RECORD, ref=ref))
    evidence.turn()
    found = evidence.verdict(DOUBT, {}, is_settled=True)
    assert isinstance(found, Ambiguous)
    assert not found.so_far


def of_its_key(*records):
    """What is said of records that name the doubt's key."""
    evidence = Evidence([DOUBT], settle_s=60)
    for record in records:
        evidence.add(replace(record, key=DOUBT.key))
    evidence.turn()
    return evidence.verdict(DOUBT, {}, is_settled=True)


def test_of_two_purchases_of_its_key_the_one_that_stands_is_its_own():
    """Somebody has cancelled the other one; where both stand, or neither does, a person decides."""
    other = replace(RECORD, ref="U1|2026-03-02T12:00:02.000Z")
    assert Found(Receipt(REF), by_key=True) == of_its_key(RECORD, replace(other, cancelled=True))
    assert isinstance(of_its_key(RECORD, other), Ambiguous)
    assert isinstance(of_its_key(*(replace(each, cancelled=True) for each in (RECORD, other))), Ambiguous)


@pytest.mark.parametrize("is_first", [True, False])
def test_a_record_of_two_kinds_is_the_doubt_s_by_the_kind_that_was_asked_for(is_first):
    """Two purchases of one millisecond share a name, and a record shows the key beside both amounts."""
    both = [RECORD, replace(RECORD, kind=Kind.CLEAN_OCEAN)]
    assert Found(Receipt(REF), by_key=True) == of_its_key(*(both if is_first else reversed(both)))


def test_a_holder_of_something_else_takes_no_record():
    """Two purchases of that millisecond: trees, and as many pounds of plastic."""
    other = replace(FIRST, kind=Kind.CLEAN_OCEAN)
    assert isinstance(verdict(1, holders=[other]), Ambiguous)


EMAILS = st.sampled_from([None, "ana@example.com", "ANA@example.com", "ben@example.com", "stra\u00dfe@example.com"])
REFS = st.sampled_from(["U1|2026-03-02T12:00:01.000Z", "U1|2026-03-02T12:00:02.000Z"])


@st.composite
def situations(draw):
    """A doubt, what holds purchases, and some readings of records; nobody was forgotten."""
    things = st.builds(
        lambda ref, email, quantity, at: replace(
            RECORD, ref=ref, customer_email=email, quantity=quantity, at=SENT_AT + timedelta(seconds=at)
        ),
        REFS, EMAILS, st.integers(1, 2), st.integers(0, 9),
    )  # fmt: skip
    doubt = replace(DOUBT, customer_email=draw(EMAILS), alone=draw(st.booleans()))
    holders = defaultdict(list)
    for ref in draw(st.lists(REFS, max_size=3)):
        holders[ref].append(replace(FIRST, ref=ref, customer_email=draw(EMAILS)))
    return doubt, holders, draw(st.lists(st.lists(things, max_size=3), max_size=3))


def by_address(thing):
    """What was compared before customers could be forgotten."""
    return thing.kind, thing.quantity, (thing.customer_email or "").casefold()


def by_digest_only(placement):
    """The same placement after its customer was forgotten."""
    return replace(placement, customer_email=None, known_as=customer_digest(placement.customer_email))


@given(situation=situations(), is_settled=st.booleans())
def test_digests_prove_what_addresses_proved(situation, is_settled):
    """And the same once all customers are forgotten."""
    doubt, holders, readings = situation

    def said(doubt, holders):
        found = Evidence([doubt], settle_s=60)
        for records in readings:
            for record in records:
                found.add(record)
            found.turn()
        return found.verdict(doubt, holders, is_settled=is_settled)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence, "_fingerprint", by_address)
        expected = said(doubt, holders)
    assert expected == said(doubt, holders)
    forgotten = {ref: list(map(by_digest_only, some)) for ref, some in holders.items()}
    assert expected == said(by_digest_only(doubt), forgotten)


def test_what_is_sent_again_for_nobody_is_the_merchants():
    """The attempts before were the customer's."""
    again = replace(by_digest_only(replace(DOUBT, customer_email="ana@example.com")), is_renamed=True)
    assert ("", {"", customer_digest("Ana@example.com")}) == (again.customer, again.customers)


def test_a_late_purchase_for_a_customer_who_was_forgotten_meanwhile_is_left_to_a_person():
    """It may be the first attempt's, made after all; the second was sent for nobody."""
    again = replace(by_digest_only(replace(DOUBT, customer_email="ana@example.com")), is_renamed=True)
    late = replace(RECORD, customer_email="Ana@example.com")
    other = replace(RECORD, customer_email="ben@example.com")
    holder = by_digest_only(replace(FIRST, customer_email="ana@example.com"))

    def said(*records, holders=()):
        found = Evidence([again], settle_s=60)
        for record in records:
            found.add(record)
        found.turn()
        return found.verdict(again, {REF: holders} if holders else {}, is_settled=True)

    assert Ambiguous(f"it may be any of {REF}") == said(late)
    assert Absent() == said(late, holders=[holder]) == said(other)
    assert Found(Receipt(REF)) == said(RECORD)
