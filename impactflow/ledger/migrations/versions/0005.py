"""
What a purchase consists of, denials, when an order was read, vouched accounts, and what was planned on each day.

Ledgers of some earlier commits say that they are at 0001 or 0004 and lack what those files gained later: it is added.
"""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from alembic import op

from impactflow.ledger.tables import Utc

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    _add_missing(
        "placements",
        (
            sa.Column("doubted_at", Utc(), nullable=True),
            sa.Column("approval_limit", sa.BigInteger(), nullable=True),
            sa.Column("approved", sa.Text(), nullable=True),
            sa.Column("decided", sa.Text(), nullable=True),
            sa.Column("sent_until", Utc(), nullable=True),
        ),
    )
    _add_missing("orders", (sa.Column("refunded", sa.Boolean(), nullable=True),))
    if "ix_placements_twin" not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes("placements")}:
        op.create_index(op.f("ix_placements_twin"), "placements", ["twin"], unique=False)
    op.add_column("placements", sa.Column("parts", sa.Text(), nullable=True))
    op.add_column("placements", sa.Column("if_absent", sa.Text(), nullable=True))
    op.add_column("orders", sa.Column("read_at", Utc(), nullable=True))
    op.add_column("orders", sa.Column("policy", sa.Text(), nullable=True))
    op.create_table(
        "accounts",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("vouched_at", Utc(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("provider", name=op.f("pk_accounts")),
    )
    op.create_table(
        "planned_on",
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("slot", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("store", "slot", "day", name=op.f("pk_planned_on")),
    )


def _add_missing(table: str, columns: Iterable[sa.Column[Any]]) -> None:
    present = {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
    for column in columns:
        if column.name not in present:
            op.add_column(table, column)
