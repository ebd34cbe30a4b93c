"""Brings a database to the schema of this server."""

from sqlalchemy import Connection, Text, column, inspect, select, table

# The newest revision in `migrations/versions`. A database that is there already is left alone, and
# Alembic is not even imported: that would be a quarter of the server's start.
HEAD = "0003"
_VERSION_TABLE = "alembic_version"


class SchemaTooNew(RuntimeError):
    """The state database was written by a newer server; run that version."""


def upgrade(connection: Connection) -> None:
    """Applies the revisions that are missing, in the caller's transaction."""
    current = _revision(connection)
    if current == HEAD:
        return
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", "server.state:migrations")
    config.attributes["connection"] = connection
    known = {revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise SchemaTooNew(SchemaTooNew.__doc__)
    command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    """The revision that the database has; None for an empty one."""
    if not inspect(connection).has_table(_VERSION_TABLE):
        return None
    version = select(column("version_num", Text)).select_from(table(_VERSION_TABLE))
    return connection.execute(version).scalar_one_or_none()
