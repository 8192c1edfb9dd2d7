"""An order may be given back whole; a seller may be asked to cancel what it has sold, and may refuse."""

import sqlalchemy as sa
from alembic import op

from impactflow.ledger.tables import Utc

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.add_column("orders", sa.Column("given_back_at", Utc(), nullable=True))
    op.add_column("orders", sa.Column("not_given_back_at", Utc(), nullable=True))
    op.add_column("placements", sa.Column("cancel_asked", sa.Boolean(), nullable=True))
    op.add_column("placements", sa.Column("cancel_refused", sa.Text(), nullable=True))
