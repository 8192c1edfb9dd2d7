"""
The ledger's tables. The unique indexes here are the guarantee; code only decides what to try.

Migrations in ``migrations/`` build exactly this (a test compares the two). Times are UTC: ISO 8601 text in SQLite,
``timestamptz`` in Postgres. Quantities are whole numbers of the unit that ``models.UNIT_OF`` names.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)


class Utc(TypeDecorator[datetime]):
    """An aware time, kept as UTC; text that sorts by time where the database has no such type."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """Text in SQLite, the database's own type elsewhere."""
        return dialect.type_descriptor(String(32) if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Convert our value to the database's."""
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Convert the database's value to ours."""
        if value is None:
            return None
        return datetime.fromisoformat(value) if dialect.name == "sqlite" else value.astimezone(UTC)


# SQLite numbers rows by itself only where the column is its own INTEGER.
Id = BigInteger().with_variant(Integer, "sqlite")

#: The rows of a partial index; by SQLAlchemy's own options every command would load both dialects.
WHERE = "where"

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: A row for each order that was read, with or without earnings.
orders = Table(
    "orders",
    metadata,
    Column("id", Id, primary_key=True),
    Column("store", Text, nullable=False),
    # The Wicked Reports id, or the source's if it came by webhook first: keys derive from it, so it never changes.
    Column("order_id", Text, nullable=False),
    Column("ordered_at", Utc, nullable=False),
    # The only personal datum: the customer that a provider gets for the impact. NULL if providers get none; '' if the
    # customer was forgotten.
    Column("customer_email", Text),
    # A digest of store and e-mail address: it finds the customer's other orders. NULL if the address is not known.
    Column("customer", Text),
    # The sources that have reported it, as a JSON list: two sales that one source reported are two.
    Column("reporters", Text),
    # The rows of the sales that it may be, reported twice, as a JSON list: a person is asked about all of them, or has
    # answered. NULL for none.
    Column("duplicates", Text),
    Column("eligible", Boolean, nullable=False),
    # Whether a payment was REFUNDED when it was planned last; NULL if the ledger did not keep this yet.
    Column("refunded", Boolean),
    # When it was last listed with all its payments given back, unless it was listed otherwise since or a webhook said
    # otherwise; and the last time when a webhook did.
    Column("given_back_at", Utc),
    Column("not_given_back_at", Utc),
    # The digest of order and policy when it was last planned: an unchanged pair is not judged again.
    Column("digest", Text, nullable=False),
    # The time of the last reading or announcement, and the digest of the policy it was planned under then: an order
    # that is sent must have been read lately, under the present policy. NULL if the ledger did not keep this yet.
    Column("read_at", Utc),
    Column("policy", Text),
    # The first row of the same sale, if a name has joined two that were read apart. Never a chain.
    Column("same_as", Id, ForeignKey("orders.id"), index=True),
    # The order's last report, as JSON, without e-mail address: facts.py defines it. NULL if the ledger did not keep it
    # yet.
    Column("facts", Text),
    # The time of a webhook's report; NULL if the order was read.
    Column("facts_at", Utc),
    # A digest of the source's last listing of the order; NULL if it was never listed.
    Column("listed", Text),
    # The number of a lot in its slot, if the row stands for a lot: one purchase for many orders, drawn at ordered_at;
    # eligible says whether it covers them still. NULL for an order.
    Column("lot", Integer),
    Index(None, "store", "ordered_at"),
    # Few of the rows.
    Index("ix_orders_lots", "store", info={WHERE: "lot IS NOT NULL"}),
    Index(None, "customer", "ordered_at"),
    # Few at any time: an announcement makes them be judged again.
    Index("ix_orders_to_judge", "store", info={WHERE: "digest = ''"}),
)

#: Every name an order goes by. Two orders that share one are the same order.
order_names = Table(
    "order_names",
    metadata,
    Column("store", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("order", Id, ForeignKey("orders.id"), nullable=False, index=True),
)

#: The slots that an order did not earn, with the reason; slot is '' if the whole order does not count.
unearned = Table(
    "unearned",
    metadata,
    Column("order", Id, ForeignKey("orders.id"), primary_key=True),
    Column("slot", Text, primary_key=True),
    Column("reason", Text, nullable=False),
)

#: Orders that could not be read; the row goes when a later reading succeeds.
broken_orders = Table(
    "broken_orders",
    metadata,
    Column("store", Text, primary_key=True),
    # The order's id; '?' and a digest of the problem where it had none.
    Column("name", Text, primary_key=True),
    Column("problem", Text, nullable=False),
    Column("first_seen_at", Utc, nullable=False),
    Column("last_seen_at", Utc, nullable=False),
)

#: Dismissals of orders that could not be read: a person's word that the problem needs no action. It holds while the
#: order has that problem, and is kept for good.
dismissals = Table(
    "dismissals",
    metadata,
    Column("id", Id, primary_key=True),
    Column("store", Text, nullable=False),
    # As in broken_orders.
    Column("name", Text, nullable=False),
    Column("problem", Text, nullable=False),
    Column("at", Utc, nullable=False),
    # Who says so.
    Column("by", Text, nullable=False),
    Column("why", Text, nullable=False),
    Index(None, "store", "name"),
)

#: The one purchase for one order and slot.
placements = Table(
    "placements",
    metadata,
    Column("id", Id, primary_key=True),
    Column("order", Id, ForeignKey("orders.id"), nullable=False),
    Column("slot", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("kind", Text, nullable=False),
    # NULL only while held because the quantity is unknown.
    Column("quantity", BigInteger),
    Column("unit", Text, nullable=False),
    # Further values for the provider, as JSON; fixed while in doubt, so that a repeat has the same body.
    Column("options", Text, nullable=False),
    Column("on_behalf", Boolean, nullable=False),
    Column("status", Text, nullable=False),
    # The reason why it is held, failed, parked, in doubt or waiting.
    Column("reason", Text),
    # A digest of the customer for whom it was sent, if that customer was forgotten since: the provider's records are
    # compared with it. NULL for none.
    Column("known_as", Text),
    # Whether it was sent once more after that, and for nobody; false if it was, but what it holds was bought for the
    # customer; NULL if it was not.
    Column("is_renamed", Boolean),
    # Who that customer was, as in forgotten_customers: the shop may have written more than the address.
    Column("forgotten", Text, index=True),
    # Whether its order was planned again while it could not be changed: it is not sent before it is planned again, too.
    Column("outdated", Boolean),
    # The end of its hold: nothing is bought before; NULL without a hold.
    Column("buy_from", Utc),
    # The next time when it is due (see states.py); NULL when it is at an end or waits for a person.
    Column("due_at", Utc),
    Column("attempts", Integer, nullable=False),
    Column("planned_at", Utc, nullable=False),
    Column("first_attempted_at", Utc),
    # The last time a request that buys was about to be sent.
    Column("attempted_at", Utc),
    # The time when the last attempt came to be in doubt.
    Column("doubted_at", Utc),
    # No request for it was sent after this time, not even to resolve the doubt; the settling time counts from here.
    Column("sent_until", Utc),
    # When a provider that knows keys last said no to what may have been bought all the same; NULL once that is known.
    Column("denied_at", Utc),
    # The same text for all placements that the provider's records could not tell apart. NULL if keys tell them apart.
    Column("look_alike", Text),
    # The same text, from the intent until the outcome is known: only one look-alike can be unknown at a time.
    Column("unresolved_look_alike", Text),
    # The provider's name before it takes effect; a purchase in two steps leaves it NULL until the first.
    Column("handle", Text),
    # The provider's name once it took effect.
    Column("ref", Text),
    # The provider's names for the purchase's parts, as a JSON list (ImpactAPI's donation intents); NULL if it does not
    # say them.
    Column("parts", Text),
    # While in doubt: the status to take if the provider's records do not show the purchase, since an answer refused a
    # request without a key (planned, failed), or named another purchase (parked). NULL if no answer came.
    Column("if_absent", Text),
    # While in doubt: how often the provider was asked again about an answer against the purchase; NULL for never.
    Column("asked_again", Integer),
    Column("price_usd_cents", BigInteger),
    # What the provider had quoted before it was sent; NULL where it was not asked.
    Column("quoted_usd_cents", BigInteger),
    Column("certificate_url", Text),
    Column("placed_at", Utc),
    # The UTC day of placed_at, so that reports group by it in any database.
    Column("placed_on", Date),
    Column("completed_at", Utc),
    # The number of times it was tracked.
    Column("checks", Integer, nullable=False),
    # Whether its provider was asked to cancel it since a run began to; NULL where none was.
    Column("cancel_asked", Boolean),
    # Why its provider does not cancel it, though its order was given back; NULL unless it has said so.
    Column("cancel_refused", Text),
    # The largest quantity that is bought without a person's approval; NULL where the policy sets no limit.
    Column("approval_limit", BigInteger),
    # The digest of what a person has approved; a purchase that is sent must still match it.
    Column("approved", Text),
    # The digest of what was earned when a person decided about it; while that is earned, the decision stands.
    Column("decided", Text),
    UniqueConstraint("order", "slot"),
    UniqueConstraint("key"),
    UniqueConstraint("provider", "ref"),
    UniqueConstraint("unresolved_look_alike", name="uq_placements_unresolved_twin"),  # its name before version 0009
    Index(None, "provider", "status", "due_at", "id"),
    Index(None, "placed_on", "slot"),
    Index(None, "look_alike"),
)

#: The orders' shares of the lots of a slot: what each has earned, in parts of a unit (``models.PARTS``).
shares = Table(
    "shares",
    metadata,
    # An order; or a lot, for the part of it that no order is owed any more: what is covered there is credit.
    Column("order", Id, ForeignKey("orders.id"), primary_key=True),
    Column("slot", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    # What the order had earned when it was planned last, or when its part of a lot was sent.
    Column("earned", BigInteger, nullable=False),
    # The same, less what was given back since.
    Column("owed", BigInteger, nullable=False),
    # The part of it that lots cover: the sum of its allocations.
    Column("covered", BigInteger, nullable=False),
    # The end of its hold; NULL without a hold.
    Column("buy_from", Utc),
    # The time from which its order hardly changes: a reading since then counts for good.
    Column("final_at", Utc),
    # Whether its order has earned something else by now, while it could not be changed: if its lot is given up, it is
    # judged again before anything is bought for it.
    Column("outdated", Boolean),
    # The order's amount after a refund of a part, for which it was worked out what is owed; NULL without one.
    Column("basis", Text),
    # What waits for a lot, and what is credit: few of the rows.
    Index("ix_shares_open", "slot", "kind", info={WHERE: "covered <> owed"}),
)

#: Which part of which lot covers which part of which share. Rows are only added; the sum of a lot's rows is its
#: quantity, or nothing if it was given up before anything was bought.
allocations = Table(
    "allocations",
    metadata,
    Column("id", Id, primary_key=True),
    Column("lot", Id, ForeignKey("placements.id"), nullable=False, index=True),
    # The share's order; the lot's own row for credit.
    Column("order", Id, ForeignKey("orders.id"), nullable=False, index=True),
    # In parts of a unit; below 0 where a part is taken from the share again.
    Column("parts", BigInteger, nullable=False),
    Column("at", Utc, nullable=False),
    Column("run_id", Text, nullable=False),
)

#: Every change of a placement's status, in the transaction that made it. An event that begins an attempt (to placing,
#: or in doubt to in doubt) is written before anything is sent; the placement's key is what the attempt carries.
events = Table(
    "events",
    metadata,
    Column("id", Id, primary_key=True),
    Column("placement", Id, ForeignKey("placements.id"), nullable=False, index=True),
    Column("at", Utc, nullable=False),
    # NULL at the beginning.
    Column("from_status", Text),
    Column("to_status", Text, nullable=False),
    # The attempt that it belongs to; 0 before the first.
    Column("attempt", Integer, nullable=False),
    # The run that made the change, and so sent the attempt.
    Column("run_id", Text, nullable=False),
    Column("detail", Text),
)

#: Purchases beside the one that a placement holds: a late answer reported one, or an audit cancels it.
further_purchases = Table(
    "further_purchases",
    metadata,
    Column("provider", Text, primary_key=True),
    # The provider's name for it.
    Column("ref", Text, primary_key=True),
    # The placement whose key it was made under.
    Column("placement", Id, ForeignKey("placements.id"), nullable=False, index=True),
    Column("found_at", Utc, nullable=False),
    # The time when the intent to cancel it was made durable; NULL without such an intent.
    Column("cancelling_at", Utc),
    Column("cancelled_at", Utc),
)

#: The decisions of persons about placements above the approval limit.
approvals = Table(
    "approvals",
    metadata,
    Column("id", Id, primary_key=True),
    Column("placement", Id, ForeignKey("placements.id"), nullable=False, index=True),
    Column("at", Utc, nullable=False),
    # The person who decided.
    Column("by", Text, nullable=False),
    # approved or rejected.
    Column("decision", Text, nullable=False),
    # The approved quantity, and the digest of everything approved; NULL if it was rejected.
    Column("quantity", BigInteger),
    Column("digest", Text),
    Column("why", Text),
    Column("run_id", Text, nullable=False),
)

#: Every webhook delivery that was accepted. The ids are kept for good, so that nothing is handled twice.
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Id, primary_key=True),
    Column("store", Text, nullable=False),
    # The source whose scheme it came by: sources.py of the webhooks lists them.
    Column("source", Text, nullable=False),
    # The sender's id for it, or another value that identifies it if the sender gives none.
    Column("webhook_id", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("received_at", Utc, nullable=False),
    # As it was sent; NULL once it is handled, since it describes a person. Kept if it could not be read.
    Column("body", LargeBinary),
    Column("handled_at", Utc),
    # The reason why it could not be read.
    Column("problem", Text),
    # Its name in broken_orders in that case.
    Column("listed_as", Text),
    # The digest of the sender's mapping by which it could not be read, '' if there was none: another mapping is tried.
    # NULL if it was read, or if its sender needs no mapping.
    Column("mapping", Text),
    UniqueConstraint("store", "source", "webhook_id"),
    Index(None, "store", "handled_at", "id"),
    # Few at any time.
    Index("ix_deliveries_unread", "store", "source", info={WHERE: "mapping IS NOT NULL"}),
)

#: The number of deliveries that the receiver refused; nothing else is kept, since anyone may send one.
refused_deliveries = Table(
    "refused_deliveries",
    metadata,
    Column("store", Text, primary_key=True),
    # The source, by their path.
    Column("source", Text, primary_key=True),
    # The UTC day.
    Column("day", Date, primary_key=True),
    # The HTTP status of the answer.
    Column("status", Integer, primary_key=True),
    Column("count", BigInteger, nullable=False),
)

#: Announced refunds, under each name of their order: nothing is bought for a refunded order.
refunds = Table(
    "refunds",
    metadata,
    Column("store", Text, primary_key=True),
    # A name of the order, which may be unknown yet.
    Column("name", Text, primary_key=True),
    # The sender's name for the refund.
    Column("ref", Text, primary_key=True),
    # The amount that was given back, as decimal text; NULL if it is not known.
    Column("amount", Text),
    Column("currency", Text),
    # Whether the sender says that everything was given back.
    Column("is_full", Boolean, nullable=False),
    # The time of the refund according to the sender; NULL if it did not say.
    Column("as_of", Utc),
    # Whether it says that this amount was not given back after all; NULL, like false, if not kept yet.
    Column("is_undone", Boolean),
    # The part of the amount that the merchant never took, as decimal text; NULL for nothing.
    Column("uncaptured", Text),
    Column("seen_at", Utc, nullable=False),
)

#: Accounts for which a person has vouched: this ledger made no purchase there that it does not know.
vouched_accounts = Table(
    "vouched_accounts",
    metadata,
    # The store whose account it is; '' for a word from the time when it counted for every store.
    Column("store", Text, primary_key=True),
    Column("provider", Text, primary_key=True),
    # Purchases from before this time that carry none of our keys are not ours.
    Column("vouched_at", Utc, nullable=False),
    # Who says so.
    Column("by", Text, nullable=False),
)

#: Pauses: while one stands, nothing new is sent within its scope. An ended one is kept for good.
pauses = Table(
    "pauses",
    metadata,
    Column("id", Id, primary_key=True),
    # What it holds back; NULL for every store, provider or slot.
    Column("store", Text),
    Column("provider", Text),
    Column("slot", Text),
    Column("at", Utc, nullable=False),
    # Who says so.
    Column("by", Text, nullable=False),
    Column("why", Text, nullable=False),
    # When a person ended it, and who; NULL while it stands.
    Column("resumed_at", Utc),
    Column("resumed_by", Text),
)

#: The customers to forget: orders that name them are kept without their addresses.
forgotten_customers = Table(
    "forgotten_customers",
    metadata,
    # A digest of the e-mail address: nothing else is kept of it.
    Column("customer", Text, primary_key=True),
    Column("at", Utc, nullable=False),
    # Who says so.
    Column("by", Text, nullable=False),
    # When nothing held the address any more; NULL while a text, or the file, may.
    Column("ended_at", Utc),
)

#: The quantity planned in each slot on each UTC day: more than the policy's ceiling waits for a person.
planned_on = Table(
    "planned_on",
    metadata,
    Column("store", Text, primary_key=True),
    Column("slot", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("quantity", BigInteger, nullable=False),
)

#: The progress of each source: every order dated up to this day is planned.
watermarks = Table(
    "watermarks",
    metadata,
    Column("store", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("read_to", Date, nullable=False),
)
