"""The ledger's first schema."""

import sqlalchemy as sa
from alembic import op

from impactflow.ledger.tables import Id, Utc

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "broken_orders",
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("first_seen_at", Utc(), nullable=False),
        sa.Column("last_seen_at", Utc(), nullable=False),
        sa.PrimaryKeyConstraint("store", "name", name=op.f("pk_broken_orders")),
    )
    op.create_table(
        "orders",
        sa.Column("id", Id, nullable=False),
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("ordered_at", Utc(), nullable=False),
        sa.Column("customer_email", sa.Text(), nullable=True),
        sa.Column("eligible", sa.Boolean(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
    )
    op.create_index(op.f("ix_orders_store_orders_ordered_at"), "orders", ["store", "ordered_at"], unique=False)
    op.create_table(
        "watermarks",
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("read_to", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("store", "source", name=op.f("pk_watermarks")),
    )
    op.create_table(
        "order_names",
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("order", Id, nullable=False),
        sa.ForeignKeyConstraint(["order"], ["orders.id"], name=op.f("fk_order_names_order")),
        sa.PrimaryKeyConstraint("store", "name", name=op.f("pk_order_names")),
    )
    op.create_index(op.f("ix_order_names_order"), "order_names", ["order"], unique=False)
    op.create_table(
        "placements",
        sa.Column("id", Id, nullable=False),
        sa.Column("order", Id, nullable=False),
        sa.Column("slot", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=True),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("options", sa.Text(), nullable=False),
        sa.Column("on_behalf", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("due_at", Utc(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("planned_at", Utc(), nullable=False),
        sa.Column("first_attempted_at", Utc(), nullable=True),
        sa.Column("attempted_at", Utc(), nullable=True),
        sa.Column("doubted_at", Utc(), nullable=True),
        sa.Column("twin", sa.Text(), nullable=True),
        sa.Column("unresolved_twin", sa.Text(), nullable=True),
        sa.Column("handle", sa.Text(), nullable=True),
        sa.Column("ref", sa.Text(), nullable=True),
        sa.Column("price_usd_cents", sa.BigInteger(), nullable=True),
        sa.Column("certificate_url", sa.Text(), nullable=True),
        sa.Column("placed_at", Utc(), nullable=True),
        sa.Column("placed_on", sa.Date(), nullable=True),
        sa.Column("completed_at", Utc(), nullable=True),
        sa.Column("checks", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["order"], ["orders.id"], name=op.f("fk_placements_order")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_placements")),
        sa.UniqueConstraint("key", name=op.f("uq_placements_key")),
        sa.UniqueConstraint("order", "slot", name=op.f("uq_placements_order_slot")),
        sa.UniqueConstraint("provider", "ref", name=op.f("uq_placements_provider_ref")),
        sa.UniqueConstraint("unresolved_twin", name=op.f("uq_placements_unresolved_twin")),
    )
    op.create_index(op.f("ix_placements_placed_on_placements_slot"), "placements", ["placed_on", "slot"], unique=False)
    op.create_index(
        op.f("ix_placements_provider_placements_status_placements_due_at_placements_id"),
        "placements",
        ["provider", "status", "due_at", "id"],
        unique=False,
    )
    op.create_index(op.f("ix_placements_twin"), "placements", ["twin"], unique=False)
    op.create_table(
        "unearned",
        sa.Column("order", Id, nullable=False),
        sa.Column("slot", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["order"], ["orders.id"], name=op.f("fk_unearned_order")),
        sa.PrimaryKeyConstraint("order", "slot", name=op.f("pk_unearned")),
    )
    op.create_table(
        "events",
        sa.Column("id", Id, nullable=False),
        sa.Column("placement", Id, nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.Column("from_status", sa.Text(), nullable=True),
        sa.Column("to_status", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["placement"], ["placements.id"], name=op.f("fk_events_placement")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index(op.f("ix_events_placement"), "events", ["placement"], unique=False)
    # ### end Alembic commands ###
