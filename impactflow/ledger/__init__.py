"""
The ledger: every placement and every event of its life, in SQLite or Postgres.

``Ledger`` is the only entrance. Writes go through a single writer that commits in groups; reads do not pass the writer.

    the guarantee        tables, states, transitions (the only code that writes a status), migrations/
    the database         engine, writer, rows, json_rows (a list of rows as one parameter), location
    orders become plans  pages (the sales that a page reports) ▶ planning ▶ plan_rows, revision; previews write nothing
    what is known        facts (of an order), names, customers, sold, sold_before, fresh, unlisted, unreadable,
                         given_back, watermarks
    for many orders      shares (what orders have earned), lots (purchases), allocations (which covers what)
    plans become events  moves (claims, outcomes, leases), caps, joined_sales, surplus_purchases, cancellations
    persons decide       approvals, dismissals, adopting, pauses, forgetting; refunds withdraw
    what stays out       forgotten (customers), addresses (in texts)
    webhooks             deliveries, refusals
    questions            queries, balance, sales (by a name), reasons, activity
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, datetime
from fractions import Fraction
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from sqlalchemy import Connection, Engine

from impactflow.errors import LedgerContended
from impactflow.ledger import (
    activity,
    adopting,
    approvals,
    balance,
    cancellations,
    deliveries,
    dismissals,
    facts,
    forgetting,
    forgotten,
    lots,
    moves,
    pauses,
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
from impactflow.ledger import caps as capping
from impactflow.ledger.activity import Effect, Group, GroupLine
from impactflow.ledger.adopting import Adopted, BoughtSlot, OurPurchase, Vouched
from impactflow.ledger.approvals import Approval, Awaiting
from impactflow.ledger.balance import Balance, Open
from impactflow.ledger.cancellations import Ask, Ended, Purchases, Taken, Taking, Undoing
from impactflow.ledger.caps import CapUse, Claiming, Turns
from impactflow.ledger.deliveries import Delivery, Handled, Mended, Pending
from impactflow.ledger.dismissals import Dismissal
from impactflow.ledger.engine import open_engine, reading, require_writes, scrub, shortcomings, translated
from impactflow.ledger.facts import Kept, Origin
from impactflow.ledger.forgetting import Forget, Holding, Left
from impactflow.ledger.fresh import FRESH, Fresh
from impactflow.ledger.lots import Drawing, Outdated
from impactflow.ledger.moves import Claim, Due, Postponement
from impactflow.ledger.pages import Page
from impactflow.ledger.pauses import Pause, PauseScope, Resumption
from impactflow.ledger.plan_rows import placement_key
from impactflow.ledger.planning import Planned
from impactflow.ledger.previews import Foreseen, Outlook
from impactflow.ledger.queries import Total
from impactflow.ledger.reasons import Need, Needs, Reason, Reasons
from impactflow.ledger.refunds import Announcement
from impactflow.ledger.refusals import RefusedDeliveries
from impactflow.ledger.rows import Entry
from impactflow.ledger.states import STANDING, TRANSITIONS, UNRESOLVED, WAITS_FOR_A_PERSON, Status
from impactflow.ledger.surplus_purchases import Step
from impactflow.ledger.transitions import Move
from impactflow.ledger.unlisted import Listing
from impactflow.ledger.writer import Changes, Writer
from impactflow.models import Cap, Kind, Placement, Pool, ProviderName, Refund, Unexplained

__all__ = [
    "FRESH",
    "STANDING",
    "TRANSITIONS",
    "UNRESOLVED",
    "WAITS_FOR_A_PERSON",
    "Adopted",
    "Announcement",
    "Approval",
    "Ask",
    "Awaiting",
    "Balance",
    "BoughtSlot",
    "CapUse",
    "Claim",
    "Claiming",
    "Delivery",
    "Dismissal",
    "Drawing",
    "Due",
    "Effect",
    "Ended",
    "Entry",
    "Foreseen",
    "Forget",
    "Fresh",
    "Group",
    "GroupLine",
    "Handled",
    "Holding",
    "Kept",
    "Ledger",
    "Listing",
    "Mended",
    "Move",
    "Need",
    "Needs",
    "Open",
    "Origin",
    "OurPurchase",
    "Outdated",
    "Outlook",
    "Page",
    "Pause",
    "PauseScope",
    "Pending",
    "Planned",
    "Postponement",
    "Purchases",
    "Reason",
    "Reasons",
    "RefusedDeliveries",
    "Resumption",
    "Status",
    "Step",
    "Taken",
    "Taking",
    "Total",
    "Turns",
    "Undoing",
    "Vouched",
    "placement_key",
]

P = ParamSpec("P")
R = TypeVar("R")
#: How many texts are cleared in one commit, and how often they are read for it, since others write meanwhile.
_PORTION, _READINGS = 200, 5


class Ledger:
    """
    Everything that was earned, everything that was sent for it, and every result.

    Every method that writes returns when its change is on disk, and raises ``LedgerError`` if the change is not.
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
            ConfigurationError: The URL has another form.
            LedgerTooNew: A newer impactflow wrote the ledger.
            LedgerError: The ledger cannot be opened.
        """
        return cls(open_engine(url))

    def close(self) -> None:
        """Wait for the writes that are under way, and close the database."""
        self._writer.close()
        self._reader.shutdown()
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def plan(self, page: Page) -> Planned:
        """Write what a page of orders has earned, once for each order and slot, also when others plan the same."""
        return await self._writer.submit(planning.plan, page)

    async def advance_watermark(self, store: str, source: str, read_to: date, *, today: date) -> None:
        """Record that every order of the source dated up to this day is planned; a day after today counts as today."""
        await self._writer.submit(watermarks.advance, (store, source, read_to, today))

    async def reach_back(self, store: str, source: str, from_: date, to: date) -> None:
        """Record that a source's days from ``from_`` to ``to`` are planned, so its days without a gap begin earlier."""
        await self._writer.submit(watermarks.reach_back, (store, source, from_, to))

    async def draw_lots(self, drawing: Drawing) -> int:
        """
        Use a store's credit, and draw the lots that are due, each one purchase for many orders; return how many.

        Raises:
            LedgerError: The parts of a lot do not add up to its quantity: nothing is written.
        """
        return await self._writer.submit(lots.draw, drawing)

    async def unbalanced(self, store: str) -> frozenset[str]:
        """The slots of a store with credit, or with shares or a lot that wait to be bought."""
        return await self._read(lots.unbalanced, store)

    async def balances(self) -> Sequence[Balance]:
        """The balance of each store and slot: what is owed, allocated, waiting, bought and credited."""
        return await self._read(balance.balances)

    async def oldest_due_share(self, store: str, pools: Sequence[Pool]) -> datetime | None:
        """The sale time of the first order with a share in a purchase for many that its period still lacks."""
        return await self._read(lots.oldest_due, store, pools)

    async def open_shares(self) -> Sequence[Open]:
        """What waits for purchases for many orders, by slot."""
        return await self._read(balance.open_shares)

    async def give_up_outdated_lots(self, outdated: Outdated) -> int:
        """Give up waiting lots whose policy or orders have changed, so that the orders are judged again."""
        return await self._writer.submit(lots.give_up_outdated, outdated)

    async def leave_unlisted(self, listing: Listing) -> int:
        """Let placements await approval if a complete reading does not list their order; return how many placements."""
        return await self._writer.submit(unlisted.leave_to_person, listing)

    async def to_evaluate_again(self, store: str, policy: str, *, after: int = 0, limit: int = 500) -> Sequence[Kept]:
        """The kept orders with a placement that waits under another policy, or with a new announcement; by row."""
        return await self._read(facts.to_evaluate_again, store, policy, after, limit)

    async def mend_lines(self, store: str, file: str, began: datetime) -> None:
        """Forget the lines of a file that were broken before ``began`` only: since then all of the file was read."""
        await self._writer.submit(unreadable.mend_lines, (store, file, began))

    async def foresee(self, page: Page, outlook: Outlook) -> Sequence[Foreseen]:
        """
        The placements that planning a page would leave planned, held or awaiting approval; nothing is written.

        Args:
            page: The orders that were read.
            outlook: The results of the pages before this one; this page is added.
        """
        return await self._read(previews.foresee, page, outlook)

    async def to_send(self, store: str, fresh: Fresh) -> Sequence[Foreseen]:
        """The planned placements of a store that would be sent now."""
        return await self._read(previews.to_send, store, fresh)

    async def record_and_claim(self, answers: Sequence[Move], claim: Claim, count: int) -> list[Placement]:
        """
        Record the outcomes of requests, even if their lease is over, and claim what to send next, in one commit.

        Args:
            answers: The outcomes.
            claim: The request; the returned placements are reserved until its ``lease_until``, their intents on disk.
            count: The most placements to claim; fewer come if no more may be sent now.
        """
        record: Changes = (moves.record_answer, answers)
        _, claimed = await self._writer.submit_all([record, (moves.claim, [claim] * count)])
        return [placement for placement in claimed if placement is not None]

    async def claim_doubts(self, claim: Claim) -> list[Placement]:
        """The due placements in doubt, reserved for this run until the lease ends."""
        return await self._writer.submit(moves.claim_doubts, claim)

    async def expire_leases(self, now: datetime, run_id: str) -> int:
        """Put placements in doubt whose lease ran out while they were being sent; return how many."""
        return await self._writer.submit(moves.expire_leases, (now, run_id))

    async def remember_handle(self, placement: Placement, handle: str | None) -> None:
        """Keep the provider's name for a purchase that has not taken effect yet."""
        await self._writer.submit(moves.remember_handles, (placement, handle))

    async def record_found(self, move: Move) -> None:
        """
        Record a purchase that was found in the provider's records.

        Raises:
            AlreadyRecorded: Another placement holds that purchase.
            TransitionRefused: The placement does not have the move's first status any more.
        """
        await self._writer.submit(moves.record_found, move)

    async def move(self, move: Move) -> None:
        """
        Change a placement's status.

        Raises:
            TransitionRefused: The placement does not have the move's first status any more, or the table forbids the
                move.
        """
        await self._writer.submit(transitions.move, move)

    async def postpone(self, postponement: Postponement) -> None:
        """Track a placement again later."""
        await self._writer.submit(moves.postpone, postponement)

    async def make_due(self, hint: Due) -> frozenset[ProviderName]:
        """Make placed placements due for tracking, by their keys; return the providers of those that were not due."""
        return await self._writer.submit(moves.make_due, hint)

    async def intend_to_cancel(self, step: Step) -> None:
        """Record that a purchase beside the one that a placement holds is about to be cancelled."""
        await self._writer.submit(surplus_purchases.intend_to_cancel, step)

    async def record_cancelled(self, step: Step) -> None:
        """Record that a purchase beside the one that a placement holds is cancelled at the provider."""
        await self._writer.submit(surplus_purchases.record_cancelled, step)

    async def hold_the_earlier(self, step: Step) -> None:
        """
        Let a placement hold the earlier of two purchases under its key; the one that it held is now the further one.

        Raises:
            TransitionRefused: The placement holds another purchase by now, or is complete.
        """
        await self._writer.submit(surplus_purchases.hold_the_earlier, step)

    async def oldest_to_cancel(self, undoing: Undoing) -> datetime | None:
        """The time of the first sale of which something is to be cancelled, or may be being cancelled."""
        return await self._read(cancellations.oldest, undoing)

    async def to_cancel_at(self, undoing: Undoing) -> frozenset[ProviderName]:
        """The providers at which purchases are to be cancelled, or may be being cancelled."""
        return await self._read(cancellations.providers, undoing)

    async def count_to_cancel(self, undoing: Undoing, provider: ProviderName) -> int:
        """The number of purchases to cancel at a provider that no run has taken yet."""
        return await self._read(cancellations.count, undoing, provider)

    async def list_to_cancel(self, undoing: Undoing, limit: int) -> Sequence[Mapping[str, Any]]:
        """The purchases to cancel, as their orders were read last."""
        return await self._read(cancellations.listed, undoing, limit)

    async def take_to_cancel(self, taking: Taking) -> Sequence[Taken]:
        """Reserve purchases to cancel for this run until the lease ends, their intents on disk."""
        return await self._writer.submit(cancellations.take, taking)

    async def end_cancellation(self, ended: Ended) -> bool:
        """Record what became of a cancellation; return whether this run still had the purchase."""
        return await self._writer.submit(cancellations.end, ended)

    async def ask_to_cancel(self, asked: Ask) -> str | None:
        """Note that a provider is about to be asked to cancel; return why it must not be, and is not noted, if so."""
        return await self._writer.submit(cancellations.ask, asked)

    async def was_asked_to_cancel(self, placement: int) -> bool:
        """Whether a provider was asked to cancel a purchase, by its placement's row, since a run began to."""
        return await self._read(cancellations.was_asked, placement)

    async def given_back(self, undoing: Undoing) -> Purchases:
        """The purchases of a store's orders that were given back."""
        return await self._read(cancellations.purchases, undoing)

    async def adopt(self, purchase: OurPurchase) -> Adopted:
        """
        Write a purchase of ours that is in a provider's records; a second call changes nothing.

        Raises:
            AlreadyRecorded: Another placement holds that purchase.
        """
        return await self._writer.submit(adopting.adopt, purchase)

    async def vouch(self, word: Vouched) -> None:
        """Keep a person's word that the purchases at an account without a key, up to now, are not ours."""
        await self._writer.submit(adopting.vouch, word)

    async def has_sent(self, store: str) -> bool:
        """Whether anything was ever sent for a store."""
        return await self._read(adopting.has_sent, store)

    async def account(self, provider: ProviderName, store: str) -> tuple[bool, datetime | None]:
        """Whether anything was ever sent to a provider for a store, and when a person vouched for the account."""
        return await self._read(adopting.account, provider, store)

    async def stores(self) -> Sequence[str]:
        """The stores whose orders the ledger has."""
        return await self._read(queries.stores)

    async def used(self, store: str) -> frozenset[ProviderName]:
        """The providers at which a store has placements, in any status."""
        return await self._read(queries.used, store)

    async def slots(self) -> Mapping[str, Mapping[str, Kind]]:
        """The slots of each store that has placements, with the kind of impact that they buy."""
        return await self._read(adopting.slots)

    async def bought_slots(self) -> Sequence[BoughtSlot]:
        """The slots in which anything was bought, those with the most purchases first."""
        return await self._read(adopting.bought_slots)

    async def unused_slots(self, store: str, names: Iterable[str]) -> frozenset[str]:
        """The slots of a store, among these, that have no placement at all."""
        return await self._read(adopting.unused_slots, store, names)

    async def parts(self, provider: ProviderName, names: Iterable[str]) -> frozenset[str]:
        """The names, among these, that are the one part of some purchase in the ledger."""
        return await self._read(adopting.parts, provider, names)

    async def decide(self, approval: Approval) -> None:
        """
        Apply a person's decision about a placement that awaits approval.

        Raises:
            TransitionRefused: The placement does not await approval any more, or is not what the person was shown.
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
        The placements that await a person's approval, the oldest first.

        They can be limited to one order by any of its names, one slot, one store, or one placement by its row.

        Raises:
            ConfigurationError: Several orders have this name.
        """
        return await self._read(approvals.awaiting, order, slot, store, placement, limit)

    async def store_delivery(self, delivery: Delivery) -> bool:
        """Keep a webhook's delivery; return whether it is new."""
        return await self._writer.submit(deliveries.store, delivery)

    async def finish_delivery(self, handled: Handled) -> None:
        """Record the result of a delivery: its id is kept, and its body is deleted unless it could not be read."""
        await self._writer.submit(deliveries.finish, handled)

    async def reopen_deliveries(self, mended: Mended) -> int:
        """Reopen a sender's deliveries that could not be read by another mapping; return how many."""
        return await self._writer.submit(deliveries.reopen, mended)

    async def dismiss(self, dismissal: Dismissal) -> str:
        """
        Keep a person's word that an order that could not be read needs no action; return the problem that it had.

        Raises:
            ConfigurationError: Nothing with that name needs a person, or things of several stores do.
        """
        return await self._writer.submit(dismissals.dismiss, dismissal)

    async def pause(self, pause: Pause) -> None:
        """Send nothing new within a scope from now on; what a run has claimed already is sent and recorded."""
        await self._writer.submit(pauses.pause, pause)

    async def resume(self, resumption: Resumption) -> Sequence[Pause]:
        """
        End pauses; return those that ended.

        Raises:
            ConfigurationError: No pause of the scope stands.
        """
        return await self._writer.submit(pauses.resume, resumption)

    async def pauses(self) -> Sequence[Pause]:
        """The pauses that stand, the oldest first."""
        return await self._read(pauses.standing)

    async def paused(self, now: datetime) -> int:
        """The number of planned placements that only pauses hold back; those on hold are counted there."""
        return await self._read(queries.paused, now)

    async def held_of(self, wanted: Forget) -> Holding:
        """What the ledger holds of a customer."""
        return await self._read(forgetting.held, wanted)

    async def forget(self, wanted: Forget) -> Holding:
        """
        Forget a customer, or go on with what was cut off; return what the ledger held.

        Nothing is changed if something must be waited for, as the result says.

        Raises:
            LedgerError: The ledger failed, or others use it too much at this moment.
        """
        found = await self._writer.submit(forgetting.forget, wanted)
        if found.must_wait:
            return await self.held_of(wanted)
        for _ in range(_READINGS):
            left = await self._read(forgetting.left_of, wanted)
            texts, bodies = await self._clear(left), found.bodies + len(left.bodies)
            found = replace(found, texts=found.texts + texts, bodies=bodies, names=left.names)
            if texts == len(left.changes):
                return found
        msg = "runs change the same texts again and again: forget the customer again when fewer of them run"
        raise LedgerContended(msg)

    async def _clear(self, left: Left) -> int:
        """Clear texts in portions, so that nobody waits for long; return how many had not changed meanwhile."""
        number = 0
        for first in range(0, len(left.changes), _PORTION):
            portion: Changes = (forgetting.clear, left.changes[first : first + _PORTION])
            [were_the_same] = await self._writer.submit_all([portion])
            number += sum(were_the_same)
        for first in range(0, len(left.bodies), _PORTION):
            await self._writer.submit_all([(forgotten.empty, left.bodies[first : first + _PORTION])])
        return number

    async def scrub(self, wanted: Forget) -> None:
        """
        Take what was deleted out of the free space of the ledger's files; that ends the forgetting of a customer.

        Raises:
            LedgerError: Another program uses the ledger at this moment, or the disk is full.
        """
        await asyncio.get_running_loop().run_in_executor(self._reader, scrub, self._engine)
        await self._writer.submit(forgetting.end, wanted)

    async def record_refund(self, announcement: Announcement) -> int:
        """Remember a refund, of a known order or not, and withdraw its waiting placements; return how many."""
        return await self._writer.submit(refunds.record, announcement)

    async def refunds(self, store: str, names: Sequence[str]) -> Mapping[str, Sequence[Refund]]:
        """The announced refunds of the orders that have these names, by the name in the request."""
        return await self._read(refunds.known, store, names)

    async def pending_deliveries(self, store: str, *, after: int = 0, limit: int = 500) -> Sequence[Delivery]:
        """The deliveries that are not handled, in the order in which they came, by id after ``after``."""
        return await self._read(deliveries.pending, store, after, limit)

    async def pending_since(self, store: str) -> datetime | None:
        """The time when the first delivery came that is not handled; None if all are handled."""
        return await self._read(deliveries.pending_since, store)

    async def pending_by_source(self) -> Sequence[Pending]:
        """The deliveries that are not handled, counted by store and source."""
        return await self._read(deliveries.pending_by_source)

    async def topics(self, store: str) -> frozenset[tuple[str, str]]:
        """The topics of all deliveries that ever came: source and topic."""
        return await self._read(deliveries.topics, store)

    async def count_refused(self, refused: Sequence[RefusedDeliveries]) -> None:
        """Add to the counts of refused deliveries, in one commit."""
        await self._writer.submit_all([(refusals.count, refused)])

    async def refused(self, since: date, *, store: str | None = None) -> Mapping[str, Mapping[int, int]]:
        """The deliveries that were refused on that day and later, counted by source and status."""
        return await self._read(refusals.counted, since, store)

    async def needs(self) -> Needs:
        """The placements that need a person or a further run, by reason."""
        return await self._read(reasons.of_attention)

    async def why_held(self) -> Reasons:
        """The reasons why placements are held, the most frequent first."""
        return await self._read(reasons.of_held)

    async def why_unearned(self, since: datetime) -> Reasons:
        """The reasons why orders that were sold or first announced since then earned nothing, or only a part."""
        return await self._read(reasons.of_unearned, since)

    async def watermark(self, store: str, source: str) -> date | None:
        """The day up to which a source has been read."""
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
        The time when a store's first placement in these statuses at a provider, or a fresh planned one, is due.

        The answer is now if that time is impossibly late: a clock was ahead.
        """
        return await self._read(queries.next_due, provider, store, statuses, fresh, now)

    async def unread(self, store: str, fresh: Fresh) -> tuple[int, datetime | None]:
        """The number of planned placements that wait for a new reading of their orders, and the first sale time."""
        return await self._read(queries.unread, store, fresh)

    async def caps(self, store: str, caps: Sequence[Cap], now: datetime) -> tuple[Sequence[CapUse], int]:
        """The use of each cap of a store, and the number of planned placements that wait for any of them."""
        return await self._read(capping.uses, store, caps, now)

    async def used_of_caps(self, store: str, caps: Sequence[Cap]) -> Sequence[Fraction]:
        """How much of each cap of a store is used in its period, counted as its ``most`` is."""
        return await self._read(capping.used, store, caps)

    async def failing(self, store: str) -> frozenset[ProviderName]:
        """The providers that have sold a store nothing since they were last tried."""
        return await self._read(capping.failing, store)

    async def on_hold(self, now: datetime) -> tuple[int, datetime | None]:
        """The number of planned placements that are on hold, and the end of the first hold."""
        return await self._read(queries.on_hold, now)

    async def oldest_waiting(self, store: str, now: datetime) -> datetime | None:
        """The sale time of the first order with something not sent yet: planned, held or awaiting approval."""
        return await self._read(queries.oldest_waiting, store, now)

    async def changes(self) -> Mapping[tuple[Status | None, Status], int]:
        """How often placements went from one status to another."""
        return await self._read(queries.changes)

    async def last_event(self) -> int:
        """The mark that every later event lies behind."""
        return await self._read(activity.last_event)

    async def changed(self, run_id: str, *, after: int) -> Sequence[Group]:
        """The placements that a run changed since a mark, where it left them, by store, provider and status."""
        return await self._read(activity.changed, run_id, after)

    async def waiting(self, *, doubted_before: datetime) -> Sequence[Group]:
        """The placements that wait for a person, or are in doubt since before a time, by store, provider and status."""
        return await self._read(activity.waiting, doubted_before)

    async def effects(self, run_id: str, *, after: int, limit: int) -> Sequence[Effect]:
        """The purchases that a run saw take effect or be completed, by event after ``after``."""
        return await self._read(activity.effects, run_id, after, limit)

    async def known_slots(self, store: str, names: Sequence[str]) -> Mapping[tuple[str, str], bool]:
        """The (name of an order, slot) pairs that have a placement already, with whether nothing was bought there."""
        return await self._read(queries.known_slots, store, names)

    async def counts(
        self, ordered: tuple[datetime, datetime] | None = None
    ) -> Mapping[tuple[ProviderName, Status], int]:
        """The number of placements by provider and status, of orders sold in a half-open span of time or of all."""
        return await self._read(queries.counts, ordered)

    async def broken_count(self) -> int:
        """The number of orders that could not be read and were not dismissed."""
        return await self._read(queries.broken_count)

    async def broken(self, limit: int = 100) -> Sequence[Mapping[str, Any]]:
        """The orders that could not be read and were not dismissed, with their problems."""
        return await self._read(queries.broken, limit)

    async def attention(self, limit: int = 100) -> Sequence[Mapping[str, Any]]:
        """The placements that need a person or a further run, with the reason."""
        return await self._read(queries.attention, limit)

    async def like_these(
        self, statuses: Sequence[Status], *, slot: str | None = None, reason: str = "", store: str | None = None
    ) -> Sequence[Mapping[str, Any]]:
        """The placements in one of these statuses, of one slot and store or of all, whose reason contains a text."""
        return await self._read(queries.like_these, statuses, slot, reason, store)

    async def placed(
        self, provider: ProviderName, store: str, *, due_by: datetime | None, after: int, limit: int
    ) -> Sequence[tuple[Placement, int]]:
        """A store's placements to track, each with how often it was tracked before."""
        return await self._read(queries.placed, provider, store, due_by, after, limit)

    async def open_at(self, store: str) -> Mapping[ProviderName, int]:
        """The number of a store's placements that took effect and are not complete, at each provider that has any."""
        return await self._read(queries.open_at, store)

    async def latest(self, provider: ProviderName, store: str, limit: int) -> Sequence[Placement]:
        """A store's latest placements that took effect at a provider."""
        return await self._read(queries.latest, provider, store, limit)

    async def taken(self, provider: ProviderName, refs: Sequence[str]) -> Sequence[Placement]:
        """The placements that hold these purchases of a provider's."""
        return await self._read(queries.taken, provider, refs)

    async def unexplained(self, placement: Placement, refs: Sequence[str]) -> Unexplained:
        """The purchases, among these, that no other placement explains, and how many others may have bought them."""
        return await self._read(queries.unexplained, placement, refs)

    async def holders(self, provider: ProviderName, *, refs: Sequence[str], keys: Sequence[str]) -> Sequence[Entry]:
        """The placements that hold these purchases of a provider's, and the placements with these keys."""
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
        """A store's placements that took effect in a span of time, if another one of the same sale and slot did too."""
        return await self._read(queries.bought_before, provider, store, span)

    async def slot(self, order: str, slot: str, *, store: str | None = None) -> Sequence[Entry]:
        """
        An order's placements in one slot, by any of the order's names: one, none, or those of joined orders.

        Raises:
            ConfigurationError: Several orders have this name: give the store, or the name with its prefix.
        """
        return await self._read(queries.slot, order, slot, store)

    async def surplus(self, provider: ProviderName, refs: Sequence[str]) -> Sequence[tuple[str, Entry]]:
        """The purchases, among these, known to be beside the one that a placement holds, each with the placement."""
        return await self._read(surplus_purchases.known, provider, refs)

    async def being_cancelled(self, provider: ProviderName, store: str) -> Sequence[tuple[str, Entry]]:
        """A store's purchases beside the one that a placement holds, whose cancellation may not be over."""
        return await self._read(surplus_purchases.being_cancelled, provider, store)

    async def totals(self, days: tuple[date, date] | None = None) -> Sequence[Total]:
        """The purchases per day, slot and provider."""
        return await self._read(queries.totals, days)

    async def purchases(self) -> Sequence[Mapping[str, Any]]:
        """Every purchase that took effect."""
        return await self._read(queries.purchases)

    async def require_writes(self) -> None:
        """
        Check that the ledger may be written, without writing anything.

        Raises:
            LedgerError: It may not, for example because its database became a standby.
        """
        await self._writer.submit(require_writes, None)

    async def shortcomings(self) -> Sequence[str]:
        """The reasons why the ledger's commits may not survive a loss of power, and what to do; empty if none."""
        return await self._writer.submit(lambda connection, _: [shortcomings(connection)], None)

    async def story(self, name: str, *, store: str | None = None) -> Mapping[str, Any] | None:
        """
        One order's whole life, by any of its names.

        Raises:
            ConfigurationError: Several orders have this name: give the store, or the name with its prefix.
        """
        return await self._read(queries.story, name, store)

    async def _read(self, query: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        def run() -> R:
            with translated(), self._reads.begin() as connection:
                return query(connection, *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._reader, run)
