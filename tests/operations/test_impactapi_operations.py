"""Every operation of ImpactAPI as somebody would use it, over real HTTP, against the sandbox and its books."""

from datetime import UTC, datetime, timedelta

import pytest
from processes import Served
from pydantic import SecretStr

from impactflow.clients import ImpactAPIClient
from impactflow.clients.impactapi.models import Session
from impactflow.clients.impactapi.parameters import Donation
from impactflow.clients.paging import items
from impactflow.errors import Forbidden, NotFound, Refused, Unauthorized

TREES, CLEANHUB = "trees-for-the-future", "cleanhub"
SHARES: list[Donation] = [
    {"campaign_identifier": TREES, "amount": 300},
    {"campaign_identifier": CLEANHUB, "amount": 200},
]
ORDER = {"order_id": "ORD-12345"}


async def offered(client: ImpactAPIClient, customer_id: str | None = None) -> tuple[Session, SecretStr]:
    """A session in which a customer may add five dollars for one of two campaigns, and its secret."""
    session = await client.create_session(
        type="add_on",
        amount=500,
        available_campaigns=[TREES, CLEANHUB],
        customer_id=customer_id,
        metadata=ORDER,
        expires_in=60,
    )
    assert session.session_secret is not None
    return session, session.session_secret


async def give(client: ImpactAPIClient, customer_id: str | None = None, vendor_id: str | None = None) -> Session:
    """Give three dollars for trees and two against plastic."""
    session = await client.create_session(
        type="portion_of_sales", allocations=SHARES, customer_id=customer_id, vendor_id=vendor_id, metadata=ORDER
    )
    return await confirm(client, session.id)


async def confirm(client: ImpactAPIClient, session_id: str) -> Session:
    """Give what a session holds."""
    confirmed = await client.confirm_session(session_id)
    assert confirmed is not None
    return confirmed


async def test_list_campaigns(impactapi: ImpactAPIClient) -> None:
    """Each tells what a dollar achieves."""
    campaigns = {campaign.slug: campaign for campaign in await impactapi.list_campaigns()}
    assert campaigns.keys() >= {TREES, CLEANHUB}
    assert [4] == [metric.impact_per_dollar for metric in campaigns[TREES].impact_metrics]


async def test_list_customers(impactapi: ImpactAPIClient) -> None:
    """All of them by name, page by page, and one by the shop's own id."""
    for name in ("Cleo", "Ana", "Ben"):
        await impactapi.create_customer(external_id=name.lower(), name=name)
    pages = [page async for page in impactapi.list_customers(sort_by="name", sort_order="asc", limit=2)]
    assert [["Ana", "Ben"], ["Cleo"]] == [[customer.name for customer in page.items] for page in pages]
    rest = impactapi.list_customers(sort_by="name", sort_order="asc", limit=2, cursor=pages[0].next)
    assert ["Cleo"] == [customer.name async for customer in items(rest)]
    found = [customer async for customer in items(impactapi.list_customers(external_id="ben"))]
    assert ["Ben"] == [customer.name for customer in found]


async def test_create_customer(impactapi: ImpactAPIClient) -> None:
    """An external id is taken once."""
    metadata = {"email": "jane@example.com", "source": "web"}
    customer = await impactapi.create_customer(external_id="customer-456", name="Jane Doe", metadata=metadata)
    assert ("customer-456", metadata) == (customer.external_id, dict(customer.metadata))
    with pytest.raises(Refused, match=r"HTTP 422.*external_id"):
        await impactapi.create_customer(external_id="customer-456")


async def test_get_customer(impactapi: ImpactAPIClient) -> None:
    """As it was created."""
    customer = await impactapi.create_customer(name="Jane Doe")
    assert customer == await impactapi.get_customer(customer.id)


async def test_update_customer(impactapi: ImpactAPIClient) -> None:
    """What is left out stays, None clears, metadata is merged."""
    customer = await impactapi.create_customer(external_id="customer-456", name="Jane Doe", metadata={"source": "web"})
    changed = await impactapi.update_customer(customer.id, name=None, metadata={"updated": True})
    assert ("customer-456", None) == (changed.external_id, changed.name)
    assert {"source": "web", "updated": True} == dict(changed.metadata)
    assert changed == await impactapi.get_customer(customer.id)


