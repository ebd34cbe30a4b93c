"""Alembic's entry: applies revisions over the connection that `schema.upgrade` hands in."""

from alembic import context

from server.state.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
