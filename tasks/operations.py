"""
Make a Prefect task of any operation of a client: ``task_for``, called by the module of each provider beside this one.

Such a task takes the account's block first, then what the operation takes. Prefect may repeat one that only reads and
never one that buys or changes something; it keeps neither arguments nor results, for keys and addresses are among them.
Each call opens a client of its own: where there are many, ``credentials.client()`` opens one for all of them.
"""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from functools import wraps
from inspect import BoundArguments, Signature, signature
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

from prefect.cache_policies import NO_CACHE
from prefect.tasks import Task

from impactflow.clients.operations import Operation
from impactflow.clients.paging import Page, items
from impactflow.errors import ConfigurationError
from tasks.retries import READS

P = ParamSpec("P")
R = TypeVar("R")
Client = TypeVar("Client")
Client_co = TypeVar("Client_co", covariant=True)


class Credentials(Protocol[Client_co]):
    """An account, as a task needs it; see ``credentials``."""

    def client(self) -> AbstractAsyncContextManager[Client_co]:
        """Open the account's client, and close it."""
        ...


@overload
def task_for(
    method: Callable[Concatenate[Client, P], Coroutine[Any, Any, R]],
) -> Task[Concatenate[Credentials[Client], P], Coroutine[Any, Any, R]]: ...
@overload
def task_for(
    method: Callable[Concatenate[Client, P], AsyncIterator[Page[R]]],
) -> Task[Concatenate[Credentials[Client], P], Coroutine[Any, Any, list[R]]]: ...
def task_for(method: Callable[..., Any]) -> Task[..., Any]:
    """
    Make a task of an operation; of a listing, one that returns the list of all that is on its pages.

    Args:
        method: The client's method, such as ``CNaughtClient.get_order``; the task has its docstring and parameters.
    """
    operation: Operation = method.__operation__  # type: ignore[attr-defined]
    name = f"{_provider(method)} {operation.name}"

    @wraps(method)
    async def run(credentials: Credentials[Any], *args: Any, **kwargs: Any) -> Any:
        async with credentials.client() as client:
            if getattr(type(client), operation.name, None) is not method:
                raise ConfigurationError(f"{name}: {type(credentials).__name__} is an account at another provider")
            answer = method(client, *args, **kwargs)
            return [item async for item in items(answer)] if isinstance(answer, AsyncIterator) else await answer

    run.__signature__ = _DiscreetSignature.of(method, name)  # type: ignore[attr-defined]
    # Without ``retries`` Prefect would take the number from its own settings.
    again: dict[str, Any] = {"retries": 0} if operation.writes else READS
    return Task(run, name=name, cache_policy=NO_CACHE, persist_result=False, log_prints=False, **again)


def _provider(method: Callable[..., Any]) -> str:
    """Name whose operation it is, as errors do: each provider's client lies in a package of that name."""
    _impactflow, _clients, provider, *_ = method.__module__.split(".")
    return provider


class _DiscreetSignature(Signature):
    """A task's parameters. Where a call does not fit them, Prefect's own error would repeat the arguments."""

    _task: str

    @classmethod
    def of(cls, method: Callable[..., Any], task: str) -> "_DiscreetSignature":
        """The method's parameters, with the account in place of the client."""
        client, *parameters = signature(method).parameters.values()
        made = cls([client.replace(name="credentials", annotation=Credentials[Any]), *parameters])
        made._task = task
        return made

    def bind(self, *args: Any, **kwargs: Any) -> BoundArguments:
        """Bind the arguments, or name the one that does not fit."""
        try:
            return super().bind(*args, **kwargs)
        except TypeError as misfit:
            raise ConfigurationError(f"{self._task}: {misfit}") from None
