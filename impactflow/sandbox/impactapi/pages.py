"""Numbered pages, in an order that the query chooses. Used by the lists of this package."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from impactflow.sandbox.api import Call, Declined, whole_number
from impactflow.sandbox.messages import Reply, json_reply

T = TypeVar("T")
_LONGEST, _DEFAULT = 100, 10
_LAST = 999_999_999


class Cut(Protocol):
    """``Api.page``, which shifts a page where a fault strikes it."""

    def __call__(  # noqa: D102 - it is described there
        self, items: Sequence[T], positions: Sequence[int], call: Call, *, limit: int, before: Sequence[int]
    ) -> tuple[list[T], int | None]: ...


def list_page(
    cut: Cut,
    call: Call,
    items: Sequence[T],
    wanted: Callable[[T], bool],
    sorts: Mapping[str, Callable[[T], Any]],
    show: Callable[[T], dict[str, Any]],
) -> Reply:
    """
    One page of a list.

    Args:
        cut: Takes the page out of the list.
        call: The request, with the page's number, length and order.
        items: Everything that was ever listed, the oldest first.
        wanted: Selects the items that belong to the list.
        sorts: The sort keys, by the names that ``sort_by`` may have; the first is the default.
        show: Writes one item.
    """
    params = call.query()
    size = whole_number(params, "per_page", least=1, most=_LONGEST, default=_DEFAULT)
    number = whole_number(params, "page", least=1, most=_LAST, default=1)
    key = sorts[_choice(params, "sort_by", list(sorts))]
    descending = _choice(params, "sort_order", ["desc", "asc"]) == "desc"
    listed = [position for position, item in enumerate(items) if wanted(item)]
    listed.sort(key=lambda position: (key(items[position]), position), reverse=descending)
    start = (number - 1) * size
    found, following = cut(items, listed[start:], call, limit=size, before=listed[:start][::-1])
    is_cut_short = following is None and len(listed) > start + size
    content = {
        "data": [show(item) for item in found],
        "current_page": number,
        "from": start + 1 if found else None,
        "to": start + len(found) if found else None,
        "per_page": size,
        "last_page": number if is_cut_short else max(1, -(-len(listed) // size)),
        "total": len(listed),
    }
    return json_reply(200, content)


def _choice(params: Mapping[str, list[str]], name: str, choices: Sequence[str]) -> str:
    chosen = params.get(name, [choices[0]])[-1]
    if chosen not in choices:
        raise Declined(422, f"{name} must be one of {', '.join(choices)}.", field=name)
    return chosen
