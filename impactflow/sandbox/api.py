"""
The common part of the four pretend providers: routes, the parts of a call, refusals, pages.

An ``Api`` is one provider's rules and state. It always tells the truth and answers at once; the faulty network in front
of it is ``faulty_network.py``. To add an operation, write a handler and a line in the provider's ``routes``.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import chain, islice
from types import MappingProxyType
from typing import Any, ClassVar, NoReturn, TypeVar
from urllib.parse import parse_qs, unquote

from impactflow.sandbox.faults import Nature
from impactflow.sandbox.messages import Reply, Request
from impactflow.sandbox.shared import Shared

T = TypeVar("T")


class Declined(Exception):
    """
    A refusal by the provider; each provider writes it in its own words.

    Args:
        status: The HTTP status.
        message: The error, for a person.
        field: The wrong field or parameter, where there is one.
        code: The provider's code for it, where it has codes.
    """

    def __init__(self, status: int, message: str, *, field: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.field = field
        self.code = code


@dataclass(frozen=True, slots=True)
class Route:
    """
    One operation.

    Args:
        method: In capitals.
        path: Below the provider's own prefix, with ``*`` for a variable part.
        handler: Answers the operation.
        nature: The kind of the operation.
    """

    method: str
    path: str
    handler: "Callable[[Call], Reply]"
    nature: Nature = Nature.READ


@dataclass(frozen=True, slots=True)
class Call:
    """
    One request, taken apart for the handler of its route.

    Args:
        request: The request that arrived.
        route: The operation that it asks for.
        names: The variable parts of its path, decoded.
        now: When it takes effect.
        listed_at: The time from which a listing shows the purchase of this call.
        shift: -1 where a page repeats the item before it, 1 where it misses its first item, else 0.
        times: Number of times that the requested purchase is made.
        ends: Whether a listing ends with this page, whatever comes after it.
    """

    request: Request
    route: Route
    names: tuple[str, ...]
    now: datetime
    listed_at: datetime
    shift: int = 0
    times: int = 1
    ends: bool = False

    def query(self) -> dict[str, list[str]]:
        """The query's parameters."""
        return parse_qs(self.request.query, keep_blank_values=True)

    def content(self) -> Any:
        """
        The body's JSON, decimals exact.

        Raises:
            Declined: The body is not JSON.
        """
        try:
            return _DECODER.decode(self.request.body.decode())
        except (ValueError, RecursionError):
            raise Declined(400, "The body is not valid JSON.") from None

    def fields(self) -> dict[str, Any]:
        """
        The body's JSON object, decimals exact.

        Raises:
            Declined: The body is not a JSON object.
        """
        content = self.content()
        if not isinstance(content, dict):
            raise Declined(400, "The body must be a JSON object.")
        return content


def _everything(_: object) -> bool:
    return True


