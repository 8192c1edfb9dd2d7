"""
Make a Prefect task of any operation of a client: ``task_for``.

Such a task takes the account's block first, then the operation's parameters. Prefect may repeat a task that only reads
and never one that buys or changes something. Prefect keeps neither arguments nor results, because they include keys and
addresses.
A flow that is run again, by its own retries or by hand, would call all of its tasks again. A task that buys or changes
something refuses then, unless it takes an idempotency key. Where a parent flow is run again, Prefect counts the runs of
its subflows anew, so the parent flow must have no retries either.
Each call opens its own client. For many calls, ``credentials.client()`` opens one client for all of them.
"""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from functools import wraps
from inspect import BoundArguments, Signature, signature
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

from prefect.blocks.core import Block
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext
from prefect.exceptions import MappingLengthMismatch, MappingMissingIterable
from prefect.tasks import Task
from prefect.utilities.annotations import unmapped

from impactflow.clients.operations import Operation
from impactflow.clients.paging import Page, items
from impactflow.errors import ConfigurationError
from tasks.retries import READS

P = ParamSpec("P")
R = TypeVar("R")
Client = TypeVar("Client")
Client_co = TypeVar("Client_co", covariant=True)


class Credentials(Protocol[Client_co]):
    """An account, in the form that a task needs; see ``credentials``."""

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
    Make a task of an operation; a listing becomes a task that returns the list of the items on all its pages.

    Args:
        method: The client's method, such as ``CNaughtClient.get_order``; the task has its docstring and parameters.
    """
    operation: Operation = method.__operation__  # type: ignore[attr-defined]
    name = f"{_provider(method)} {operation.name}"
    happens_each_time = operation.writes and "idempotency_key" not in signature(method).parameters

    @wraps(method)
    async def run(credentials: Credentials[Any], *args: Any, **kwargs: Any) -> Any:
        if happens_each_time and _is_run_again():
            raise ConfigurationError(
                f"{name}: the flow is run again and this would happen again, so it is not sent: take the retries off "
                "the flow, and start a new run once it is known what the last one did"
            )
        async with credentials.client() as client:
            if getattr(type(client), operation.name, None) is not method:
                raise ConfigurationError(f"{name}: {type(credentials).__name__} is an account at another provider")
            answer = method(client, *args, **kwargs)
            return [item async for item in items(answer)] if isinstance(answer, AsyncIterator) else await answer

    run.__signature__ = _DiscreetSignature.of(method, name)  # type: ignore[attr-defined]
    # Without ``retries`` Prefect would take the number from its own settings.
    again: dict[str, Any] = {"retries": 0} if operation.writes else READS
    return OperationTask(run, name=name, cache_policy=NO_CACHE, persist_result=False, log_prints=False, **again)


def _provider(method: Callable[..., Any]) -> str:
    """Return the provider's name, as errors do: each provider's client is in a package of that name."""
    _impactflow, _clients, provider, *_ = method.__module__.split(".")
    return provider


def _is_run_again() -> bool:
    """Whether the enclosing flow was started before, in this same run."""
    context = FlowRunContext.get()
    return context is not None and context.flow_run is not None and context.flow_run.run_count > 1


class OperationTask(Task[P, R]):
    """The task of an operation."""

    def map(self, *args: Any, **kwargs: Any) -> Any:
        """
        Call the operation for each value in a list; the account, a block, is the same for all of them.

        Raises:
            ConfigurationError: There is no list, or there are two of different lengths. The message repeats no values,
                as Prefect's own error would, because Prefect keeps the message.
        """
        named = {name: _same_for_all(value) for name, value in kwargs.items()}
        try:
            return super().map(*(_same_for_all(value) for value in args), **named)
        except MappingMissingIterable:
            raise ConfigurationError(f"{self.name}: map needs a list among its arguments") from None
        except MappingLengthMismatch:
            raise ConfigurationError(f"{self.name}: the lists that map is given must be of one length") from None


def _same_for_all(value: Any) -> Any:
    """Mark a block as unmapped: a block can be iterated over, and would be treated as a list."""
    return unmapped(value) if isinstance(value, Block) else value


class _DiscreetSignature(Signature):
    """A task's parameters. Where a call does not fit them, Prefect's own error would repeat the arguments."""

    _task: str

    @classmethod
    def of(cls, method: Callable[..., Any], task: str) -> "_DiscreetSignature":
        """Return the method's parameters, with the account in place of the client."""
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