async def test_delete_customer(impactapi: ImpactAPIClient, sandbox: Served) -> None:
    """For good; what was given on her behalf stays."""
    customer = await impactapi.create_customer(name="Jane Doe")
    given = await give(impactapi, customer_id=customer.id)
    await impactapi.delete_customer(customer.id)
    with pytest.raises(NotFound):
        await impactapi.get_customer(customer.id)
    assert customer.id == (await impactapi.get_session(given.id)).customer_id
    assert [False] == [purchase.cancelled for purchase in sandbox.books.purchases]


async def test_get_customer_impact_metrics(impactapi: ImpactAPIClient, sandbox: Served) -> None:
    """What the books say was given, times what a cent achieves."""
    customer = await impactapi.create_customer(name="Jane Doe")
    await give(impactapi, customer_id=customer.id)
    await give(impactapi, customer_id=customer.id)
    await give(impactapi)
    day = datetime.now(UTC).date()
    impact = await impactapi.get_customer_impact_metrics(customer.id, date_from=day - timedelta(days=1))
    assert {"Trees planted": 24, "Plastic removed": 4.8} == {metric.name: metric.amount for metric in impact}
    assert [500, 500, 500] == [purchase.quantity for purchase in sandbox.books.purchases]
    assert [] == await impactapi.get_customer_impact_metrics(customer.id, date_to=day - timedelta(days=1))


async def test_list_customer_donation_intents(impactapi: ImpactAPIClient) -> None:
    """Hers alone, and none that was given without a session."""
    customer = await impactapi.create_customer(name="Jane Doe")
    given = await give(impactapi, customer_id=customer.id)
    await give(impactapi)
    await impactapi.create_donation_intents(SHARES)
    listed = [one async for one in items(impactapi.list_customer_donation_intents(customer.id, limit=1))]
    assert given.donation_intents[::-1] == listed
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    late = impactapi.list_customer_donation_intents(customer.id, date_from=tomorrow)
    assert [] == [one async for one in items(late)]


async def test_list_vendors(impactapi: ImpactAPIClient) -> None:
    """The newest first, page by page."""
    for number in range(3):
        await impactapi.create_vendor(external_id=f"store-{number}", metadata={"floor": number})
    pages = [page async for page in impactapi.list_vendors(limit=2)]
    listed = [[vendor.external_id for vendor in page.items] for page in pages]
    assert [["store-2", "store-1"], ["store-0"]] == listed


async def test_create_vendor(impactapi: ImpactAPIClient) -> None:
    """A shop may have the external id of a customer."""
    await impactapi.create_customer(external_id="123")
    vendor = await impactapi.create_vendor(external_id="123", name="Downtown Coffee Shop", metadata={"type": "retail"})
    assert ("123", "Downtown Coffee Shop", {"type": "retail"}) == (
        vendor.external_id,
        vendor.name,
        dict(vendor.metadata),
    )


async def test_get_vendor(impactapi: ImpactAPIClient) -> None:
    """A customer's id is not a vendor's."""
    vendor = await impactapi.create_vendor(name="Downtown Coffee Shop")
    assert vendor == await impactapi.get_vendor(vendor.id)
    with pytest.raises(NotFound):
        await impactapi.get_vendor((await impactapi.create_customer()).id)


async def test_update_vendor(impactapi: ImpactAPIClient) -> None:
    """The manager changes, the rest stays; None clears all metadata."""
    metadata = {"location": "123 Main St", "manager": "John Doe"}
    vendor = await impactapi.create_vendor(name="Downtown Coffee Shop", metadata=metadata)
    changed = await impactapi.update_vendor(vendor.id, metadata={"manager": "Jane Smith"})
    assert ("Downtown Coffee Shop", metadata | {"manager": "Jane Smith"}) == (changed.name, dict(changed.metadata))
    assert {} == dict((await impactapi.update_vendor(vendor.id, metadata=None)).metadata)


