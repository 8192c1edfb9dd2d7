"""
Bugs planted in the core on purpose: each is one that somebody could write, and the simulation must catch it.

A mutation is a change to the text of one module, made while that module is imported, in a process of its own; the text
must be there exactly once, so that a mutation cannot outlive the line it spoils. What no seed can notice is no mutation
but a second way to be right. ``python -m impactflow.proof.mutations NAME`` plants one and looks.
"""

import importlib.abc
import importlib.machinery
import logging
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import spec_from_file_location
from itertools import count, islice
from types import ModuleType

from typing_extensions import Buffer

#: How many seeds are tried before a bug counts as not caught, those that are passed over not counted.
MOST_SEEDS = 1_000


@dataclass(frozen=True)
class Mutation:
    """
    One planted bug.

    Args:
        name: What it is called.
        module: Where it is planted.
        before: The text as it is.
        after: The text as somebody might have written it.
        twist: What a scenario must have for the bug to show: seeds without that are passed over. Empty: all are run.
    """

    name: str
    module: str
    before: str
    after: str
    twist: str = ""


MUTATIONS: Sequence[Mutation] = (
    Mutation(
        "the intent is not made durable",
        "impactflow.ledger.transitions",
        "        status=Status.PLACING.value,\n        due_at=_UNTIL,",
        "        status=Status.PLANNED.value,\n        due_at=_UNTIL,",
    ),
    Mutation(
        "what was cut off is planned again instead of doubted",
        "impactflow.ledger.moves",
        "                Status.PLACING,\n                Status.IN_DOUBT,\n                now,",
        "                Status.PLACING,\n                Status.PLANNED,\n                now,",
    ),
    Mutation(
        "a lost answer is taken for a failure",
        "impactflow.buying.sweep",
        "            self._unreachable = 0\n            return self._move(placement, Status.IN_DOUBT, str(error))",
        "            self._unreachable = 0\n            return self._move(placement, Status.FAILED, str(error))",
    ),
    Mutation(
        "a lost answer is tried again at once",
        "impactflow.buying.sweep",
        "            self._unreachable = 0\n            return self._move(placement, Status.IN_DOUBT, str(error))",
        "            self._unreachable = 0\n            return self._move(placement, Status.PLANNED, str(error))",
    ),
    Mutation(
        "what was not sent is given up",
        "impactflow.buying.sweep",
        "        move = self._move(placement, Status.PLANNED, str(error), due_in_s=delay_s)",
        "        move = self._move(placement, Status.FAILED, str(error), due_in_s=delay_s)",
    ),
    Mutation(
        "a timeout counts as not connected",
        "impactflow.clients.http",
        "_NOT_CONNECTED = (httpx.ConnectError,",
        "_NOT_CONNECTED = (httpx.ReadTimeout, TimeoutError, httpx.ConnectError,",
    ),
    Mutation(
        "a broken connection counts as not connected",
        "impactflow.clients.http",
        "_NOT_CONNECTED = (httpx.ConnectError,",
        "_NOT_CONNECTED = (httpx.ReadError, httpx.ConnectError,",
    ),
    Mutation(
        "a 5xx after a write counts as not done",
        "impactflow.clients.answers",
        "    def _broke_down(self, quoted: str, more: dict[str, Any]) -> ProviderError:\n        if self.is_write:",
        "    def _broke_down(self, quoted: str, more: dict[str, Any]) -> ProviderError:\n        if not more:",
    ),
    Mutation(
        "an unreadable answer to a write counts as not done",
        "impactflow.clients.answers",
        "        more = self._answered(response)\n        if self.is_write:\n",
        "        more = self._answered(response)\n        if not more:\n",
    ),
    Mutation(
        "nobody looks at the lease before sending",
        "impactflow.buying.sweep",
        "        if (self.until - self.account.clock.now()).total_seconds() <= self.account.config.request_timeout_s:",
        "        if not self.account.config.request_timeout_s:",
        twist="stands still",
    ),
    Mutation(
        "doubts are resolved before late requests can have arrived",
        "impactflow.buying.reconcile",
        "        return read_at >= doubt.sent_until + timedelta(seconds=self._config.settle_s)",
        "        return True",
    ),
    Mutation(
        "the settling time counts from the first attempt",
        "impactflow.ledger.rows",
        "        sent_until=max(row.sent_until or row.doubted_at or began, began),",
        "        sent_until=row.first_attempted_at or began,",
    ),
    Mutation(
        "a record that names nobody resolves a doubt at once",
        "impactflow.buying.evidence",
        "        if not is_settled:\n            return None",
        "        if not alike:\n            return None",
        twist="effects come late",
    ),
    Mutation(
        "a record that names nobody is ours though others name theirs",
        "impactflow.buying.evidence",
        " and not self._keys_return",
        "",
        "telling strangers",
    ),
    Mutation(
        "an account that cannot pay has surely bought nothing",
        "impactflow.buying.sweep",
        "        if error.status == _PAYMENT_REQUIRED and isinstance(self._provider, KeepsRecords):\n",
        "        if not error:\n",
        "refused_after",
    ),
    Mutation(
        "half a reading counts",
        "impactflow.buying.reconcile",
        "            verdicts = {id_: found for id_, found in verdicts.items() if",
        "            verdicts = {id_: found for id_, found in (await self._weigh(doubts, evidence, read_at)).items()"
        " if 1 or",
        twist="readings break off",
    ),
    Mutation(
        "the first page is taken for all",
        "impactflow.clients.paging",
        "        if cursor is None:\n            return\n",
        "        if not cursor or page:\n            return\n",
    ),
    Mutation(
        "what was read once is read from a cache",
        "impactflow.clients.oneclickimpact.client",
        "            return Page(page.items, page.cursor)",
        '            return vars(self).setdefault(f"{operation} {asked}", Page(page.items, page.cursor))',
    ),
    Mutation(
        "records are read from the day on which the doubt arose",
        "impactflow.buying.reconcile",
        "        from_ = (min(doubt.attempted_at for doubt in doubts) - _MARGIN)",
        "        from_ = min(doubt.sent_until for doubt in doubts)",
    ),
    Mutation(
        "clocks are taken to agree to the millisecond",
        "impactflow.providers",
        "CLOCK_SKEW = timedelta(minutes=2)",
        "CLOCK_SKEW = timedelta(0)",
    ),
    Mutation(
        "a record may explain what was attempted after it",
        "impactflow.buying.evidence",
        "return doubt.attempted_at - CLOCK_SKEW, doubt.sent_until",
        "return doubt.attempted_at - timedelta(days=30), doubt.sent_until",
    ),
    Mutation(
        "a record that another placement holds may explain a second one",
        "impactflow.buying.evidence",
        "- listed_twice - held",
        "- listed_twice",
    ),
    Mutation(
        "of several records that fit the first is taken",
        "impactflow.buying.evidence",
        "        if doubt.alone and len(alike) == 1 and not self._keys_return and not is_shared:",
        "        if alike:",
        twist="effects come late",
    ),
    Mutation(
        "records are matched without the customer",
        "impactflow.buying.evidence",
        "    return thing.kind, thing.quantity, thing.customer\n",
        '    return thing.kind, thing.quantity, ""\n',
    ),
    Mutation(
        "duplicates are sent side by side",
        "impactflow.providers.oneclickimpact",
        "        return not self._returns_metadata",
        "        return False",
    ),
    Mutation(
        "the idempotency key changes with each attempt",
        "impactflow.providers.cnaught",
        "            idempotency_key=placement.key,",
        '            idempotency_key=f"{placement.key}{placement.attempt}",',
    ),
    Mutation(
        "a key is trusted for ever",
        "impactflow.providers.cnaught",
        "        return self._clock.now() - placement.first_attempted_at > self._key_age",
        "        return not placement",
    ),
    Mutation(
        "grams are taken for tenths of a kilogram",
        "impactflow.providers.cnaught",
        "_GRAMS_PER_KG = 1000",
        "_GRAMS_PER_KG = 10",
    ),
    Mutation(
        "a session's id is not stored before it is confirmed",
        "impactflow.providers.impactapi",
        "            await lease.remember(session.id)\n",
        "",
    ),
    Mutation(
        "an order is known by its id alone",
        "impactflow.ledger.pages",
        "    row_ids = {known[name] for name in order.names if name in known}",
        "    order = replace(order, names=order.names[:1])\n"
        "    row_ids = {known[name] for name in order.names if name in known}",
    ),
    Mutation(
        "a sale goes by another name when a webhook tells of it",
        "impactflow.intake.senders.shopify",
        "*(source_name(_SYSTEM, each) for each in ids)",
        '*(source_name("shop", each) for each in ids)',
    ),
    Mutation(
        "an announced refund is forgotten when the order is planned",
        "impactflow.ledger.pages",
        "for refund in announced.get(name, ()))",
        'for refund in announced.get("", ()))',
    ),
    Mutation(
        "the provider's own name for a purchase is not unique",
        "impactflow.providers.oneclickimpact",
        '    return f"{made.user_id}|{made.time_utc}"',
        '    return f"{made.user_id}|{made.time_utc[:16]}"',
    ),
    Mutation(
        "the customer is not told to the provider",
        "impactflow.providers.oneclickimpact",
        '            "customer_email": placement.customer_email,',
        '            "customer_email": None,',
    ),
    Mutation(
        "a doubt opens another session instead of reading its own",
        "impactflow.providers.impactapi",
        "        if placement.handle is None:",
        "        if placement.id:",
    ),
    Mutation(
        "a session that is not confirmed is left, and another opened",
        "impactflow.providers.impactapi",
        '        return None if session.status == "expired" else session',
        '        return session if session.status == "confirmed" else None',
        twist="effects come late",
    ),
    Mutation(
        "a 429 is taken for a refusal",
        "impactflow.clients.answers",
        "        if status == httpx.codes.TOO_MANY_REQUESTS:",
        "        if status == -httpx.codes.TOO_MANY_REQUESTS:",
    ),
    Mutation(
        "nobody looks after leases that ran out",
        "impactflow.buying.reconcile",
        "    await account.ledger.expire_leases(now, account.run_id)\n",
        "",
    ),
    Mutation(
        "the key is the order's, whatever the slot",
        "impactflow.ledger.plan_rows",
        '    digest = hashlib.sha256(f"{store}\\n{order_id}\\n{slot}".encode()).hexdigest()',
        '    digest = hashlib.sha256(f"{store}\\n{order_id}".encode()).hexdigest()',
    ),
    Mutation(
        "the claim does not ask what was approved",
        "impactflow.ledger.moves",
        "        if not above or not approvals.set_back(",
        "        if rows is not None or approvals.set_back(",
    ),
    Mutation(
        "an edited order keeps its approval",
        "impactflow.ledger.approvals",
        "[row[name] for name in DECIDED_ABOUT]",
        '[row[name] for name in DECIDED_ABOUT if name != "quantity"]',
    ),
    Mutation(
        "what was rejected is asked about by the next reading",
        "impactflow.ledger.revision",
        "    withdrawn = found.status == Status.CANCELLED and found.approved is not None",
        "    withdrawn = found.status == Status.CANCELLED",
    ),
    Mutation(
        "one item is counted where there are several",
        "impactflow.policy.priced_order",
        '        return _exact(self.order.item_count, "the order\'s number of items")',
        '        return _exact(self.order.item_count**0, "the order\'s number of items")',
    ),
    Mutation(
        "P1: a donation that is not told is one of nothing",
        "impactflow.providers.impactapi",
        "    given = _sum(session.donation_intents) if session.donation_intents else None\n    if given in",
        "    given = _sum(session.donation_intents)\n    if given in",
        "sessions_without_intents",
    ),
    Mutation(
        "P1: a session that tells no donations counts as cancelled",
        "impactflow.providers.impactapi",
        "        if parts and not await self._standing(parts, session):",
        "        if not await self._standing(parts, session):",
        "sessions_without_intents",
    ),
    Mutation(
        "P2: a session that is not found gives nothing",
        "impactflow.providers.impactapi",
        "        session = await self._session(placement.handle)\n",
        "        try:\n            session = await self._session(placement.handle)\n"
        "        except NotFound:\n            return None\n",
        "passing_404",
    ),
    Mutation(
        "P3: what was tried before is never planned anew",
        "impactflow.ledger.revision",
        "    return withdrawn or found.status in WAITING",
        "    return withdrawn or (found.status in WAITING and not found.attempts)",
        "corrected while unpaid",
    ),
    Mutation(
        "P3: another policy changes nothing that is planned",
        "impactflow.ledger.facts",
        'f"{policy} {content_digest(order)}{asked}"',
        'f"{content_digest(order)}{asked}"',
        "corrected while unpaid",
    ),
    Mutation(
        "P3: an order that says the same again counts as not read",
        "impactflow.ledger.planning",
        "        if not (known_lately and row.policy == page.policy_digest):",
        "        if row.read_at is None and not (known_lately and row.policy == page.policy_digest):",
        "corrected while unpaid",
    ),
    Mutation(
        "P4: nobody looks at the lease in the step that sends",
        "impactflow.clients.http",
        '{**self._extensions, "final_check": final_check}',
        "{**self._extensions}",
        "stands still",
    ),
    Mutation(
        "P6: metadata of somebody else's is taken for none",
        "impactflow.providers.oneclickimpact",
        "    return _key(record) is None and bool((record.metadata or {}).keys() - _RESERVED)",
        "    return _key(record) is None and not record",
        "telling strangers",
    ),
    Mutation(
        "P7: a purchase that was cancelled leaves its slot free",
        "impactflow.ledger.rows",
        "    bought: ColumnElement[bool] = table.c.ref.is_not(None) | table.c.placed_at.is_not(None)",
        "    bought: ColumnElement[bool] = table.c.ref.is_not(None) & table.c.status.not_in([Status.CANCELLED])",
        "cancelled and joined",
    ),
    Mutation(
        "P10: purchases of this store that the ledger does not know are no reason to stop",
        "impactflow.adoption.check",
        "_ANOTHERS = frozenset({Known.NOTHING, Known.UNSENT})",
        "_ANOTHERS = frozenset({Known.UNSENT})",
        "empty ledger",
    ),
    Mutation(
        "P11: a reading that contradicts itself counts as complete",
        "impactflow.intake.wickedreports",
        "            return not self.repeated and self.announced <= {len(self.ids)}",
        "            return bool(self)",
        "moved between pages",
    ),
    Mutation(
        "P11: nobody looks back at old orders",
        "impactflow.intake.planning",
        "        from_, watches = min(from_, max(begins, furthest)), True",
        "        watches = True",
        "paid late",
    ),
    Mutation(
        "P11: one reading of the records is enough",
        "impactflow.buying.reconcile",
        "            if unnamed:\n                await self._read(provider, unnamed",
        "            if unnamed and not doubts:\n                await self._read(provider, unnamed",
        "short_listing",
    ),
    Mutation(
        "P12: metadata is compared as it is written",
        "impactflow.providers.cnaught",
        '            named = [order for order in orders if _fields(order.metadata).get("impactflow_key") == doubt.key]',
        "            named = [order for order in orders if order.metadata == _metadata(doubt)]",
        "metadata_reformatted",
    ),
    Mutation(
        "P12: an order without metadata is nobody's",
        "impactflow.providers.cnaught",
        "    if order.metadata or order.amount_kg * _GRAMS_PER_KG != doubt.quantity:\n        return False\n",
        "    if order.amount_kg:\n        return False\n",
        "metadata_dropped",
    ),
    Mutation(
        "P12: an order without metadata is ours, whoever else may have bought it",
        "impactflow.providers.cnaught",
        "        if len(left.refs) == 1 and not left.others and not names_return:",
        "        if len(left.refs) == 1 and not names_return:",
        "metadata_dropped",
    ),
    Mutation(
        "P13: an order in an answer is not held against what was asked",
        "impactflow.providers.cnaught",
        "        if why := _is_another(placement, order):",
        "        if why := order.id and None:",
        "foreign_answer",
    ),
    Mutation(
        "P13: a session in an answer is ours whatever its key",
        "impactflow.providers.impactapi",
        '    if _text(answer.metadata.get("impactflow_key")) not in {None, placement.key}:',
        "    if answer.id is None:",
        "foreign_answer",
    ),
    Mutation(
        "P15: what was one too many is sent again unseen",
        "impactflow.buying.sweep",
        "self._doubted(placement, error, if_absent=Status.PLANNED, due_in_s=delay_s)",
        "self._move(placement, Status.PLANNED, str(error), due_in_s=delay_s)",
        "limited_after",
    ),
    Mutation(
        "P5: what a list shows that names no customer was bought for none",
        "impactflow.buying.evidence",
        "- listed_twice - held",
        "- held",
        twist="records_with_customers",
    ),
    Mutation(
        "P2: what is not found for a moment after the settling time is left to a person",
        "impactflow.buying.reconcile",
        "        if doubt.asked_again < _ASKED_AGAIN:",
        "        if not doubt.id:",
        "passing_404",
    ),
    Mutation(
        "P10: another ledger's purchases are looked for on the first page only",
        "impactflow.adoption.check",
        "            if seen >= _NEWEST and",
        "            if seen and",
        "empty ledger",
    ),
    Mutation(
        "a claim does not see a cap",
        "impactflow.ledger.moves",
        "caps.room(connection, request.store, request.capped, now, anew=walked) if request.capped.caps else None",
        "None",
        "capped",
    ),
    Mutation(
        "what is in doubt does not count for a cap",
        "impactflow.ledger.caps",
        "[Status.PARKED.value, *(status.value for status in UNRESOLVED)]",
        "[Status.PLACING.value]",
        "capped",
    ),
    Mutation(
        "each order counts as given back",
        "impactflow.models",
        "return self.is_refunded and all(",
        "return True or all(",
        "undone",
    ),
    Mutation(
        "a cancellation counts once it was asked for",
        "impactflow.buying.cancelling",
        "            return self._unknown(taken, _NOT_FOUND), None\n        if record.cancelled:",
        "            return self._unknown(taken, _NOT_FOUND), None\n        if record:",
        "undone",
    ),
    Mutation(
        "a cancellation whose answer is lost counts as done",
        "impactflow.buying.cancelling",
        "                self._halt(Halt.after(error))\n            ended = self._unknown(taken, ",
        "                self._halt(Halt.after(error))\n            ended = self._cancelled(taken) or str(",
        "undone",
    ),
    Mutation(
        "what is paid beside a refund counts as given back",
        "impactflow.models",
        "return self.is_refunded and all(",
        "return self.is_refunded or all(",
        "undone",
    ),
    Mutation(
        "a cancellation that was cut off is not found out",
        "impactflow.ledger.cancellations",
        "    begun = and_(_IS_TAKEN, is_due, _at(wanted.provider))",
        "    begun = sa.false()",
        "undone",
    ),
    Mutation(
        "a purchase that is complete is not cancelled",
        "impactflow.ledger.cancellations",
        "_IS_STANDING = placements.c.status.in_([status.value for status in STANDING])",
        "_IS_STANDING = placements.c.status.in_([Status.PLACED.value])",
        "undone",
    ),
    Mutation(
        "credit is used, and stays",
        "impactflow.ledger.lots",
        "        allocations.add(connection, row.lot, [Entry(row.row, -used)], drawing.at, drawing.run_id)\n"
        "        allocations.check(connection, row.lot)\n",
        "",
        "pooled",
    ),
    Mutation(
        "what a refund frees is nobody's credit",
        "impactflow.ledger.allocations",
        "[Entry(kept.order, -freed), Entry(each.row, freed)]",
        "[Entry(kept.order, -freed)]",
        "pooled",
    ),
    Mutation(
        "a refund does not free what was bought for many",
        "impactflow.ledger.owing",
        "        return Owed(0) if page.undoes(slot) else None",
        "        return None",
        "pooled",
    ),
    Mutation(
        "a share that was sent is changed like one that was not",
        "impactflow.ledger.shares",
        "    final = final_parts(connection, share)\n    is_as_wanted",
        "    final = ()\n    is_as_wanted",
        "pooled",
    ),
    Mutation(
        "a share covers what its order does not earn any more",
        "impactflow.ledger.shares",
        "    is_as_wanted = wanted is not None and all(getattr(share, name) == wanted[name] for name in _COMPARED)",
        "    is_as_wanted = True",
        "pooled",
    ),
    Mutation(
        "orders of a lot that was given up are bought for as they were",
        "impactflow.ledger.shares",
        "values(outdated=not is_as_wanted))\n        return True",
        "values(outdated=None))\n        return True",
        "pooled",
    ),
    Mutation(
        "a day has any number of lots",
        "impactflow.ledger.lots",
        "    if pool.since is not None and _was_drawn_since(",
        "    if pool.since is None and _was_drawn_since(",
        "pooled",
    ),
    Mutation(
        "a lot that was given up still covers its orders",
        "impactflow.ledger.lots",
        "    allocations.take_back(connection, lot, by.at, by.run_id)\n",
        "",
        "pooled",
    ),
    Mutation(
        "a lot stays planned when an order of it changes",
        "impactflow.ledger.shares",
        "        if each.is_waiting:\n            lots.give_up",
        "        if False:\n            lots.give_up",
        "pooled",
    ),
    Mutation(
        "what a lot has bought after it was given up is lost",
        "impactflow.ledger.transitions",
        "    if each.to is Status.PLACED and is_lot(each.placement.order_id):",
        "    if False:",
        "pooled",
    ),
    Mutation(
        "a lot covers orders whose hold is not over",
        "impactflow.ledger.plan_rows",
        '_days_after(order.ordered_at, impact.hold_days) if impact.hold_days else None,\n        "final_at"',
        'None,\n        "final_at"',
        "pooled",
    ),
    Mutation(
        "a lot covers orders that were read long ago",
        "impactflow.ledger.lots",
        '    & or_(\n        (FIRST.c.read_at >= bindparam("fresh_since", type_=Utc()))',
        '    & or_(\n        bindparam("fresh_since", type_=Utc()).is_not(None)',
        "pooled",
    ),
    Mutation(
        "a share is covered again and again",
        "impactflow.ledger.lots",
        "    allocations.count(connection, lot, mark)\n    added",
        "    added",
        "pooled",
    ),
    Mutation(
        "the last order of a lot has all of its share",
        "impactflow.ledger.lots",
        "        case((_FIRST_ONES.c.up_to <= _WANTED, _FIRST_ONES.c.rest), else_=_WANTED - _BEFORE),",
        "        _FIRST_ONES.c.rest,",
        "pooled",
    ),
    Mutation(
        "an order has a share beside the purchase of its own",
        "impactflow.ledger.planning",
        "    alone = {slot for slot, found in existing.items() if sharing.stands_alone(found)}",
        "    alone = set[str]()",
        "pooled",
    ),
    Mutation(
        "an order that credit covers is bought as well",
        "impactflow.ledger.netting",
        '{"status": Status.COVERED.value, "due_at": None, "reason": _COVERED}',
        '{"status": Status.PLANNED.value, "reason": _COVERED}',
        "in part",
    ),
    Mutation(
        "a refund of a part gives back all of it",
        "impactflow.ledger.owing",
        "    return Owed(min(bought, parts_of(impact.exact)), basis)",
        "    return Owed(0, basis)",
        "in part",
    ),
    Mutation(
        "a refund of a part counts, although it has failed since",
        "impactflow.ledger.owing",
        "        return Owed(bought)\n",
        "        return None\n",
        "in part",
    ),
    Mutation(
        "a refund of a part does not count for a purchase for many",
        "impactflow.ledger.shares",
        "    if owed is not None:\n        return owed\n",
        "    if owed is not None:\n        return Owed(int(share.earned) if owed.parts else 0)\n",
        "in part",
    ),
    Mutation(
        "a doubt makes a refund of a part forgotten",
        "impactflow.ledger.credit",
        "            writing.again.add(sale.row_ids[0])",
        "            pass",
        "in part",
    ),
    Mutation(
        "what is on hold is bought at once",
        "impactflow.ledger.plan_rows",
        "tzinfo=UTC) - span) + span",
        "tzinfo=UTC) - span)",
        "on hold",
    ),
    Mutation(
        "a hold counts from the reading of the order",
        "impactflow.ledger.plan_rows",
        "_days_after(order.ordered_at, impact.hold_days) if impact.hold_days else None,\n    }\n    values",
        "at + timedelta(days=impact.hold_days) if impact.hold_days else None,\n    }\n    values",
        "on hold",
    ),
    Mutation(
        "a claim does not see a pause",
        "impactflow.ledger.moves",
        "            ~IS_PAUSED,\n",
        "",
        "paused",
    ),
    Mutation(
        "a doubt is resolved by selling again in spite of a pause",
        "impactflow.ledger.pauses",
        "placements.c.provider.not_in([name.value for name in sorted(KEYLESS)]) & IS_PAUSED",
        "placements.c.provider.in_([]) & IS_PAUSED",
        "paused",
    ),
    Mutation(
        "a pause of one slot is forgotten",
        "impactflow.ledger.pauses",
        "    or_(pauses.c.slot.is_(None), pauses.c.slot == placements.c.slot),",
        "    pauses.c.slot.is_(None),",
        "paused",
    ),
    Mutation(
        "forgetting a customer forgets for whom something was bought",
        "impactflow.ledger.forgetting",
        '"known_as": customer_digest(row.customer_email)',
        '"known_as": ""',
        "forgotten",
    ),
    Mutation(
        "forgetting a customer forgets what the customer bought",
        "impactflow.ledger.forgetting",
        "    .values(customer_email=NOBODY, digest=",
        "    .values(customer_email=NOBODY, customer=None, digest=",
        "forgotten",
    ),
    Mutation(
        "a forgotten customer is nobody from then on",
        "impactflow.ledger.pages",
        "        customer = customers.customer(page.store, order.customer_email)",
        "        customer = customers.customer(page.store, None if gone else order.customer_email)",
        "forgotten",
    ),
    Mutation(
        "the address of a forgotten customer comes back",
        "impactflow.ledger.pages",
        "        if gone and (kept := ",
        "        if not gone and (kept := ",
        "forgotten",
    ),
    Mutation(
        "the loop sends where the ledger could not be checked",
        "impactflow.buying.loop",
        "        return (await check_at(run, [provider], policy)).get(provider)",
        "        await check_at(run, [provider], policy)\n        return None",
        "empty ledger",
    ),
    Mutation(
        "the loop sends, and never resolves what is in doubt",
        "impactflow.buying.loop",
        "        resolved = await steps.resolve(provider)",
        "        resolved = await steps.place(provider)",
    ),
    Mutation(
        "P16: a refusal is believed unseen",
        "impactflow.buying.sweep",
        "self._doubted(placement, error, if_absent=Status.FAILED)",
        "self._move(placement, Status.FAILED, str(error), due_in_s=None)",
        "refused_after",
    ),
)


