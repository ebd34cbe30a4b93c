"""Brings a database to the schema of this server."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection


class SchemaTooNew(RuntimeError):
    """The state database was written by a newer server; run that version."""


def upgrade(connection: Connection) -> None:
    """Applies the revisions that are missing, in the caller's transaction."""
    config = Config()
    config.set_main_option("script_location", "server.state:migrations")
    config.attributes["connection"] = connection
    known = {revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()}
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in known:
        raise SchemaTooNew(SchemaTooNew.__doc__)
    command.upgrade(config, "head")
