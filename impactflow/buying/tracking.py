"""
Follow purchases until the provider has finished them, for weeks, without a process that stays alive.

The ledger says when to look at each placement next: at once after it was placed, then after minutes, then more and more
rarely, at least once a day. A pass looks at the placements that are due and ends.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from impactflow.accounts import NOT_HALTED, Halt, StoreAccount
from impactflow.errors import ProviderError, TransitionRefused, Unauthorized
from impactflow.ledger import Move, Postponement, Status
from impactflow.models import Placement, Progress, Receipt, Stage
from impactflow.taskgroup import together

log = logging.getLogger(__name__)

_DAY_S = 86_400.0
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Tracked:
    """
    The result of one pass.

    Args:
        checked: Placements that the provider was asked about.
        completed: The checked placements that are complete now.
        cancelled: The checked placements that are cancelled at the provider.
        unanswered: The checked placements without an answer; the provider is asked again.
        halted: Why the pass ended early, if it did.
    """

    checked: int = 0
    completed: int = 0
    cancelled: int = 0
    unanswered: int = 0
    halted: Halt = NOT_HALTED

    def __add__(self, other: "Tracked") -> "Tracked":
        """Two passes as one."""
        return Tracked(
            self.checked + other.checked,
            self.completed + other.completed,
            self.cancelled + other.cancelled,
            self.unanswered + other.unanswered,
            self.halted + other.halted,
        )


def track_delay_s(first_s: float, checks: int) -> float:
    """Seconds until the next look after this many looks: ``first_s``, twice that, ... up to a day."""
    return min(_DAY_S, first_s * 2.0 ** min(checks, 30))


class Tracking:
    """
    One pass over the placements of one provider.

    Args:
        account: The store's account at the provider.
        everything: Look at all open placements, due or not: a person is waiting.
        report: Called with each answer.
    """

    def __init__(
        self,
        account: StoreAccount,
        *,
        everything: bool = False,
        report: Callable[[Tracked], None] = lambda _: None,
    ) -> None:
        self._account = account
        self._ledger = account.ledger
        self._clock = account.clock
        self._config = account.config
        self._everything = everything
        self._report = report
        self._tracked = Tracked()

    async def run(self) -> Tracked:
        """
        Ask about each placement once.

        Raises:
            LedgerError: The ledger failed; the answers recorded before stand.
        """
        queue: asyncio.Queue[tuple[Placement, int] | None] = asyncio.Queue(maxsize=self._config.concurrency)
        async with together() as group:
            for _ in range(self._config.concurrency):
                group.create_task(self._work(queue))
            async for open_placement in self._placed():
                await queue.put(open_placement)
            for _ in range(self._config.concurrency):
                await queue.put(None)
        return self._tracked

    async def _placed(self) -> AsyncIterator[tuple[Placement, int]]:
        due_by = None if self._everything else self._clock.now()
        name, store, after = self._account.name, self._account.store, 0
        while not self._tracked.halted:
            page = await self._ledger.placed(name, store, due_by=due_by, after=after, limit=_PAGE)
            if not page:
                return
            for open_placement in page:
                yield open_placement
            after = page[-1][0].id

    async def _work(self, queue: asyncio.Queue[tuple[Placement, int] | None]) -> None:
        while (item := await queue.get()) is not None:
            if not self._tracked.halted:
                await self._track(*item)
                self._report(self._tracked)

    async def _track(self, placement: Placement, checks: int) -> None:
        progress = Progress(Stage.OPEN, "not answered")
        try:
            progress = await self._account.provider.track(placement)
            self._count("checked")
        except Unauthorized as error:
            self._tracked = replace(self._tracked, halted=self._tracked.halted + Halt.after(error))
            return
        except ProviderError as error:
            self._count("checked", "unanswered")
            log.info("not answered: %s", error, extra={"action": "track_unanswered"})
        settled_at = placement.sent_until + timedelta(seconds=self._config.settle_s)
        if progress.stage is Stage.OPEN or (progress.unseen and self._clock.now() < settled_at):
            due_at = self._clock.now() + timedelta(seconds=track_delay_s(self._config.track_s, checks))
            await self._ledger.postpone(Postponement(placement, due_at, progress.certificate_url, progress.parts))
        else:
            await self._end(placement, progress)

    async def _end(self, placement: Placement, progress: Progress) -> None:
        completed = progress.stage is Stage.COMPLETED
        to = Status.COMPLETED if completed else Status.CANCELLED
        receipt = Receipt(placement.ref or "", certificate_url=progress.certificate_url, parts=progress.parts)
        detail = None if completed else "cancelled at the provider"
        move = Move(placement, Status.PLACED, to, self._clock.now(), self._account.run_id, detail, receipt=receipt)
        try:
            await self._ledger.move(move)
        except TransitionRefused:
            return  # another run saw the same
        self._count("completed" if completed else "cancelled")

    def _count(self, *fields: str) -> None:
        self._tracked = replace(self._tracked, **{field: getattr(self._tracked, field) + 1 for field in fields})
