"""
The ledger: every placement and every event of its life, in SQLite or Postgres.

``Ledger`` is the one way in. Writes go through a single writer that commits in groups (``writer``); what they may do is
in ``states`` and ``tables``. Reads go round it.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from sqlalchemy import Connection, Engine

from impactflow.ledger import (
    activity,
    adopting,
    approvals,
    deliveries,
    dismissals,
    facts,
    moves,
    planning,
    previews,
    queries,
    reasons,
    refunds,
    refusals,
    surplus_purchases,
    transitions,
    unlisted,
    unreadable,
    watermarks,
)
from impactflow.ledger.activity import Effect, Group, Line
from impactflow.ledger.adopting import Adopted, Bought, BoughtSlot, Vouched
from impactflow.ledger.approvals import Approval, Awaiting
from impactflow.ledger.deliveries import Delivery, Handled, Mended, Pending
from impactflow.ledger.dismissals import Dismissal
from impactflow.ledger.engine import open_engine, reading, require_writes, shortcomings, translated
from impactflow.ledger.facts import Kept, Told
from impactflow.ledger.fresh import FRESH, Fresh
from impactflow.ledger.moves import Claim, Look, Postponement
from impactflow.ledger.pages import Page
from impactflow.ledger.plan_rows import placement_key
from impactflow.ledger.planning import Planned
from impactflow.ledger.previews import Foreseen, Outlook
from impactflow.ledger.queries import Total
from impactflow.ledger.reasons import Need, Needs, Reason, Reasons
from impactflow.ledger.refunds import Announcement
from impactflow.ledger.refusals import Refused
from impactflow.ledger.rows import Entry
from impactflow.ledger.states import STANDING, TRANSITIONS, UNRESOLVED, WAITS_FOR_A_PERSON, Status
from impactflow.ledger.surplus_purchases import Step
from impactflow.ledger.transitions import Move
from impactflow.ledger.unlisted import Listing
from impactflow.ledger.writer import Changes, Writer
from impactflow.models import Kind, Placement, ProviderName, Refund, Unexplained

__all__ = [
    "FRESH",
    "STANDING",
    "TRANSITIONS",
    "UNRESOLVED",
    "WAITS_FOR_A_PERSON",
    "Adopted",
    "Announcement",
    "Approval",
    "Awaiting",
    "Bought",
    "BoughtSlot",
    "Claim",
    "Delivery",
    "Dismissal",
    "Effect",
    "Entry",
    "Foreseen",
    "Fresh",
    "Group",
    "Handled",
    "Kept",
    "Ledger",
    "Line",
    "Listing",
    "Look",
    "Mended",
    "Move",
    "Need",
    "Needs",
    "Outlook",
    "Page",
    "Pending",
    "Planned",
    "Postponement",
    "Reason",
    "Reasons",
    "Refused",
    "Status",
    "Step",
    "Told",
    "Total",
    "Vouched",
    "placement_key",
]

P = ParamSpec("P")
R = TypeVar("R")


class Ledger:
    """
    What was earned, what was sent for it, and what became of it.

    Every method that writes returns when its change is on disk and raises ``LedgerError`` where it is not.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reads = reading(engine)
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger-reads")
        self._writer = Writer(engine)

    @classmethod
    def open(cls, url: str) -> Self:
        """
        Open a ledger, and make or upgrade it where needed.

        Args:
            url: An SQLAlchemy URL, ``sqlite:///FILE`` or ``postgresql://...``.

        Raises:
            ConfigurationError: The URL is of another kind.
            LedgerTooNew: A newer impactflow wrote it.
            LedgerError: It cannot be opened.
        """
        return cls(open_engine(url))

    def close(self) -> None:
        """Wait for what is being written, and let go of the database."""
        self._writer.close()
        self._reader.shutdown()
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def plan(self, page: Page) -> Planned:
        """Write what a page of orders has earned, once for each order and slot, whoever else plans the same."""
        return await self._writer.submit(planning.plan, page)

    async def advance_watermark(self, store: str, source: str, read_to: date, *, today: date) -> None:
        """Every order of the source dated up to this day is planned; a day after today counts as today."""
        await self._writer.submit(watermarks.advance, (store, source, read_to, today))

    async def reach_back(self, store: str, source: str, from_: date, to: date) -> None:
        """All days of a source between these are planned, and so begins earlier what was read without a gap."""
        await self._writer.submit(watermarks.reach_back, (store, source, from_, to))

    async def leave_unlisted(self, listing: Listing) -> int:
        """Have what waits await approval where a complete reading does not list its order; how many placements."""
        return await self._writer.submit(unlisted.leave_to_person, listing)

    async def to_judge_again(self, store: str, policy: str, *, after: int = 0, limit: int = 500) -> Sequence[Kept]:
        """Orders as they are kept of which something waits, under another policy or since an announcement; by row."""
        return await self._read(facts.to_judge_again, store, policy, after, limit)

    async def mend_lines(self, store: str, file: str, began: datetime) -> None:
        """All of a file was read since then: what of its lines was found broken only before is mended, or gone."""
        await self._writer.submit(unreadable.mend_lines, (store, file, began))

    async def foresee(self, page: Page, outlook: Outlook) -> Sequence[Foreseen]:
        """
        What planning a page would leave planned, held or awaiting approval; nothing is written.

        Args:
            page: What was read.
            outlook: What the pages before it would have left; this one is added.
        """
        return await self._read(previews.foresee, page, outlook)

    async def to_send(self, store: str, fresh: Fresh) -> Sequence[Foreseen]:
        """What is planned of a store and would be sent now."""
        return await self._read(previews.to_send, store, fresh)

    async def record_and_claim(self, answers: Sequence[Move], claim: Claim, count: int) -> list[Placement]:
        """
        Record what became of requests, even if their lease is over, and claim what to send next, in one commit.

        Args:
            answers: The outcomes.
            claim: For whom; what is returned is held until its ``lease_until``, its intent on disk.
            count: At most so many; fewer come where no more may be sent now.
        """
        record: Changes = (moves.record_answer, answers)
        _, claimed = await self._writer.submit_all([record, (moves.claim, [claim] * count)])
        return [placement for placement in claimed if placement is not None]

    async def claim_doubts(self, claim: Claim) -> list[Placement]:
        """The due placements in doubt, reserved for this run until the lease ends."""
        return await self._writer.submit(moves.claim_doubts, claim)

    async def expire_leases(self, now: datetime, run_id: str) -> int:
        """Put in doubt what was being sent when its lease ran out; how many that were."""
        return await self._writer.submit(moves.expire_leases, (now, run_id))

    async def remember_handle(self, placement: Placement, handle: str | None) -> None:
        """Keep what a provider calls a purchase that has not taken effect yet."""
        await self._writer.submit(moves.remember_handles, (placement, handle))

    async def record_found(self, move: Move) -> None:
        """
        Record a purchase that was found in the provider's records.

        Raises:
            AlreadyRecorded: Another placement holds that purchase.
            TransitionRefused: The placement is no longer where the move starts.
        """
        await self._writer.submit(moves.record_found, move)

    async def move(self, move: Move) -> None:
        """
        Change a placement's status.

        Raises:
            TransitionRefused: The placement is no longer where the move starts, or the table does not allow it.
        """
        await self._writer.submit(transitions.move, move)

    async def postpone(self, postponement: Postponement) -> None:
        """Track a placement again later."""
        await self._writer.submit(moves.postpone, postponement)

    async def look_now(self, look: Look) -> frozenset[ProviderName]:
        """Make placements that took effect due to be tracked, by their keys; the providers of those that were not."""
        return await self._writer.submit(moves.look_now, look)

    async def intend_to_cancel(self, step: Step) -> None:
        """A purchase beside the one that a placement holds is about to be cancelled."""
        await self._writer.submit(surplus_purchases.intend_to_cancel, step)

    async def record_cancelled(self, step: Step) -> None:
        """A purchase beside the one that a placement holds is cancelled at the provider."""
        await self._writer.submit(surplus_purchases.record_cancelled, step)

    async def hold_the_earlier(self, step: Step) -> None:
        """
        Let a placement hold the earlier of two purchases under its key; the one that it held is now the further one.

        Raises:
            TransitionRefused: It holds another one by now, or is complete.
        """
        await self._writer.submit(surplus_purchases.hold_the_earlier, step)

    async def adopt(self, purchase: Bought) -> Adopted:
        """
        Write a purchase of ours that a provider's records tell of; done again, nothing changes.

        Raises:
            AlreadyRecorded: Another placement holds that purchase.
        """
        return await self._writer.submit(adopting.adopt, purchase)

    async def vouch(self, word: Vouched) -> None:
        """Keep a person's word that what is at an account without a key is not ours, up to now."""
        await self._writer.submit(adopting.vouch, word)

    async def account(self, provider: ProviderName, store: str) -> tuple[bool, datetime | None]:
        """Whether anything was ever sent to a provider for a store, and when somebody has vouched for the account."""
        return await self._read(adopting.account, provider, store)

    async def stores(self) -> Sequence[str]:
        """The stores whose orders the ledger has."""
        return await self._read(queries.stores)

    async def used(self, store: str) -> frozenset[ProviderName]:
        """The providers at which a store has placements, whatever became of them."""
        return await self._read(queries.used, store)

    async def slots(self) -> Mapping[str, Mapping[str, Kind]]:
        """The slots of each store that has placements, with what they buy."""
        return await self._read(adopting.slots)

    async def bought_slots(self) -> Sequence[BoughtSlot]:
        """The slots in which anything was bought, those with the most purchases first."""
        return await self._read(adopting.bought_slots)

    async def unused_slots(self, store: str, names: Iterable[str]) -> frozenset[str]:
        """Which of these slots of a store have no placement at all."""
        return await self._read(adopting.unused_slots, store, names)

    async def parts(self, provider: ProviderName, names: Iterable[str]) -> frozenset[str]:
        """Which of these names are of the one thing that some purchase of the ledger's consists of."""
        return await self._read(adopting.parts, provider, names)

    async def decide(self, approval: Approval) -> None:
        """
        Do what a person has decided about a placement that awaits approval.

        Raises:
            TransitionRefused: It does not await approval any more, or is not what the person was shown.
        """
        await self._writer.submit(approvals.decide, approval)

    async def awaiting(
        self,
        order: str | None = None,
        slot: str | None = None,
        *,
        store: str | None = None,
        placement: int | None = None,
        limit: int = 100,
    ) -> Sequence[Awaiting]:
        """
        What awaits a person's approval, the oldest first.

        Of one order by any of its names, of one slot, of one store, or one placement by its row.

        Raises:
            ConfigurationError: Several orders go by the name.
        """
        return await self._read(approvals.awaiting, order, slot, store, placement, limit)

    async def store_delivery(self, delivery: Delivery) -> bool:
        """Keep what a webhook brought; whether it is new."""
        return await self._writer.submit(deliveries.store, delivery)

    async def finish_delivery(self, handled: Handled) -> None:
        """Say what became of a delivery: it is remembered, and its body forgotten unless it could not be read."""
        await self._writer.submit(deliveries.finish, handled)

    async def reopen_deliveries(self, mended: Mended) -> int:
        """Let deliveries of a sender be handled again that could not be read by another mapping; how many."""
        return await self._writer.submit(deliveries.reopen, mended)

    async def dismiss(self, dismissal: Dismissal) -> str:
        """
        Keep a person's word that nothing is to be done about an order that could not be read; what the problem was.

        Raises:
            ConfigurationError: Nothing of that name asks for a person, or something of several stores does.
        """
        return await self._writer.submit(dismissals.dismiss, dismissal)

    async def record_refund(self, announcement: Announcement) -> int:
        """Remember a refund, whether its order is known or not, and withdraw what waits; how many placements."""
        return await self._writer.submit(refunds.record, announcement)

    async def refunds(self, store: str, names: Sequence[str]) -> Mapping[str, Sequence[Refund]]:
        """Announced refunds of the orders that go by these names, by the name asked for."""
        return await self._read(refunds.known, store, names)

    async def pending_deliveries(self, store: str, *, after: int = 0, limit: int = 500) -> Sequence[Delivery]:
        """Deliveries that nobody has handled, in the order in which they came, by id after ``after``."""
        return await self._read(deliveries.pending, store, after, limit)

    async def pending_since(self, store: str) -> datetime | None:
        """When the first delivery came that nobody has handled; None where all are."""
        return await self._read(deliveries.pending_since, store)

    async def pending_by_source(self) -> Sequence[Pending]:
        """How many deliveries nobody has handled, by store and source."""
        return await self._read(deliveries.pending_by_source)

    async def topics(self, store: str) -> frozenset[tuple[str, str]]:
        """Of which topics deliveries have ever come: source and topic."""
        return await self._read(deliveries.topics, store)

    async def count_refused(self, refused: Sequence[Refused]) -> None:
        """Add to how many deliveries were refused, in one commit."""
        await self._writer.submit_all([(refusals.count, refused)])

    async def refused(self, since: date, *, store: str | None = None) -> Mapping[str, Mapping[int, int]]:
        """How many deliveries were refused on that day and later, by source and status."""
        return await self._read(refusals.counted, since, store)

    async def needs(self) -> Needs:
        """What needs a person or a further run, by reason."""
        return await self._read(reasons.of_attention)

    async def why_held(self) -> Reasons:
        """Why placements are held, the most frequent reasons first."""
        return await self._read(reasons.of_held)

    async def why_unearned(self, since: datetime) -> Reasons:
        """Why orders sold, or first told of by a webhook, since then earned nothing, or not all."""
        return await self._read(reasons.of_unearned, since)

    async def watermark(self, store: str, source: str) -> date | None:
        """How far a source has been read."""
        return await self._read(watermarks.watermark, store, source)

    async def next_due(
        self,
        provider: ProviderName,
        store: str,
        statuses: Sequence[Status],
        fresh: Fresh | None = None,
        *,
        now: datetime,
    ) -> datetime | None:
        """
        When a store's first placement in these statuses at a provider, or a planned one that is fresh, wants attention.

        Now, where that lies impossibly far: a clock was ahead.
        """
        return await self._read(queries.next_due, provider, store, statuses, fresh, now)

    async def unread(self, store: str, fresh: Fresh) -> tuple[int, datetime | None]:
        """How many planned placements wait until their orders are read again, and when the first of these was sold."""
        return await self._read(queries.unread, store, fresh)

    async def oldest_waiting(self, store: str) -> datetime | None:
        """When the first order was sold of which something is not sent yet: planned, held or awaiting approval."""
        return await self._read(queries.oldest_waiting, store)

    async def changes(self) -> Mapping[tuple[Status | None, Status], int]:
        """How often placements went from one status to another."""
        return await self._read(queries.changes)

    async def last_event(self) -> int:
        """The mark behind which everything is that happens from now on."""
        return await self._read(activity.last_event)

    async def changed(self, run_id: str, *, after: int) -> Sequence[Group]:
        """Where a run that began at a mark left each placement that it changed, by store, provider and status."""
        return await self._read(activity.changed, run_id, after)

    async def waiting(self, *, doubted_before: datetime) -> Sequence[Group]:
        """What waits for a person, and what has been in doubt since before a time, by store, provider and status."""
        return await self._read(activity.waiting, doubted_before)

    async def effects(self, run_id: str, *, after: int, limit: int) -> Sequence[Effect]:
        """Purchases that a run has seen to take effect or to be completed, by event after ``after``."""
        return await self._read(activity.effects, run_id, after, limit)

    async def known_slots(self, store: str, names: Sequence[str]) -> Mapping[tuple[str, str], bool]:
        """Which (name of an order, slot) pairs have a placement already, and whether nothing was bought there."""
        return await self._read(queries.known_slots, store, names)

    async def counts(
        self, ordered: tuple[datetime, datetime] | None = None
    ) -> Mapping[tuple[ProviderName, Status], int]:
        """Placements by provider and status, of orders sold in a half-open span of time or of all."""
        return await self._read(queries.counts, ordered)

    async def broken_count(self) -> int:
        """Orders that could not be read and were not dismissed."""
        return await self._read(queries.broken_count)

    async def broken(self, limit: int = 100) -> Sequence[Mapping[str, Any]]:
        """Orders that could not be read and were not dismissed, with what is wrong with them."""
        return await self._read(queries.broken, limit)

    async def attention(self, limit: int = 100) -> Sequence[Mapping[str, Any]]:
        """Placements that need a person or a further run, with the reason."""
        return await self._read(queries.attention, limit)

    async def like_these(
        self, statuses: Sequence[Status], *, slot: str | None = None, reason: str = "", store: str | None = None
    ) -> Sequence[Mapping[str, Any]]:
        """Placements in one of these statuses, of one slot and store or of all, whose reason holds a text."""
        return await self._read(queries.like_these, statuses, slot, reason, store)

    async def placed(
        self, provider: ProviderName, store: str, *, due_by: datetime | None, after: int, limit: int
    ) -> Sequence[tuple[Placement, int]]:
        """A store's placements to track, each with how often it was tracked before."""
        return await self._read(queries.placed, provider, store, due_by, after, limit)

    async def open_at(self, store: str) -> Mapping[ProviderName, int]:
        """How many placements of a store took effect and are not complete, at each provider that has any."""
        return await self._read(queries.open_at, store)

    async def latest(self, provider: ProviderName, store: str, limit: int) -> Sequence[Placement]:
        """A store's latest placements that took effect at a provider."""
        return await self._read(queries.latest, provider, store, limit)

    async def taken(self, provider: ProviderName, refs: Sequence[str]) -> Sequence[Placement]:
        """The placements that hold these purchases of a provider's."""
        return await self._read(queries.taken, provider, refs)

    async def unexplained(self, placement: Placement, refs: Sequence[str]) -> Unexplained:
        """Which of these purchases no other placement explains, and how many may have bought them besides this one."""
        return await self._read(queries.unexplained, placement, refs)

    async def holders(self, provider: ProviderName, *, refs: Sequence[str], keys: Sequence[str]) -> Sequence[Entry]:
        """The placements that hold these purchases of a provider's, and those of these keys."""
        return await self._read(queries.holders, provider, refs, keys)

    async def standing(
        self, provider: ProviderName, store: str, span: tuple[datetime, datetime], *, after: int, limit: int
    ) -> Sequence[Entry]:
        """A store's placements that took effect in a half-open span of time and stand, by id after ``after``."""
        return await self._read(queries.standing, provider, store, span, after, limit)

    async def uncertain(self, provider: ProviderName, store: str, since: datetime) -> Sequence[Entry]:
        """A store's placements tried since then that may have bought more than they hold: parked, or sent again."""
        return await self._read(queries.uncertain, provider, store, since)

    async def bought_before(
        self, provider: ProviderName, store: str, span: tuple[datetime, datetime]
    ) -> Sequence[Entry]:
        """A store's placements that took effect in a span of time, and so did another of the same sale and slot."""
        return await self._read(queries.bought_before, provider, store, span)

    async def slot(self, order: str, slot: str, *, store: str | None = None) -> Sequence[Entry]:
        """
        An order's placements in one slot, by any of the order's names: one, none, or those of joined orders.

        Raises:
            ConfigurationError: Several orders go by the name: give the store, or the name with its prefix.
        """
        return await self._read(queries.slot, order, slot, store)

    async def further(self, provider: ProviderName, refs: Sequence[str]) -> Sequence[tuple[str, Entry]]:
        """Which of these purchases are known to be beside the one that a placement holds, each with the placement."""
        return await self._read(surplus_purchases.known, provider, refs)

    async def being_cancelled(self, provider: ProviderName, store: str) -> Sequence[tuple[str, Entry]]:
        """A store's purchases beside the one that a placement holds, whose cancellation may not be over."""
        return await self._read(surplus_purchases.being_cancelled, provider, store)

    async def totals(self, days: tuple[date, date] | None = None) -> Sequence[Total]:
        """What was bought per day, slot and provider."""
        return await self._read(queries.totals, days)

    async def purchases(self) -> Sequence[Mapping[str, Any]]:
        """Every purchase that took effect."""
        return await self._read(queries.purchases)

    async def require_writes(self) -> None:
        """
        See that the ledger may be written, without writing anything.

        Raises:
            LedgerError: It may not, as where its database became a standby.
        """
        await self._writer.submit(require_writes, None)

    async def shortcomings(self) -> Sequence[str]:
        """What keeps the ledger's commits from surviving the loss of power, and what to do; nothing where they do."""
        return await self._writer.submit(lambda connection, _: [shortcomings(connection)], None)

    async def story(self, name: str, *, store: str | None = None) -> Mapping[str, Any] | None:
        """
        One order's whole life, by any of its names.

        Raises:
            ConfigurationError: Several orders go by the name: give the store, or the name with its prefix.
        """
        return await self._read(queries.story, name, store)

    async def _read(self, query: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        def run() -> R:
            with translated(), self._reads.begin() as connection:
                return query(connection, *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._reader, run)
