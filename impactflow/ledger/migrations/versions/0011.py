"""A provider's no to what may have been bought all the same counts for caps."""

import sqlalchemy as sa
from alembic import op

from impactflow.ledger.tables import Utc

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("placements", sa.Column("denied_at", Utc(), nullable=True))
