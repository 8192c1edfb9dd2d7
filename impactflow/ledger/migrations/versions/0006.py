"""
What an order said is kept, refunds say as of when and whether they failed, and what is refused or dismissed is told.

A delivery that could not be read says by which mapping, deliveries that were refused are counted, and persons may
dismiss what could not be read.
"""

import sqlalchemy as sa
from alembic import op

from impactflow.ledger.tables import Utc

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("orders", sa.Column("facts", sa.Text(), nullable=True))
    op.add_column("orders", sa.Column("facts_at", Utc(), nullable=True))
    op.add_column("orders", sa.Column("listed", sa.Text(), nullable=True))
    op.add_column("refunds", sa.Column("as_of", Utc(), nullable=True))
    op.add_column("refunds", sa.Column("is_undone", sa.Boolean(), nullable=True))
    op.add_column("refunds", sa.Column("uncaptured", sa.Text(), nullable=True))
    op.create_index(
        "ix_orders_to_judge",
        "orders",
        ["store"],
        unique=False,
        sqlite_where=sa.text("digest = ''"),
        postgresql_where=sa.text("digest = ''"),
    )
    op.create_table(
        "refused_deliveries",
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("store", "source", "day", "status", name=op.f("pk_refused_deliveries")),
    )
    op.add_column("deliveries", sa.Column("listed_as", sa.Text(), nullable=True))
    op.add_column("deliveries", sa.Column("mapping", sa.Text(), nullable=True))
    op.create_index(
        "ix_deliveries_unread",
        "deliveries",
        ["store", "source"],
        unique=False,
        sqlite_where=sa.text("mapping IS NOT NULL"),
        postgresql_where=sa.text("mapping IS NOT NULL"),
    )
    op.create_table(
        "dismissals",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dismissals")),
    )
    op.create_index(op.f("ix_dismissals_store_dismissals_name"), "dismissals", ["store", "name"], unique=False)
