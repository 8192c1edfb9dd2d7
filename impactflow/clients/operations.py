"""
Mark a client's method as an operation of its provider: a request line, and arguments checked before sending.

A limit that the provider documents stands in the method's signature (``amount: Annotated[int, Field(ge=1)]``), where
people, type checkers and ``tasks`` read it too. The method's body checks limits that depend on two arguments. ``http``
sends and reads.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from inspect import signature
from itertools import chain
from typing import Any, ParamSpec, Protocol, TypeVar

from pydantic import ConfigDict, ValidationError, validate_call
from pydantic_core import ErrorDetails

from impactflow.clients.answers import place
from impactflow.clients.http import HttpClient, quick_copy

P = ParamSpec("P")
R = TypeVar("R")

_STRICT = ConfigDict(
    strict=True,
    allow_inf_nan=False,
    hide_input_in_errors=True,
    arbitrary_types_allowed=True,
    defer_build=True,  # a hundred operations, of which a command calls a few
)


class _Client(Protocol):
    """The part of a client that ``operation`` needs."""

    _http: HttpClient


C = TypeVar("C", bound=_Client)


def with_final_check(client: C, final_check: Callable[[], None]) -> C:
    """
    Copy a client; the copy's writes call ``final_check`` in the same step that sends them.

    Args:
        client: Any of the four.
        final_check: As for ``HttpClient.with_final_check``.
    """
    copied = quick_copy(client)
    copied._http = client._http.with_final_check(final_check)  # noqa: SLF001
    return copied


@dataclass(frozen=True, slots=True)
class Operation:
    """
    One operation that a provider documents.

    Args:
        name: The provider's own name of it, and the method's name.
        request: Its method and path below the base URL, such as ``GET /orders/{id}``.
        writes: Whether it buys or changes something; if so, nothing repeats it by itself.
    """

    name: str
    request: str
    writes: bool


def operation(request: str, *, writes: bool = False) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """
    Mark a client's method as an operation, and check its arguments against their types before it runs.

    Args:
        request: As for ``Operation``.
        writes: As for ``Operation``.

    Raises:
        Refused: From the method, when an argument does not fit its type; nothing was sent.
    """

    def decorate(method: Callable[P, R]) -> Callable[P, R]:
        described = Operation(method.__name__, request, writes)
        names = list(signature(method).parameters)

        @validate_call(config=_STRICT)
        @wraps(method)
        def check(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
            return args, kwargs

        @wraps(method)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                checked, named = check(*args, **kwargs)
            except ValidationError as broken:
                client: _Client = args[0]  # type: ignore[assignment]
                errors = broken.errors(include_input=False, include_url=False, include_context=False)
                problems = "; ".join(_named(error, names) for error in errors)
                raise client._http.refused(described.name, problems) from None  # noqa: SLF001
            return method(*checked, **named)

        call.__operation__ = described  # type: ignore[attr-defined]
        return call

    return decorate


def _named(error: ErrorDetails, names: Sequence[str]) -> str:
    """Say what is wrong with an argument, always by its name, and never with its content."""
    argument, *within = error["loc"]
    name = names[argument] if isinstance(argument, int) and argument < len(names) else argument
    return f"{place((name, *within))}: {error['msg']}"


def operations(client: type) -> dict[str, Operation]:
    """Return a client's operations by name: its own in the order of definition, then those of its base classes."""
    methods = chain.from_iterable(vars(part).items() for part in client.__mro__)
    found = ((name, getattr(method, "__operation__", None)) for name, method in methods)
    return {name: described for name, described in found if described is not None}
