"""
Group commit: one thread writes, and all changes that are pending when it is free share one transaction.

A caller awaits ``submit`` and returns when its change is on disk. While one group is being committed the next gathers,
so a slow disk makes larger groups, not slower callers.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError

from impactflow.errors import AlreadyRecorded, LedgerContended, LedgerError, TransitionRefused
from impactflow.ledger.engine import translated

T = TypeVar("T")
R = TypeVar("R")
#: Writes a group of changes of one kind within an open transaction and answers for each, in order.
Handler = Callable[[Connection, Sequence[T]], Sequence[R]]
#: The number of times a group is tried if the database gives it up for another transaction.
_TRIES = 5
#: Changes of one kind, and their handler.
Changes = tuple[Handler[Any, Any], Sequence[Any]]


@dataclass(frozen=True, slots=True)
class _Request:
    """Changes of one or more kinds that one caller waits for together."""

    changes: Sequence[Changes]
    done: asyncio.Future[list[Sequence[Any]]]


class Writer:
    """The ledger's only writer within this process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._pending: list[_Request] = []
        self._pump: asyncio.Task[None] | None = None

    async def submit(self, handler: Handler[T, R], item: T) -> R:
        """
        Write one change together with all other pending changes; return the handler's answer once it is committed.

        Raises:
            TransitionRefused: The placement had changed meanwhile; the other changes of the group are not affected.
            LedgerError: The database failed; nothing of the group was written.
        """
        answers: list[Sequence[R]] = await self.submit_all([(handler, [item])])
        return answers[0][0]

    def submit_all(self, changes: Sequence[Changes]) -> asyncio.Future[list[Sequence[Any]]]:
        """
        Write several changes in one commit, in this order; return the handlers' answers, item by item.

        Raises:
            TransitionRefused: As for ``submit``, if any of the changes was refused.
            LedgerError: As for ``submit``.
        """
        done: asyncio.Future[list[Sequence[Any]]] = asyncio.get_running_loop().create_future()
        self._pending.append(_Request(changes, done))
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._write_while_pending())
        return done

    def close(self) -> None:
        """Wait for the commit that is under way, and end the thread."""
        self._thread.shutdown()

    async def _write_while_pending(self) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0)  # changes from this tick of the loop belong to the same group
        while self._pending:
            group, self._pending = self._pending, []
            try:
                answers = await loop.run_in_executor(self._thread, self._write, group)
            except BaseException as ended:  # a signal, raised anywhere in the loop: no caller may wait for ever
                for request in (*group, *self._pending):
                    request.done.cancel(f"the ledger's writer was ended by {type(ended).__name__}")
                self._pending = []
                raise
            for request, answer in zip(group, answers, strict=True):
                if request.done.done():  # its caller was cancelled; the changes stand
                    continue
                if isinstance(answer, BaseException):
                    request.done.set_exception(_acceptable(answer))
                else:
                    request.done.set_result(answer)

    def _write(self, group: Sequence[_Request]) -> Sequence[list[Sequence[Any]] | BaseException]:
        """Commit a group as one; if that fails, commit each change alone, so that only the faulty change fails."""
        try:
            return self._commit([request.changes for request in group])
        except BaseException as error:  # noqa: BLE001 - it must reach the callers that wait, whatever it is
            if not _is_of_one_change(error):
                return [error] * len(group)
            return [self._write_alone(request.changes) for request in group]

    def _write_alone(self, changes: Sequence[Changes]) -> list[Sequence[Any]] | BaseException:
        """Commit each change of a request by itself; return the first error, once all were tried."""
        failure: BaseException | None = None
        answers: list[Sequence[Any]] = []
        for handler, items in changes:
            alone: list[Any] = []
            for item in items:
                try:
                    alone += self._commit([[(handler, [item])]])[0][0]
                except BaseException as error:  # noqa: BLE001 - likewise
                    failure = failure or error
            answers.append(alone)
        return failure or answers

    def _commit(self, group: Sequence[Sequence[Changes]]) -> list[list[Sequence[Any]]]:
        """Commit changes as one; try again if the database asks for it, because of a deadlock with others."""
        for _ in range(_TRIES - 1):
            with suppress(LedgerContended):
                return self._try_to_commit(group)
        return self._try_to_commit(group)

    def _try_to_commit(self, group: Sequence[Sequence[Changes]]) -> list[list[Sequence[Any]]]:
        items: dict[Handler[Any, Any], list[Any]] = {}
        for changes in group:
            for handler, some in changes:
                items.setdefault(handler, []).extend(some)
        with translated(), self._engine.begin() as connection:
            answers = {handler: iter(handler(connection, all_)) for handler, all_ in items.items()}
        return [[list(islice(answers[handler], len(some))) for handler, some in changes] for changes in group]


def _is_of_one_change(error: BaseException) -> bool:
    """Whether an error is of one change, such as a text that the database cannot keep, and not of the database."""
    match error:
        case TransitionRefused() | AlreadyRecorded():
            return True
        case LedgerError():
            return not isinstance(error.__cause__, OperationalError | InterfaceError | InternalError)
    return isinstance(error, Exception)


def _acceptable(error: BaseException) -> BaseException:
    """An error that a future accepts: it refuses a StopIteration, and the caller would wait for ever."""
    if not isinstance(error, StopIteration):
        return error
    replacement = RuntimeError("a change raised StopIteration")
    replacement.__cause__ = error
    return replacement
