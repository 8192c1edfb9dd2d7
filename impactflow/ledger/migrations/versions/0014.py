"""One purchase, a lot, may be made for many orders: their shares, and which lot covers what."""

import sqlalchemy as sa
from alembic import op

from impactflow.ledger.tables import Id, Utc

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.add_column("orders", sa.Column("lot", sa.Integer(), nullable=True))
    is_lot = sa.text("lot IS NOT NULL")
    op.create_index("ix_orders_lots", "orders", ["store"], sqlite_where=is_lot, postgresql_where=is_lot)
    op.create_table(
        "shares",
        sa.Column("order", Id, sa.ForeignKey("orders.id", name="fk_shares_order"), nullable=False),
        sa.Column("slot", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("earned", sa.BigInteger(), nullable=False),
        sa.Column("owed", sa.BigInteger(), nullable=False),
        sa.Column("covered", sa.BigInteger(), nullable=False),
        sa.Column("buy_from", Utc(), nullable=True),
        sa.Column("final_at", Utc(), nullable=True),
        sa.Column("outdated", sa.Boolean(), nullable=True),
        sa.Column("basis", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("order", "slot", name="pk_shares"),
    )
    is_open = sa.text("covered <> owed")
    op.create_index("ix_shares_open", "shares", ["slot", "kind"], sqlite_where=is_open, postgresql_where=is_open)
    op.create_table(
        "allocations",
        sa.Column("id", Id, nullable=False),
        sa.Column("lot", Id, sa.ForeignKey("placements.id", name="fk_allocations_lot"), nullable=False),
        sa.Column("order", Id, sa.ForeignKey("orders.id", name="fk_allocations_order"), nullable=False),
        sa.Column("parts", sa.BigInteger(), nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_allocations"),
    )
    op.create_index("ix_allocations_lot", "allocations", ["lot"])
    op.create_index("ix_allocations_order", "allocations", ["order"])
