"""
The provider's own SDK against the sandbox, over real HTTP and unchanged: each of its methods works as it documents.

It knows two hosts by name, so the sandbox's URL is put in their place.
"""

from datetime import UTC, datetime

import pytest
from makeimpact import Environment, OneClickImpact, OneClickImpactError
from processes import Served

from impactflow.models import Kind
from impactflow.sandbox.oneclickimpact import API_KEY

EMAIL = "ana@example.org"
METADATA = {"orderId": "A-1001"}
METHODS = {
    "plant_tree",
    "clean_ocean",
    "capture_carbon",
    "donate_money",
    "restore_coral",
    "cancel_impact",
    "get_impact",
    "get_daily_impact",
    "who_am_i",
    "get_records",
    "get_customer_records",
    "get_customers",
    "track",
    "get_projects",
    "get_project_by_id",
}


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks the environment for a proxy; there is none on the way to this machine."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def open_sdk(sandbox: Served, key: str) -> OneClickImpact:
    """The SDK, pointed at the sandbox."""
    opened = OneClickImpact(key, Environment.SANDBOX)
    opened.base_url = f"{sandbox.base_url}/oneclickimpact"
    return opened


@pytest.fixture
def sdk(sandbox: Served) -> OneClickImpact:
    """The SDK with the sandbox's key."""
    return open_sdk(sandbox, API_KEY)


def test_these_are_all_its_methods() -> None:
    """A new one in a new version needs a test here."""
    assert {name for name in vars(OneClickImpact) if not name.startswith("_")} == METHODS


def test_who_am_i(sdk: OneClickImpact) -> None:
    """The account."""
    assert "U1000" == sdk.who_am_i().user_id


@pytest.mark.parametrize(
    ("action", "field", "kind"),
    [
        ("plant_tree", "tree_planted", Kind.PLANT_TREES),
        ("clean_ocean", "waste_removed", Kind.CLEAN_OCEAN),
        ("capture_carbon", "carbon_captured", Kind.CAPTURE_CARBON),
        ("donate_money", "money_donated", Kind.DONATE),
        ("restore_coral", "coral_restored", Kind.RESTORE_CORAL),
    ],
)
def test_an_action_buys(sdk: OneClickImpact, sandbox: Served, action: str, field: str, kind: Kind) -> None:
    """For the account and for a customer; in the books and in both listings, with its metadata."""
    own = getattr(sdk, action)(amount=5, metadata=METADATA)
    theirs = getattr(sdk, action)(amount=6, customer_email=EMAIL, customer_name="Ana", notify=False)
    assert (5, None, 6, EMAIL) == (
        getattr(own, field),
        own.customer,
        getattr(theirs, field),
        theirs.customer.customer_info.customer_email,
    )
    assert [(kind, 5, None), (kind, 6, EMAIL)] == [
        (one.kind, one.quantity, one.customer_email) for one in sandbox.books.purchases
    ]
    (record,) = sdk.get_records(filter_by=field).user_records
    (customers_record,) = sdk.get_customer_records(customer_email=EMAIL, filter_by=field).customer_records
    assert (own.time_utc, 5, METADATA) == (record.time_utc, getattr(record, field), record.metadata)
    assert (theirs.time_utc, "Ana") == (
        customers_record.time_utc,
        customers_record.customer.customer_info.customer_name,
    )


@pytest.mark.parametrize("action", ["plant_tree", "donate_money"])
def test_a_category_is_told(sdk: OneClickImpact, action: str) -> None:
    """A kind of tree, or a cause."""
    assert "food" == getattr(sdk, action)(amount=1, category="food").category


def test_cancel_impact(sdk: OneClickImpact, sandbox: Served) -> None:
    """Once, however often it is told; tracking then says so."""
    made = sdk.plant_tree(amount=2)
    first = sdk.cancel_impact(made.user_id, made.time_utc, reason="order refunded")
    again = sdk.cancel_impact(made.user_id, made.time_utc)
    track = sdk.track(made.user_id, made.time_utc)
    assert (2, "order refunded", first.cancelled_on) == (first.tree_planted, again.reason, again.cancelled_on)
    assert (first.cancelled_on, "order refunded") == (track.cancelled_on, track.cancellation_reason)
    assert [True] == [purchase.cancelled for purchase in sandbox.books.purchases]


