"""Rows that turned out to be the same sale know of each other."""

import sqlalchemy as sa
from alembic import op

from impactflow.ledger.tables import Id

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    same_as = sa.Column("same_as", Id, sa.ForeignKey("orders.id", name=op.f("fk_orders_same_as")), nullable=True)
    op.add_column("orders", same_as, inline_references=True)
    op.create_index(op.f("ix_orders_same_as"), "orders", ["same_as"], unique=False)
