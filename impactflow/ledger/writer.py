"""
Group commit: one thread writes, and whatever is pending when it comes round shares one transaction.

A caller awaits ``submit`` and returns when its change is on disk. While one group is being committed the next gathers,
so a slow disk makes larger groups, not slower callers. Called by ``Ledger`` only.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from impactflow.errors import TransitionRefused
from impactflow.ledger.engine import translated

T = TypeVar("T")
R = TypeVar("R")
#: Writes a group of like changes within an open transaction and answers for each, in order.
Handler = Callable[[Connection, Sequence[T]], Sequence[R]]


@dataclass(frozen=True, slots=True)
class _Change:
    handler: Handler[Any, Any]
    item: Any
    done: asyncio.Future[Any]


class Writer:
    """The ledger's only writer within this process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._pending: list[_Change] = []
        self._pump: asyncio.Task[None] | None = None

    async def submit(self, handler: Handler[T, R], item: T) -> R:
        """
        Write one change together with whatever else is pending; return the handler's answer once it is committed.

        Raises:
            TransitionRefused: The placement had moved on; the others of the group are not touched by that.
            LedgerError: The database failed; nothing of the group was written.
        """
        done: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._pending.append(_Change(handler, item, done))
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._write_while_pending())
        return await done

    def close(self) -> None:
        """Wait for the commit that is under way, and end the thread."""
        self._thread.shutdown()

    async def _write_while_pending(self) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0)  # what this tick of the loop still has to say belongs to the same group
        while self._pending:
            group, self._pending = self._pending, []
            answers = await loop.run_in_executor(self._thread, self._write, group)
            for change, answer in zip(group, answers, strict=True):
                if change.done.done():  # its caller was cancelled; the change stands
                    continue
                if isinstance(answer, BaseException):
                    change.done.set_exception(answer)
                else:
                    change.done.set_result(answer)

    def _write(self, group: Sequence[_Change]) -> Sequence[Any]:
        """Commit a group as one; if that fails, each change alone, so that only the guilty one fails."""
        try:
            return self._commit(group)
        except (TransitionRefused, IntegrityError) as error:
            if len(group) == 1:
                return [error]
            return [self._write([change])[0] for change in group]
        except BaseException as error:  # noqa: BLE001 - it must reach the callers that wait, whatever it is
            return [error] * len(group)

    def _commit(self, group: Sequence[_Change]) -> Sequence[Any]:
        by_handler: dict[Handler[Any, Any], list[int]] = {}
        for index, change in enumerate(group):
            by_handler.setdefault(change.handler, []).append(index)
        answers: list[Any] = [None] * len(group)
        with translated(), self._engine.begin() as connection:
            for handler, indexes in by_handler.items():
                results = handler(connection, [group[index].item for index in indexes])
                for index, result in zip(indexes, results, strict=True):
                    answers[index] = result
        return answers
