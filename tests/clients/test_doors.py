"""P19: what others wrote is fit for a database and a terminal once it has come in."""

import json
from contextlib import suppress
from decimal import Decimal

import httpx
import pytest

from impactflow.clients import CNaughtClient, ImpactAPIClient, OneClickImpactClient
from impactflow.clients.wickedreports.models import read_order_page
from impactflow.errors import OutcomeUnknown, Refused
from impactflow.models import BrokenOrder

#: NUL, a terminal escape, half of a surrogate pair, a right-to-left override, a line separator.
HOSTILE = ["\x00", "\x1b[2J", "\udc00", "\u202e", "\u2028"]
MADE = {"user_id": "U1", "time_utc": "2026-02-03T04:05:06.070Z", "tree_planted": 1}


def client(kind, status, answer, **headers):
    """A client to which everything is answered so."""
    transport = httpx.MockTransport(lambda _: httpx.Response(status, content=json_of(answer), headers=headers))
    return kind("https://a.example", "our-key", transport=transport, timeout_s=2)


def json_of(answer):
    """As ASCII, so that halves of pairs are written too."""
    return json.dumps(answer).encode()


@pytest.mark.parametrize("bad", HOSTILE)
async def test_p19_f9_an_error_text_is_one_line_that_can_be_kept_and_shown(bad):
    """What they say is repeated, without what harms."""
    text = f"no{bad} stock"
    with pytest.raises(Refused) as refused:
        await client(OneClickImpactClient, 400, {"message": text, "code": text}).plant_tree(1)
    assert str(refused.value).isprintable()
    assert "stock" in str(refused.value)


@pytest.mark.parametrize("bad", HOSTILE)
@pytest.mark.parametrize("field", ["user_id", "time_utc"])
async def test_p19_a_name_of_a_purchase_that_cannot_be_kept_leaves_it_in_doubt(bad, field):
    """It is not rewritten: the provider would know nothing by that name."""
    with pytest.raises(OutcomeUnknown, match=f"field {field}: String should|it is not JSON") as unknown:
        await client(OneClickImpactClient, 200, MADE | {field: f"a{bad}b"}).plant_tree(1)
    assert str(unknown.value).isprintable()


@pytest.mark.parametrize("bad", HOSTILE)
async def test_p19_an_order_at_cnaught_and_a_session_go_by_names_that_can_be_kept(bad):
    """As at 1ClickImpact; that a session is confirmed is known all the same, and it is read back."""
    with pytest.raises(OutcomeUnknown, match=r"field id|it is not JSON"):
        await client(CNaughtClient, 200, {"id": f"o{bad}", "amount_kg": 1}).submit_generic_order(
            idempotency_key="k", amount_kg=Decimal(1)
        )
    body = {"data": {"id": f"s{bad}", "status": "confirmed"}}
    with suppress(OutcomeUnknown):  # half a character is no JSON
        assert None is await client(ImpactAPIClient, 200, body).confirm_session("s")


@pytest.mark.parametrize("url", ["https://a.example/\x00", "https://a.example/\u202e", "javascript:alert(1)"])
async def test_p19_a_certificate_without_an_address_that_can_be_shown_is_none(url):
    """The purchase stands all the same."""
    answer = {"id": "o1", "amount_kg": 1, "certificate_public_url": url}
    order = await client(CNaughtClient, 200, answer).submit_generic_order(idempotency_key="k", amount_kg=Decimal(1))
    assert ("o1", None) == (order.id, order.certificate_public_url)


@pytest.mark.parametrize("bad", HOSTILE)
@pytest.mark.parametrize("field", ["id", "sourceId", "sourceSystem", "currency"])
def test_p19_an_order_whose_names_cannot_be_kept_is_broken_and_its_neighbours_are_not(field, bad):
    """A person is told which field; an address that cannot be kept costs the order nothing."""
    good = {"id": "WR-1", "sourceId": "1", "date": "2026-03-02T12:00:00Z", "contact": {"email": f"a{bad}@b.example"}}
    page = read_order_page(json_of({"results": [good, good | {field: f"x{bad}y"}]}))
    first, second = page.results
    assert ("WR-1", None) == (first.id, first.contact.email)
    assert isinstance(second, BrokenOrder)
    assert f"field {field}: String should" in second.problem or "Input should be a valid string" in second.problem
    assert ((second.id or "") + second.problem).isprintable()
