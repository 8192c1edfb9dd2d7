"""A customer may be forgotten."""

import sqlalchemy as sa
from alembic import op

from impactflow.ledger.tables import Utc

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("placements", sa.Column("known_as", sa.Text(), nullable=True))
    op.add_column("placements", sa.Column("is_renamed", sa.Boolean(), nullable=True))
    op.add_column("placements", sa.Column("forgotten", sa.Text(), nullable=True))
    op.create_index(op.f("ix_placements_forgotten"), "placements", ["forgotten"], unique=False)
    op.create_table(
        "forgotten_customers",
        sa.Column("customer", sa.Text(), nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("ended_at", Utc(), nullable=True),
        sa.PrimaryKeyConstraint("customer", name=op.f("pk_forgotten_customers")),
    )
