"""
What an order said is kept, refunds say as of when and whether they failed, and orders that look alike are found.

Deliveries that were refused are counted.
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
