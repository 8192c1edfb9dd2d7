"""Operations as tasks: what they return, what Prefect may repeat, and what nobody is told."""

import inspect
from decimal import Decimal
from types import ModuleType

import pytest
from prefect.cache_policies import NO_CACHE

from impactflow.clients import CNaughtClient, ImpactAPIClient, OneClickImpactClient, WickedReportsClient
from impactflow.clients.operations import operations
from impactflow.errors import ConfigurationError
from tasks import cnaught, impactapi, oneclickimpact, wickedreports
from tasks.credentials import CNaughtCredentials, ImpactAPICredentials, OneClickImpactCredentials

MODULES: dict[type, ModuleType] = {
    WickedReportsClient: wickedreports,
    OneClickImpactClient: oneclickimpact,
    CNaughtClient: cnaught,
    ImpactAPIClient: impactapi,
}
ALL = [
    pytest.param(client, operation, getattr(module, name, None), id=f"{module.__name__}.{name}")
    for client, module in MODULES.items()
    for name, operation in operations(client).items()
]
of_every_operation = pytest.mark.parametrize(("client", "operation", "task"), ALL)


@of_every_operation
def test_prefect_repeats_reads_only(client, operation, task):
    """Whatever its own settings say, and never because of a wrong key."""
    assert (task.retries, task.retry_condition_fn is None) == ((0, True) if operation.writes else (1, False))


@of_every_operation
def test_prefect_keeps_neither_results_nor_a_cache(client, operation, task):
    """There are e-mail addresses in both."""
    assert (NO_CACHE, False, False, None) == (
        task.cache_policy,
        task.persist_result,
        task.log_prints,
        task.task_run_name,
    )


@of_every_operation
def test_a_task_reads_as_its_operation(client, operation, task):
    """The same name, words and parameters, behind the account."""
    method = getattr(client, operation.name)
    _, *expected = inspect.signature(method).parameters.values()
    credentials, *parameters = inspect.signature(task).parameters.values()
    assert ("credentials", expected, inspect.getdoc(method)) == (credentials.name, parameters, task.description)
    assert MODULES[client].__name__ == f"tasks.{task.name.removesuffix(f' {operation.name}')}"


async def test_a_task_returns_what_the_operation_returns(sandbox):
    """With the account opened for it and closed again."""
    account = CNaughtCredentials()
    order = await cnaught.submit_generic_order.fn(account, amount_kg=Decimal(2), idempotency_key="k")
    assert order == await cnaught.get_order.fn(account, order.id)
    assert [order.id] == [purchase.ref for purchase in sandbox.books.purchases]


async def test_a_listing_becomes_the_list_of_all_that_is_on_its_pages(sandbox):
    """However long its pages are."""
    account = CNaughtCredentials()
    for number in range(3):
        await cnaught.submit_generic_order.fn(account, amount_kg=Decimal(1), idempotency_key=f"k{number}")
    listed = await cnaught.list_orders.fn(account, limit=1)
    assert [purchase.ref for purchase in reversed(sandbox.books.purchases)] == [order.id for order in listed]


async def test_another_providers_account_is_an_error(sandbox):
    """It is named, and nobody is asked."""
    with pytest.raises(ConfigurationError, match="cnaught list_orders: ImpactAPICredentials is an account at another"):
        await cnaught.list_orders.fn(ImpactAPICredentials())  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"time_utc": "t", "reason": "r", "canary": "x"}, {}])
def test_a_call_that_does_not_fit_is_told_without_its_arguments(wrong, sandbox):
    """Prefect keeps the message, so no address may be in it."""
    with pytest.raises(ConfigurationError, match="oneclickimpact track: ") as caught:
        oneclickimpact.track(OneClickImpactCredentials(), "ana@example.org", **wrong)
    assert "ana@" not in str(caught.value)
