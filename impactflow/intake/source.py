"""The interface of a source of orders, as planning uses it."""

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
