"""
Columns get the words of the code; a doubt counts its questions; a person vouches for an account of one store.

A person may pause buying, and what an order has earned may be on hold for some days.
"""

import sqlalchemy as sa
from alembic import op

from impactflow.ledger.tables import Utc

revision = "0009"
down_revision = "0008"

_RENAMED = (
    ("orders", "tellers", "reporters"),
    ("orders", "twins", "duplicates"),
    ("placements", "twin", "look_alike"),
    ("placements", "unresolved_twin", "unresolved_look_alike"),
)


def upgrade() -> None:
    # The reason of a doubt ended with the number of its questions.
    counted = "; asked again before that counts ({} of 3)"
    for asked in (1, 2, 3):
        end = sa.literal(counted.format(asked))
        reason = sa.func.replace(sa.column("reason"), end, "")
        placements = sa.table("placements", sa.column("reason"), sa.column("status"))
        op.execute(placements.update().where(sa.column("status") == "in_doubt").values(reason=reason))
    op.add_column("placements", sa.Column("asked_again", sa.Integer(), nullable=True))
    op.add_column("placements", sa.Column("buy_from", Utc(), nullable=True))
    op.add_column("placements", sa.Column("outdated", sa.Boolean(), nullable=True))

    op.drop_index(op.f("ix_placements_twin"), "placements")
    for table, before, now in _RENAMED:  # in place: Alembic's own way would copy the whole table on SQLite
        op.execute(f"ALTER TABLE {table} RENAME COLUMN {before} TO {now}")
    op.create_index(op.f("ix_placements_look_alike"), "placements", ["look_alike"], unique=False)

    op.create_table(
        "vouched_accounts",
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("vouched_at", Utc(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("store", "provider", name=op.f("pk_vouched_accounts")),
    )
    # A person's word counted for every store until now, and still does.
    op.execute(
        'INSERT INTO vouched_accounts (store, provider, vouched_at, "by")'
        " SELECT '', provider, vouched_at, \"by\" FROM accounts"
    )
    op.drop_table("accounts")

    op.create_table(
        "pauses",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("store", sa.Text(), nullable=True),
        sa.Column("provider", sa.Text(), nullable=True),
        sa.Column("slot", sa.Text(), nullable=True),
        sa.Column("at", Utc(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("resumed_at", Utc(), nullable=True),
        sa.Column("resumed_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pauses")),
    )
