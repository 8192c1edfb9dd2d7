"""Client, sandbox, tasks and tests have every operation of the four references, and no other."""

from inspect import signature

import pytest
from reference import DOCUMENTED, Documented
from table import PAGE, PROVIDERS, anonymous, in_sandbox, page, row

from impactflow.clients import CNaughtClient, OneClickImpactClient
from impactflow.clients.operations import operations
from impactflow.sandbox import Request, Sandbox

of_each_operation = pytest.mark.parametrize(
    "documented", DOCUMENTED, ids=[f"{each.provider} {each.request}" for each in DOCUMENTED]
)


def test_the_references_document_55_operations() -> None:
    """Six, eleven, twelve and twenty-six; what vendors have besides is not counted."""
    counts = dict.fromkeys(PROVIDERS, 0)
    for documented in DOCUMENTED:
        counts[documented.provider] += not documented.is_addition
    assert {"wickedreports": 6, "oneclickimpact": 11, "cnaught": 12, "impactapi": 26} == counts


@of_each_operation
def test_an_operation_is_a_method_of_its_client(documented: Documented) -> None:
    """One with the documented request."""
    assert row(documented).operation


@of_each_operation
def test_an_operation_is_served_by_the_sandbox(documented: Documented) -> None:
    """At the documented path."""
    assert row(documented).route


@of_each_operation
def test_an_operation_is_a_task(documented: Documented) -> None:
    """By the name of the method."""
    assert row(documented).task


@of_each_operation
def test_an_operation_is_tested_over_http(documented: Documented) -> None:
    """By a test of its name."""
    assert row(documented).test


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_client_has_no_operation_that_no_reference_names(provider: str) -> None:
    """Nor two for one request."""
    documented = [anonymous(each.request) for each in DOCUMENTED if each.provider == provider]
    found = [anonymous(each.request) for each in operations(PROVIDERS[provider].client).values()]
    assert sorted(documented) == sorted(found)


def test_the_sandbox_has_no_route_that_no_reference_names() -> None:
    """It pretends nothing that is not there."""
    assert sorted(map(in_sandbox, DOCUMENTED)) == sorted(Sandbox().routes())


@pytest.mark.parametrize(
    ("client", "operation", "parameter"),
    [
        *((OneClickImpactClient, name, "metadata") for name in ("plant_tree", "clean_ocean", "capture_carbon")),
        (OneClickImpactClient, "donate_money", "metadata"),
        (OneClickImpactClient, "donate_money", "category"),
        (CNaughtClient, "submit_generic_order", "total_price_usd_cents"),
    ],
)
def test_a_parameter_that_a_reference_leaves_out_is_there(client: type, operation: str, parameter: str) -> None:
    """As the vendors' current documentation has it."""
    assert parameter in signature(getattr(client, operation)).parameters


#: How each provider says that a key is missing.
UNAUTHORIZED = {
    "wickedreports": '"status":"error"',
    "oneclickimpact": '"type":"key_error"',
    "cnaught": '"status":401',
    "impactapi": '"code":"auth.unauthorized"',
}


@of_each_operation
def test_the_sandbox_asks_for_a_key_before_anything_else(documented: Documented) -> None:
    """Without one it is 401, in the provider's own form."""
    method, path = in_sandbox(documented).split(" ")
    with Sandbox().exchange(Request(method, path.replace("*", "x"))) as reply:
        assert (401, True) == (reply.status, UNAUTHORIZED[documented.provider] in reply.body.decode())


def test_the_page_of_operations_is_up_to_date() -> None:
    """``make docs`` writes it."""
    assert page() == PAGE.read_text()
