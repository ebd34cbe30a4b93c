"""Alembic revisions; run by `server.state.schema.upgrade`."""
