"""ImpactAPI: one test per operation, from samples in the shape that its reference implies."""

import json

import httpx
import pytest
from client_helpers import PatientClock, Script, sample

from impactflow.clients import ImpactAPIClient
from impactflow.clients.impactapi.models import Allocation
from impactflow.errors import OutcomeUnknown, Refused

SHARE = Allocation(campaign_identifier="more-trees", amount=30)


def open_client(*answers):
    script = Script(*(sample("impactapi", answer) if isinstance(answer, str) else answer for answer in answers))
    return ImpactAPIClient("https://i.example/p", "k", transport=script, timeout_s=20, clock=PatientClock()), script


@pytest.mark.parametrize("wrapped", [True, False])
async def test_campaigns_are_read_bare_or_wrapped(wrapped):
    """Both are seen in the wild."""
    answer = sample("impactapi", "campaigns.200")
    client, script = open_client(answer if wrapped else httpx.Response(200, json=answer.json()["data"]))
    assert [("more-trees", "More Trees")] == [(found.slug, found.name) for found in await client.campaigns()]
    assert "/p/campaigns" == script.requests[0].url.path


async def test_a_session_is_created_with_its_allocations_and_metadata():
    """Nothing is given yet."""
    client, script = open_client("create_session.201")
    session = await client.create_session(
        type="portion_of_sales", allocations=[SHARE], metadata={"order_id": "WR-1"}, expires_in=60
    )
    expected = {
        "type": "portion_of_sales",
        "allocations": [{"campaign_identifier": "more-trees", "amount": 30}],
        "metadata": {"order_id": "WR-1"},
        "expires_in": 60,
    }
    assert expected == json.loads(script.requests[0].content)
    assert ("active", [SHARE], [], "WR-1") == (
        session.status,
        session.allocations,
        session.donation_intents,
        session.metadata["order_id"],
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"allocations": []}, "allocations must be 1 to 10"),
        ({"allocations": [SHARE] * 11}, "allocations must be 1 to 10"),
        (
            {"allocations": [Allocation(campaign_identifier="c", amount=0)]},
            "an allocation's amount must be from 1 to 1,000,000,000",
        ),
        ({"expires_in": 14}, "expires_in must be 15 to 1440 minutes"),
        ({"expires_in": 1441}, "expires_in must be 15 to 1440 minutes"),
    ],
)
async def test_a_documented_limit_is_checked_before_anything_is_sent(options, expected):
    """The message names the field and the limit."""
    client, script = open_client("create_session.201")
    with pytest.raises(Refused) as caught:
        await client.create_session(**({"type": "portion_of_sales", "allocations": [SHARE], "metadata": {}} | options))
    assert (f"impactapi create_session: {expected}; nothing was sent", []) == (str(caught.value), script.requests)


async def test_a_session_is_read_back_though_wrapped_and_with_an_empty_list_for_metadata():
    """Some servers write an empty object so."""
    client, script = open_client("get_session.200")
    session = await client.get_session("01J0000000000000000000000B")
    assert ("/p/sessions/01J0000000000000000000000B", {}, "active") == (
        script.requests[0].url.path,
        session.metadata,
        session.status,
    )


async def test_a_confirmed_session_names_its_donations():
    """One POST without a body."""
    client, script = open_client("confirm_session.200")
    session = await client.confirm_session("01J0000000000000000000000B")
    assert ("/p/sessions/01J0000000000000000000000B/confirm", b"") == (
        script.requests[0].url.path,
        script.requests[0].content,
    )
    assert ("confirmed", ["01J0000000000000000000000C"]) == (
        session.status,
        [intent.id for intent in session.donation_intents],
    )


async def test_confirming_what_is_confirmed_returns_it():
    """The refusal is looked into: what counts is what the session says."""
    client, script = open_client("confirm_session.400", "confirm_session.200")
    session = await client.confirm_session("01J0000000000000000000000B")
    assert ("confirmed", ["POST", "GET"]) == (session.status, [request.method for request in script.requests])


async def test_a_confirmation_that_is_refused_for_another_reason_is_an_error():
    """An expired session was never given."""
    client, _ = open_client("confirm_session.400", "get_session.200")
    with pytest.raises(Refused):
        await client.confirm_session("01J0000000000000000000000B")


async def test_a_confirmation_whose_answer_is_lost_is_in_doubt():
    """It is not repeated here."""
    client, script = open_client(httpx.ReadError("reset"))
    with pytest.raises(OutcomeUnknown):
        await client.confirm_session("x")
    assert 1 == len(script.requests)


async def test_a_donation_tells_its_session_and_campaign():
    """Looked up by its id."""
    client, script = open_client("get_donation_intent.200")
    intent = await client.get_donation_intent("01J0000000000000000000000C")
    assert ("/p/donation_intents/01J0000000000000000000000C", 30, "more-trees", "01J0000000000000000000000B") == (
        script.requests[0].url.path,
        intent.amount,
        intent.campaign.slug,
        intent.session_id,
    )
