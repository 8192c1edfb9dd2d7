"""Purchases beside the one that a placement holds are kept, and what is done about them."""

import sqlalchemy as sa
from alembic import op

from impactflow.ledger.tables import Id, Utc

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "further_purchases",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("placement", Id, nullable=False),
        sa.Column("found_at", Utc(), nullable=False),
        sa.Column("cancelling_at", Utc(), nullable=True),
        sa.Column("cancelled_at", Utc(), nullable=True),
        sa.ForeignKeyConstraint(["placement"], ["placements.id"], name=op.f("fk_further_purchases_placement")),
        sa.PrimaryKeyConstraint("provider", "ref", name=op.f("pk_further_purchases")),
    )
    op.create_index(op.f("ix_further_purchases_placement"), "further_purchases", ["placement"], unique=False)
