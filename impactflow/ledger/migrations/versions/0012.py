"""What a seller quoted for a purchase before is kept beside its price."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column("placements", sa.Column("quoted_usd_cents", sa.BigInteger(), nullable=True))
