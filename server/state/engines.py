"""How each database is opened: what SQLAlchemy must be told for ours to be safe and fast."""

import os
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url

BUSY_TIMEOUT_SECONDS = 30
# Rows hold message texts: they must not appear in the text of an error.
COMMON: dict[str, Any] = {"max_overflow": 0, "hide_parameters": True}
POSTGRES_ARGS = {
    "connect_timeout": 10,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "options": "-c statement_timeout=30000 -c synchronous_commit=on",
}


def make_engines(url: str, readers: int) -> tuple[Engine, Engine]:
    """One engine that writes over a single connection, one that can only read."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed, readers)
    if parsed.get_backend_name() == "postgresql":
        return _postgres(parsed.set(drivername="postgresql+psycopg"), readers)
    message = "the state database must be sqlite:///… or postgresql://…"
    raise ValueError(message)


def _sqlite(url: URL, readers: int) -> tuple[Engine, Engine]:
    if not url.database or url.database == ":memory:":
        message = "the state database must be a file: sqlite:////path/roost.db"
        raise ValueError(message)
    _create_private(Path(url.database))
    arguments = {"timeout": BUSY_TIMEOUT_SECONDS, "check_same_thread": False}
    writer = create_engine(url, pool_size=1, connect_args=arguments, **COMMON)
    reader = create_engine(url, pool_size=readers, connect_args=arguments, **COMMON)
    # SQLAlchemy begins transactions, not the driver: a writer takes the lock at once, so that it
    # can never fail half-way because another process got it first.
    for engine, begin, pragmas in (
        (writer, "BEGIN IMMEDIATE", ("journal_mode=WAL", "synchronous=FULL")),
        (reader, "BEGIN", ("query_only=ON",)),
    ):
        _prepare_sqlite(engine, begin, pragmas)
    return writer, reader


def _prepare_sqlite(engine: Engine, begin: str, pragmas: tuple[str, ...]) -> None:
    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def began(connection: Connection) -> None:
        connection.exec_driver_sql(begin)


def _create_private(path: Path) -> None:
    """Makes the file with mode 0600; SQLite gives its -wal and -shm the same."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _postgres(url: URL, readers: int) -> tuple[Engine, Engine]:
    writer = create_engine(url, pool_size=1, connect_args=POSTGRES_ARGS, **COMMON)
    reader = create_engine(
        url,
        pool_size=readers,
        pool_pre_ping=True,
        connect_args=POSTGRES_ARGS,
        execution_options={"postgresql_readonly": True},
        **COMMON,
    )
    return writer, reader