class _Planting(importlib.machinery.SourceFileLoader):
    """Loads one module with a bug in it."""

    def __init__(self, mutation: Mutation, path: str) -> None:
        super().__init__(mutation.module, path)
        self._mutation = mutation

    def get_data(self, path: str) -> bytes:
        """The text with the bug; nothing of it is kept as byte code, nor taken from any."""
        if not path.endswith(".py"):
            raise OSError(path)
        return planted(self._mutation, super().get_data(path).decode()).encode()

    def set_data(self, path: str, data: Buffer, *, _mode: int = 0o666) -> None:
        """Keep nothing."""


class _Gardener(importlib.abc.MetaPathFinder):
    """Has one module loaded by ``_Planting``."""

    def __init__(self, mutation: Mutation) -> None:
        self._mutation = mutation

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Step in for the one module; leave every other to whoever comes next."""
        found = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if fullname != self._mutation.module or found is None or found.origin is None:
            return None
        return spec_from_file_location(fullname, loader=_Planting(self._mutation, found.origin))


def planted(mutation: Mutation, text: str) -> str:
    """
    A module's text with the bug in it.

    Raises:
        ValueError: The line to spoil is not there exactly once: the mutation has to follow the code.
    """
    if text.count(mutation.before) != 1:
        raise ValueError(f"{mutation.name}: its line is {text.count(mutation.before)} times in {mutation.module}")
    return text.replace(mutation.before, mutation.after)


@dataclass(frozen=True)
class Caught:
    """
    What became of a planted bug.

    Args:
        mutation: Which.
        seeds: How many seeds it took, those that were passed over not counted; None where none of them noticed.
        finding: What gave it away.
    """

    mutation: Mutation
    seeds: int | None
    finding: str


def catch_all(
    mutations: Iterable[Mutation] = MUTATIONS, *, at_once: int = 2, report: Callable[[Caught], None] = lambda _: None
) -> list[Caught]:
    """Plant each bug in a process of its own, so many at once, and see how many seeds it takes to notice."""

    def catch(mutation: Mutation) -> Caught:
        command = [sys.executable, "-m", "impactflow.proof.mutations", mutation.name]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own module
        seeds, _, finding = ended.stdout.strip().partition(" ")
        if ended.returncode or not seeds:
            raise RuntimeError(f"{mutation.name}: {ended.stderr.strip().splitlines()[-1:]}")
        caught = Caught(mutation, int(seeds) or None, finding)
        report(caught)
        return caught

    with ThreadPoolExecutor(at_once) as threads:
        return list(threads.map(catch, mutations))


def _main(name: str) -> None:
    """Plant one bug, run seeds until one notices, and print how many that took (0: none did) and what was found."""
    (mutation,) = (each for each in MUTATIONS if each.name == name)
    sys.meta_path.insert(0, _Gardener(mutation))
    from impactflow.proof.simulation import Simulator  # noqa: PLC0415
    from impactflow.proof.twists import scenario  # noqa: PLC0415 - the bug must be planted first

    logging.getLogger("impactflow").setLevel(logging.CRITICAL)
    simulator = Simulator()
    wanted = (each for each in map(scenario, count()) if not mutation.twist or mutation.twist in each.twists)
    for number, each in enumerate(islice(wanted, MOST_SEEDS), 1):
        if findings := simulator.run(each).findings:
            sys.stdout.write(f"{number} {findings[0]}\n")
            return
    sys.stdout.write("0 not noticed\n")


if __name__ == "__main__":
    _main(sys.argv[1])