class Api(ABC):
    """
    One pretend provider: its routes, its key, its refusals, and its memory.

    Attributes:
        name: The name that it has everywhere here; the first part of its paths.
        account: The beginning of the environment variables that hold its URL and key.
        root: The part of its URL behind the name, such as ``/v1``; the routes have it, too.
        key: The API key that it accepts.
        weaknesses: What its references leave open, by the name in ``Options.poor``: in what its answers are poorer.
    """

    name: ClassVar[str]
    account: ClassVar[str]
    root: ClassVar[str] = ""
    key: ClassVar[str]
    weaknesses: ClassVar[Mapping[str, str]] = MappingProxyType({})

    def __init__(self, shared: Shared) -> None:
        self._options = shared.options
        #: The numbers of pages really shifted, and of listings cut short.
        self.pages_shifted = self.listings_cut = 0
        self._left_out: set[tuple[int, int]] = set()
        self._unknown = Route("", "", self._not_found)
        self._routes: dict[tuple[str, int], list[tuple[list[str], Route]]] = {}
        for route in self.routes():
            parts = route.path.split("/")
            self._routes.setdefault((route.method, len(parts)), []).append((parts, route))

    @abstractmethod
    def routes(self) -> Iterable[Route]:
        """Every operation of this provider."""

    @abstractmethod
    def authorise(self, request: Request) -> None:
        """
        Check the key.

        Raises:
            Declined: The key is missing or wrong.
        """

    @abstractmethod
    def decline(self, declined: Declined) -> Reply:
        """Write a refusal in this provider's own form."""

    def hold(self, request: Request) -> None:  # noqa: B027 - only a provider with idempotency keys needs it
        """Note that a request has arrived, and runs until it is released."""

    def release(self, request: Request) -> None:  # noqa: B027 - likewise
        """Note that a request has been answered, or that no client waits for its answer any more."""

    def call(self, request: Request, path: str, now: datetime) -> Call:
        """Return the call of a request; ``path`` is the part after the provider's own prefix."""
        parts = path.split("/")
        for template, route in self._routes.get((request.method, len(parts)), ()):
            names = _names(template, parts)
            if names is not None:
                return Call(request, route, names, now, now)
        return Call(request, self._unknown, (), now, now)

    def distinguishes(self, other: Reply, right: Reply) -> bool:
        """Whether an answer to another request can be told from the right one."""
        return other.body != right.body

    def answer(self, call: Call) -> Reply:
        """Return this provider's answer, after any effect."""
        try:
            self.authorise(call.request)
            return call.route.handler(call)
        except Declined as declined:
            return self.decline(declined)

    def page(
        self,
        items: Sequence[T],
        positions: Sequence[int],
        call: Call,
        *,
        limit: int,
        before: Sequence[int] = (),
        wanted: Callable[[T], bool] = _everything,
    ) -> tuple[list[T], int | None]:
        """
        One page of a listing.

        Args:
            items: The whole listing, which only grows at its end.
            positions: The positions still to be read, in order.
            call: Says whether this page shifts.
            limit: How many items fit.
            before: The positions already read, nearest first; none on a first page, which never shifts.
            wanted: Selects the items that belong to the answer.

        Returns:
            The items, and the position of the first one after them, None where nothing is left.
        """
        order = self._shifted(items, positions, call.shift, before, wanted) if call.shift and before else positions
        found = (position for position in order if wanted(items[position]))
        taken = [items[position] for position in islice(found, limit)]
        following = next(found, None)
        if following is not None and call.ends and self._leave_out(items, [following, *found]):
            return taken, None
        return taken, following

    def _leave_out(self, items: Sequence[T], positions: Sequence[int]) -> bool:
        """End a listing before these items; not where one of them was missing from it before."""
        left_out = {(id(items), position) for position in positions}
        if not left_out or left_out & self._left_out:
            return False
        self._left_out |= left_out
        self.listings_cut += 1
        return True

    def _shifted(
        self,
        items: Sequence[T],
        positions: Sequence[int],
        shift: int,
        before: Sequence[int],
        wanted: Callable[[T], bool],
    ) -> Iterable[int]:
        """The positions, with the one before them repeated or the first one missing (each only once, ever)."""
        if shift < 0:
            nearest = list(islice((position for position in before if wanted(items[position])), 1))
            self.pages_shifted += len(nearest)
            return chain(nearest, positions)
        first = next((position for position in positions if wanted(items[position])), None)
        if first is None or (id(items), first) in self._left_out:
            return positions
        self._left_out.add((id(items), first))
        self.pages_shifted += 1
        return (position for position in positions if position != first)

    def _not_found(self, call: Call) -> NoReturn:
        raise Declined(404, f"There is nothing at {call.request.method} {unquote(call.request.path)}.")


def whole_number(params: Mapping[str, list[str]], name: str, *, least: int, most: int, default: int) -> int:
    """
    A whole number from the query.

    Raises:
        Declined: The value is not a whole number, or out of range.
    """
    text = params.get(name, [str(default)])[-1]
    if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):  # noqa: PLR2004
        raise Declined(400, f"{name} must be a whole number from {least} to {most}.", field=name)
    return int(text)


def day(params: Mapping[str, list[str]], name: str) -> date | None:
    """
    A day from the query, None where it is not given.

    Raises:
        Declined: The value is not of the form YYYY-MM-DD.
    """
    text = params.get(name, [None])[-1]
    if text is None:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.isoformat() != text:
        raise Declined(400, f"{name} must be a day such as 2026-11-21.", field=name)
    return found


def is_whole(value: object, least: int, most: int) -> bool:
    """Whether the value is a JSON integer within a range."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_text(value: object, most: int) -> bool:
    """Whether the value is null or a text of at most ``most`` characters."""
    return value is None or (isinstance(value, str) and len(value) <= most)


def _names(template: list[str], parts: list[str]) -> tuple[str, ...] | None:
    names = []
    for expected, part in zip(template, parts, strict=True):
        if expected == "*" and part:
            names.append(unquote(part))
        elif expected != part:
            return None
    return tuple(names)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse_constant)