def test_get_impact(sdk: OneClickImpact) -> None:
    """Its own part and the customers' part."""
    sdk.plant_tree(amount=60)
    sdk.plant_tree(amount=40, customer_email=EMAIL)
    sdk.restore_coral(amount=3)
    found = sdk.get_impact()
    assert (100, 60, 40, 3) == (
        found.tree_planted,
        found.user_impact.tree_planted,
        found.customer_impact.tree_planted,
        found.user_impact.coral_restored,
    )


def test_get_daily_impact(sdk: OneClickImpact) -> None:
    """Today's, but not the next century's."""
    today = datetime.now(UTC).date().isoformat()
    sdk.donate_money(amount=250)
    assert 250 == sum(day.money_donated for day in sdk.get_daily_impact(start_date=today).daily_impact)
    assert [] == sdk.get_daily_impact(start_date="2126-01-01", end_date="2126-12-31").daily_impact


def test_get_records(sdk: OneClickImpact) -> None:
    """Over all pages, upwards and downwards."""
    made = [sdk.plant_tree(amount=1).time_utc for _ in range(3)]
    first = sdk.get_records(limit=2, start_date="2026-01-01", end_date="2126-12-31")
    rest = sdk.get_records(limit=2, start_date="2026-01-01", end_date="2126-12-31", cursor=first.cursor)
    assert (made, None) == ([record.time_utc for record in first.user_records + rest.user_records], rest.cursor)
    assert made[::-1] == [record.time_utc for record in sdk.get_records(sort_order="desc").user_records]


def test_get_customer_records(sdk: OneClickImpact) -> None:
    """Over all pages."""
    made = [sdk.clean_ocean(amount=1, customer_email=EMAIL).time_utc for _ in range(3)]
    first = sdk.get_customer_records(limit=2)
    rest = sdk.get_customer_records(limit=2, cursor=first.cursor)
    assert made == [record.time_utc for record in first.customer_records + rest.customer_records]


def test_get_customers(sdk: OneClickImpact) -> None:
    """Over all pages, or by address."""
    for name in ("ana", "bob", "ana"):
        sdk.plant_tree(amount=1, customer_email=f"{name}@example.org")
    first = sdk.get_customers(limit=1)
    rest = sdk.get_customers(limit=1, cursor=first.cursor)
    assert [EMAIL, "bob@example.org"] == [one.customer_email for one in first.customers + rest.customers]
    assert first.customers == sdk.get_customers(customer_email=EMAIL).customers


def test_track(sdk: OneClickImpact) -> None:
    """From the very answer of the purchase."""
    made = sdk.plant_tree(amount=3, category="food")
    track = sdk.track(made.user_id, made.time_utc)
    assert (f"U1000-{made.time_utc}", made.time_utc, 3, "food") == (
        track.tracking_id,
        track.impact_initiated,
        track.tree_planted,
        track.category,
    )


def test_get_projects(sdk: OneClickImpact) -> None:
    """Of a type, in a language."""
    assert {"trees", "ocean", "carbon"} == {project.type for project in sdk.get_projects().projects}
    assert {"carbon"} == {project.type for project in sdk.get_projects(type="carbon", locale="fr").projects}


def test_get_project_by_id(sdk: OneClickImpact) -> None:
    """The one that the list names."""
    project = sdk.get_projects(type="ocean").projects[0]
    assert project == sdk.get_project_by_id(project.project_id)


def test_it_tells_what_is_refused(sandbox: Served, sdk: OneClickImpact) -> None:
    """A limit that is broken, a key that is wrong; nothing is bought."""
    with pytest.raises(OneClickImpactError, match="amount must be a whole number"):
        sdk.plant_tree(amount=0)
    with pytest.raises(OneClickImpactError, match="key is missing or not valid"):
        open_sdk(sandbox, "wrong").plant_tree(amount=1)
    assert [] == sandbox.books.purchases
