"""
The names that an order goes by: two orders that share one are the same sale.

    wr:ID            its id in Wicked Reports
    src:SYSTEM:ID    its id or its number in the system that sold it
    id:SYSTEM:ID     the shop's own id: two different ids are two sales, even if they share a number
    lot:SLOT:NUMBER  no order, but one purchase for many

The ledger keeps names as these texts; this module alone knows how they are made up. ``LISTED`` and ``IDENTITY`` are the
patterns of SQL's LIKE for names of the first and the third kind.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

LISTED = "wr:%"
IDENTITY = "id:%"


def wicked_name(order_id: str) -> str:
    """The name of an order by its id in Wicked Reports."""
    return f"wr:{order_id}"


def is_listed(names: Iterable[str]) -> bool:
    """Whether one of an order's names is its id in Wicked Reports."""
    return any(name.startswith(LISTED.removesuffix("%")) for name in names)


def wicked_id(name: str) -> str:
    """The id of an order in Wicked Reports, from its name; any other text as it is."""
    return name.removeprefix("wr:")


def is_system(text: str) -> bool:
    """Whether a text names the system that sold something; only then is an id in it a name."""
    return text.strip().lower() not in {"", "unknown"}


def source_name(system: str, source_id: str) -> str:
    """The name of an order by the id that its source gave it: two shops may both have an order 1001."""
    return f"src:{system.strip().lower()}:{source_id.strip()}"


def identity(system: str, order_id: str) -> str:
    """The name of an order by its own shop's id."""
    return f"id:{system.strip().lower()}:{order_id.strip()}"


def order_id_of(name: str) -> str:
    """The id of an order that only its source has reported, ``SYSTEM:ID``, from its name; any other text as it is."""
    return name.removeprefix("src:")


def without_kind(name: str) -> str:
    """A name without the part that says of which kind it is, as a person may type it."""
    return name.partition(":")[2]


def possible_names(typed: str) -> tuple[str, ...]:
    """The names that a person may mean by an id, with or without its kind."""
    return typed, wicked_name(typed), name_of_source(typed)


def names_of(order_id: str) -> tuple[str, ...]:
    """The names that follow from an order's id: an id of the form ``SYSTEM:ID`` may come from a webhook."""
    system, _, number = order_id.partition(":")
    return (wicked_name(order_id), name_of_source(order_id)) if system and number else (wicked_name(order_id),)


def name_of_source(order_id: str) -> str:
    """The name of an order by its id of the form ``SYSTEM:ID``."""
    return f"src:{order_id}"


def systems_of(names: Iterable[str]) -> frozenset[str]:
    """The systems that sold an order, as far as its names say."""
    return frozenset(name.split(":", 2)[1] for name in names if name.startswith("src:"))


def lot_name(slot: str, number: int) -> str:
    """The name of a lot, by its slot and its number there; it stands in the place of an order's id, too."""
    return f"lot:{slot}:{number}"


def is_lot(order_id: str) -> bool:
    """Whether an id is that of a lot; no order has such an id."""
    return order_id.startswith("lot:")


def lot_number(order_id: str) -> int | None:
    """The number of a lot, from its name; None for an order."""
    _, _, number = order_id.rpartition(":")
    return int(number) if is_lot(order_id) and number.isdecimal() else None


def is_identity(name: str) -> bool:
    """Whether a name is a shop's own id."""
    return name.startswith("id:")


def identities_as_sources(names: Iterable[str]) -> frozenset[str]:
    """The names under which another source may report an order by the shop's own id for it."""
    return frozenset(name_of_source(without_kind(name)) for name in names if is_identity(name))


def identities_by_system(names: Iterable[str]) -> Mapping[str, set[str]]:
    """The names that are shops' own ids, by system."""
    by_system: dict[str, set[str]] = defaultdict(set)
    for name in names:
        system, colon, _ = without_kind(name).partition(":")
        if is_identity(name) and colon:
            by_system[system].add(name)
    return by_system
