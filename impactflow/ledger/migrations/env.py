"""How Alembic reaches the ledger: over the connection that ``engine`` hands it, inside one transaction."""

from alembic import context

from impactflow.ledger.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
