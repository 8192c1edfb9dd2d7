"""The interface of a source of orders, as planning uses it, and the names of orders from every source."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from impactflow.models import BrokenOrder, Order
from impactflow.window import Window


class OrderSource(Protocol):
    """A source of orders: ``WickedReportsOrders`` or ``OrdersFile``."""

    @property
    def file(self) -> str | None:
        """
        The name of the file that is read; None for a system that lists all orders of a window.

        An order that such a system does not list is gone there. An order that a file leaves out may still exist.
        """
        ...

    def read(
        self, window: Window, missing: Callable[[int], None] = lambda _: None
    ) -> AsyncIterator[Sequence[Order | BrokenOrder]]:
        """
        Yield the window's orders, page by page, each order once; broken orders have no day, and all of them come.

        Args:
            window: The days to read.
            missing: Called at the end with how many orders may be missing, where the source cannot be sure of them.

        Raises:
            ConfigurationError: The file cannot be read; the pages before are good.
            ProviderError: A page could not be read; the pages before are good.
        """
        ...


def is_system(told: str) -> bool:
    """Whether a text names the system that sold something; only then is an id in it a name."""
    return told.strip().lower() not in {"", "unknown"}


def source_name(system: str, source_id: str) -> str:
    """The name of an order by the id that its source gave it: two shops may both have an order 1001."""
    return f"src:{system.strip().lower()}:{source_id.strip()}"


def identity(system: str, order_id: str) -> str:
    """The name of an order by its own shop's id: two different ids are two sales, even if they share other names."""
    return f"id:{system.strip().lower()}:{order_id.strip()}"