async def test_delete_vendor(impactapi: ImpactAPIClient) -> None:
    """Its external id is free again."""
    vendor = await impactapi.create_vendor(external_id="store-123")
    await impactapi.delete_vendor(vendor.id)
    with pytest.raises(NotFound):
        await impactapi.delete_vendor(vendor.id)
    assert vendor.id != (await impactapi.create_vendor(external_id="store-123")).id


async def test_get_vendor_impact_metrics(impactapi: ImpactAPIClient) -> None:
    """A donation that was cancelled achieves nothing."""
    vendor = await impactapi.create_vendor(name="Downtown Coffee Shop")
    given = await give(impactapi, vendor_id=vendor.id)
    trees = next(one for one in given.donation_intents if one.campaign_identifier == TREES)
    await impactapi.cancel_donation_intent(trees.id)
    impact = await impactapi.get_vendor_impact_metrics(vendor.id)
    assert [("Plastic removed", 2.4)] == [(metric.name, metric.amount) for metric in impact]


async def test_list_vendor_donation_intents(impactapi: ImpactAPIClient) -> None:
    """The oldest first, today's alone."""
    vendor = await impactapi.create_vendor(name="Downtown Coffee Shop")
    given = [await give(impactapi, vendor_id=vendor.id) for _ in range(2)]
    today = datetime.now(UTC).date()
    listed = impactapi.list_vendor_donation_intents(
        vendor.id, sort_order="asc", date_from=today - timedelta(days=1), date_to=today + timedelta(days=1), limit=3
    )
    assert [one for session in given for one in session.donation_intents] == [one async for one in items(listed)]


async def test_create_donation_intents(impactapi: ImpactAPIClient, sandbox: Served) -> None:
    """All are given at once, or none."""
    made = await impactapi.create_donation_intents(SHARES)
    assert [(TREES, 300, None), (CLEANHUB, 200, None)] == [
        (one.campaign_identifier, one.amount, one.session_id) for one in made
    ]
    with pytest.raises(Refused):
        await impactapi.create_donation_intents([*SHARES, {"campaign_identifier": "unknown", "amount": 1}])
    assert [one.id for one in made] == [purchase.ref for purchase in sandbox.books.purchases]


async def test_list_donation_intents(impactapi: ImpactAPIClient) -> None:
    """Those of sessions and the others, each once although more are given meanwhile."""
    made = await impactapi.create_donation_intents(SHARES)
    given = (await give(impactapi)).donation_intents
    pages = impactapi.list_donation_intents(limit=2)
    listed = [*(await anext(pages)).items]
    await impactapi.create_donation_intents(SHARES[:1])
    listed += [one async for one in items(pages)]
    assert [*given[::-1], *made[::-1]] == listed


async def test_get_donation_intent(impactapi: ImpactAPIClient) -> None:
    """It tells its campaign and what it achieves."""
    (made,) = await impactapi.create_donation_intents(SHARES[:1])
    found = await impactapi.get_donation_intent(made.id)
    assert found.campaign is not None
    assert (made, "Trees for the Future") == (found, found.campaign.name)
    assert [("Trees planted", 12)] == [(metric.name, metric.amount) for metric in found.impact_metrics]


async def test_cancel_donation_intent(impactapi: ImpactAPIClient, sandbox: Served) -> None:
    """It is gone, and will not be billed."""
    made, kept = await impactapi.create_donation_intents(SHARES)
    await impactapi.cancel_donation_intent(made.id)
    with pytest.raises(NotFound):
        await impactapi.get_donation_intent(made.id)
    assert [kept.id] == [purchase.ref for purchase in sandbox.books.purchases if not purchase.cancelled]


async def test_create_session(impactapi: ImpactAPIClient, sandbox: Served) -> None:
    """It costs nothing, and expires when it is told to."""
    session, secret = await offered(impactapi)
    assert ("active", 500, [TREES, CLEANHUB]) == (
        session.status,
        session.amount,
        [campaign.slug for campaign in session.available_campaigns],
    )
    assert session.created_at is not None
    assert session.created_at + timedelta(minutes=60) == session.expires_at
    assert secret.get_secret_value() not in repr(session)
    assert [] == sandbox.books.purchases


