"""Webhook deliveries, announced refunds, and approvals of what exceeds a limit."""

import sqlalchemy as sa
from alembic import op

from impactflow.ledger.tables import Id, Utc

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", Id, nullable=False),
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("webhook_id", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("received_at", Utc(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("handled_at", Utc(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("store", "source", "webhook_id", name=op.f("uq_deliveries_store_source_webhook_id")),
    )
    columns = ["store", "handled_at", "id"]
    op.create_index(
        op.f("ix_deliveries_store_deliveries_handled_at_deliveries_id"), "deliveries", columns, unique=False
    )
    op.create_table(
        "refunds",
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("amount", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("is_full", sa.Boolean(), nullable=False),
        sa.Column("seen_at", Utc(), nullable=False),
        sa.PrimaryKeyConstraint("store", "name", "ref", name=op.f("pk_refunds")),
    )
    op.create_table(
        "approvals",
        sa.Column("id", Id, nullable=False),
        sa.Column("placement", Id, nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=True),
        sa.Column("digest", sa.Text(), nullable=True),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["placement"], ["placements.id"], name=op.f("fk_approvals_placement")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approvals")),
    )
    op.create_index(op.f("ix_approvals_placement"), "approvals", ["placement"], unique=False)
    op.add_column("orders", sa.Column("refunded", sa.Boolean(), nullable=True))
    op.add_column("placements", sa.Column("approval_limit", sa.BigInteger(), nullable=True))
    op.add_column("placements", sa.Column("approved", sa.Text(), nullable=True))
    op.add_column("placements", sa.Column("decided", sa.Text(), nullable=True))
    op.add_column("placements", sa.Column("sent_until", Utc(), nullable=True))
