"""The parts of a sandbox that its APIs share: the shop's orders, the books, the callbacks, and the options."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from impactflow.sandbox.books import Books
from impactflow.sandbox.callbacks import Callbacks
from impactflow.sandbox.options import Options


class Shop:
    """
    The merchant's orders: raw JSON values as Wicked Reports returns them.

    ``orders`` may be added to and its items replaced at any time, even between two pages.
    """

    def __init__(self, orders: Iterable[Any] = ()) -> None:
        self.orders: list[Any] = list(orders)


@dataclass(frozen=True, slots=True)
class Shared:
    """
    The parts that every pretended API gets, of which it uses those that it needs.

    Args:
        options: The sandbox's behaviour.
        shop: The orders.
        books: Every purchase that took effect.
        callbacks: The providers' callbacks.
    """

    options: Options
    shop: Shop
    books: Books
    callbacks: Callbacks
