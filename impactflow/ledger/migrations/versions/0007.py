"""
What else the customer of an order bought is found, by a digest of store and e-mail address.

Who has told of an order is kept, and which sale it may be that was told before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("orders", sa.Column("customer", sa.Text(), nullable=True))
    op.add_column("orders", sa.Column("tellers", sa.Text(), nullable=True))
    op.add_column("orders", sa.Column("twin", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True))
    op.create_index(op.f("ix_orders_customer_orders_ordered_at"), "orders", ["customer", "ordered_at"], unique=False)
