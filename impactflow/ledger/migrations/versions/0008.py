"""All sales that an order may be are kept, so that an answer about one of them is none about another."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("orders", sa.Column("twins", sa.Text(), nullable=True))
    op.execute("UPDATE orders SET twins = '[' || twin || ']' WHERE twin IS NOT NULL")
    op.drop_column("orders", "twin")