async def test_get_session(impactapi: ImpactAPIClient) -> None:
    """With the key, or with its own secret and no other."""
    (session, secret), (_, other) = await offered(impactapi), await offered(impactapi)
    found = await impactapi.get_session(session.id, session_secret=secret)
    assert [4] == [metric.impact_per_dollar for metric in found.available_campaigns[0].impact_metrics]
    assert found == await impactapi.get_session(session.id)
    with pytest.raises(Unauthorized):
        await impactapi.get_session(session.id, session_secret=other)


async def test_update_session(impactapi: ImpactAPIClient) -> None:
    """The customer signs in at the checkout, and out again."""
    customer, vendor = await impactapi.create_customer(), await impactapi.create_vendor()
    session, _ = await offered(impactapi)
    changed = await impactapi.update_session(
        session.id, customer_id=customer.id, vendor_id=vendor.id, metadata={"utm_source": "email"}, approximated=True
    )
    assert (customer.id, vendor.id, True) == (changed.customer_id, changed.vendor_id, changed.approximated)
    assert ORDER | {"utm_source": "email"} == dict(changed.metadata)
    cleared = await impactapi.update_session(session.id, customer_id=None, metadata=None)
    assert (None, vendor.id, {}) == (cleared.customer_id, cleared.vendor_id, dict(cleared.metadata))


async def test_set_allocations(impactapi: ImpactAPIClient, sandbox: Served) -> None:
    """What was allocated before is not given."""
    session = await impactapi.create_session(type="portion_of_sales", allocations=SHARES)
    changed = await impactapi.set_allocations(session.id, [{"campaign_identifier": TREES, "amount": 700}])
    assert changed is not None
    assert (700, [(TREES, 700)]) == (
        changed.amount,
        [(share.campaign_identifier, share.amount) for share in changed.allocations],
    )
    await impactapi.confirm_session(session.id)
    assert [700] == [purchase.quantity for purchase in sandbox.books.purchases]
    interactive, _ = await offered(impactapi)
    with pytest.raises(Refused, match="interactive-must-use-choose-campaign"):
        await impactapi.set_allocations(interactive.id, SHARES)


async def test_choose_campaign(impactapi: ImpactAPIClient, sandbox: Served) -> None:
    """The customer's browser knows nothing but the secret; she chooses, thinks again, and opts out."""
    session, secret = await offered(impactapi)
    for slug in (TREES, CLEANHUB):
        chosen = await impactapi.choose_campaign(session.id, slug, session_secret=secret.get_secret_value())
        assert [(slug, 500)] == [(share.campaign_identifier, share.amount) for share in chosen.allocations]
    await impactapi.choose_campaign(session.id, None, session_secret=secret)
    with pytest.raises(Refused, match=r"allocations\.required"):
        await impactapi.confirm_session(session.id)
    assert [] == sandbox.books.purchases


async def test_process_session(impactapi: ImpactAPIClient) -> None:
    """While the payment is captured the customer changes nothing, and nothing expires."""
    session, secret = await offered(impactapi)
    await impactapi.choose_campaign(session.id, TREES, session_secret=secret)
    processing = await impactapi.process_session(session.id, extends_by=90)
    assert session.expires_at is not None
    assert ("processing", session.expires_at + timedelta(minutes=90)) == (processing.status, processing.expires_at)
    with pytest.raises(Forbidden, match=r"auth\.forbidden"):
        await impactapi.choose_campaign(session.id, CLEANHUB, session_secret=secret)
    assert "confirmed" == (await confirm(impactapi, session.id)).status


async def test_confirm_session(impactapi: ImpactAPIClient, sandbox: Served) -> None:
    """However often, it is given once, on behalf of the customer."""
    customer = await impactapi.create_customer(name="Jane Doe")
    session, secret = await offered(impactapi, customer.id)
    await impactapi.choose_campaign(session.id, TREES, session_secret=secret)
    confirmed = await confirm(impactapi, session.id)
    assert confirmed == await confirm(impactapi, session.id)
    assert [(500, TREES, customer.id)] == [
        (one.amount, one.campaign_identifier, one.customer_id) for one in confirmed.donation_intents
    ]
    (purchase,) = sandbox.books.purchases
    assert (session.id, 500, "ORD-12345") == (purchase.ref, purchase.quantity, purchase.order_id)
