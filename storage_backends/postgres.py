"""Objects as rows of one PostgreSQL table.

URL: `postgresql://user:password@host/database?schema=roost_storage`; everything else in the query
goes to libpq (`sslmode`, `host=/socket/folder`, ...). The table `objects` is made in its own schema
when it is missing. A write is one statement and so one transaction. Where the line does not protect
the bytes (TCP without TLS), PostgreSQL compares the checksum of what arrived; a full read compares
it always. Needs PostgreSQL 11 or newer.
"""

import hashlib
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self, cast
from urllib.parse import SplitResult, parse_qsl, urlencode, urlunsplit

import psycopg
import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.dialects.postgresql import insert

from .base import ObjectInfo, Properties, StorageBackend
from .errors import (
    AccessDenied,
    BackendClosed,
    BackendMisconfigured,
    BackendTimeout,
    BackendUnavailable,
    ObjectChanged,
    ObjectCorrupt,
    ObjectExists,
    ObjectNotFound,
    ObjectTooLarge,
    QuotaExceeded,
    StorageError,
    Translation,
    translating,
)

PAGE = 1000
# libpq keeps what it needed to send the largest object for as long as a connection lives, so a
# large one takes its connection with it. What it needed to receive is worth keeping.
LARGE_BYTES = 2 << 20
_WRITTEN = ("data", "size", "sha256", "etag", "hash_on_arrival")
_SCHEMA_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")

# By SQLSTATE, the longest prefix first. https://www.postgresql.org/docs/current/errcodes-appendix.html
_BY_STATE: Mapping[str, type[StorageError]] = {
    "23514": ObjectCorrupt,  # the check that compares the checksum
    "23505": ObjectExists,
    "25006": AccessDenied,  # read-only transaction: a standby
    "28": AccessDenied,
    "42501": AccessDenied,
    "3D": BackendMisconfigured,
    "3F": BackendMisconfigured,
    "42": BackendMisconfigured,
    "53100": QuotaExceeded,
    "54": ObjectTooLarge,
    "57014": BackendTimeout,  # statement_timeout
    "XX001": ObjectCorrupt,
    "XX002": ObjectCorrupt,
}
_BY_TEXT: Mapping[str, type[StorageError]] = {
    # A connection that fails has no SQLSTATE in libpq; its text does not depend on the language
    # of the server for these two, which are of libpq's own protocol handling.
    "password authentication failed": AccessDenied,
    "no password supplied": AccessDenied,
    "does not exist": BackendMisconfigured,
}


def _by_state(error: Exception) -> type[StorageError]:
    original = getattr(error, "orig", error)  # SQLAlchemy wraps what psycopg raised
    state = getattr(original, "sqlstate", None) or ""
    for length in (5, 2):
        if (found := _BY_STATE.get(state[:length])) is not None:
            return found
    if not state:
        for text, meaning in _BY_TEXT.items():
            if text in str(original):
                return meaning
    return BackendUnavailable


ERRORS: Mapping[type[Exception], Translation] = {
    psycopg.Error: _by_state,
    exc.DBAPIError: _by_state,
    exc.TimeoutError: BackendTimeout,  # no connection of the pool became free
    exc.DisconnectionError: BackendUnavailable,
    exc.ArgumentError: BackendMisconfigured,
    exc.SQLAlchemyError: BackendUnavailable,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresConfig:
    """Where the table is. `url` may hold a password: it is never shown."""

    url: str
    schema: str = "roost_storage"
    connections: int = 4
    timeout: timedelta = timedelta(seconds=30)

    @classmethod
    def from_url(cls, url: SplitResult) -> Self:
        """Reads the URL; `schema` is ours, the rest is libpq's."""
        query = dict(parse_qsl(url.query))
        schema = query.pop("schema", "roost_storage")
        if not _SCHEMA_NAME.fullmatch(schema):
            raise BackendMisconfigured(
                backend="postgresql", problem="the schema must be lower-case letters, digits and _"
            )
        if not url.path.strip("/"):
            raise BackendMisconfigured(backend="postgresql", problem="the URL must name a database")
        rest = url._replace(scheme="postgresql+psycopg", query=urlencode(query))
        return cls(url=urlunsplit(rest), schema=schema)

    def __repr__(self) -> str:
        return f"PostgresConfig(schema={self.schema!r})"


class PostgresBackend(StorageBackend):
    """See the module."""

    def __init__(self, config: PostgresConfig) -> None:
        self._config = config
        self._engine: sa.Engine | None = None
        self._table = _table(config.schema)
        try:
            self._place = sa.make_url(config.url)
        except exc.ArgumentError as error:
            raise BackendMisconfigured(
                backend="postgresql", problem="the URL cannot be read"
            ) from error

    @property
    def name(self) -> str:
        """As in the contract."""
        host = self._place.host or "local"
        return f"postgresql:{host}/{self._place.database}/{self._config.schema}"

    @property
    def properties(self) -> Properties:
        """As in the contract."""
        return Properties(connections=self._config.connections)

    def open(self) -> None:
        """Makes schema and table if they are missing; without that right they must exist."""
        seconds = int(self._config.timeout.total_seconds())
        engine = sa.create_engine(
            self._place,
            pool_size=self._config.connections,
            max_overflow=0,
            pool_timeout=seconds,
            pool_use_lifo=True,  # the connection that has just been used is the quickest
            isolation_level="AUTOCOMMIT",  # every verb is one statement: no BEGIN, no COMMIT
            hide_parameters=True,
            connect_args={
                "connect_timeout": min(seconds, 10),
                "options": f"-c statement_timeout={seconds}s -c lock_timeout={seconds}s",
                "tcp_user_timeout": seconds * 1000,
            },
        )
        try:
            whole = engine.execution_options(isolation_level="READ COMMITTED")
            with translating(ERRORS, backend=self.name), whole.begin() as connection:
                _prepare(connection, self._table)
        except BaseException:
            engine.dispose()
            raise
        self._engine = engine

    def close(self) -> None:
        """As in the contract."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()

    def put(
        self, key: str, data: bytes, *, if_absent: bool = False, sha256: str | None = None
    ) -> ObjectInfo:
        """As in the contract; where the line is bare, the server hashes what arrived."""
        fresh = insert(self._table)
        if if_absent:
            fresh = fresh.on_conflict_do_nothing()
        else:
            columns = {name: fresh.excluded[name] for name in _WRITTEN}
            fresh = fresh.on_conflict_do_update(
                index_elements=["key"], set_={**columns, "modify_time": sa.func.clock_timestamp()}
            )
        described = fresh.returning(*_described(self._table))
        digest = sha256 or hashlib.sha256(data).hexdigest()
        with self._statement(key) as connection:
            row = {"key": key, **_content(connection, data, digest)}
            written = connection.execute(described, row).one_or_none()
            _forget_if_large(connection, data)
        if written is None:
            raise ObjectExists(backend=self.name, key=key)
        return ObjectInfo(**written._asdict())

    def get(self, key: str, *, offset: int = 0, length: int | None = None) -> bytes:
        """As in the contract; a full read is compared with its checksum."""
        place = f'"{self._config.schema}".objects'
        is_whole = offset == 0 and length is None
        part, values = "data", []
        if not is_whole:
            part = "substring(data FROM %s FOR %s)"
            values = [min(offset, 2**31 - 2) + 1, 2**31 - 1 if length is None else length]
        query = f"SELECT {part}, sha256 FROM {place} WHERE key = %s"  # noqa: S608
        with self._statement(key) as connection:
            # Binary results are three times as fast, and SQLAlchemy has no way to ask for them.
            driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
            row = driver.execute(query.encode(), [*values, key], binary=True).fetchone()
        if row is None:
            raise ObjectNotFound(backend=self.name, key=key)
        data, sha256 = bytes(row[0]), row[1]
        if is_whole and hashlib.sha256(data).hexdigest() != sha256:
            raise ObjectCorrupt(backend=self.name, key=key)
        return data

    def stat(self, key: str) -> ObjectInfo:
        """As in the contract."""
        query = sa.select(*_described(self._table)).where(self._table.c.key == key)
        with self._statement(key) as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise ObjectNotFound(backend=self.name, key=key)
        return ObjectInfo(**row._asdict())

    def delete(self, key: str) -> None:
        """As in the contract."""
        with self._statement(key) as connection:
            connection.execute(sa.delete(self._table).where(self._table.c.key == key))

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """As in the contract; in pages, each of its own moment."""
        columns = self._table.c
        described = [column for column in _described(self._table) if column.name != "etag"]
        query = sa.select(*described).order_by(columns.key).limit(PAGE)
        if prefix:  # "0" is what follows "/" in ASCII
            query = query.where(columns.key > f"{prefix}/", columns.key < f"{prefix}0")
        last = ""
        while True:
            with self._statement(prefix) as connection:
                rows = connection.execute(query.where(columns.key > last)).all()
            for row in rows:
                yield ObjectInfo(**row._asdict())
            if len(rows) < PAGE:
                return
            last = rows[-1].key

    def cas(self, key: str, data: bytes, *, expected: str | None) -> ObjectInfo:
        """As in the contract."""
        if expected is None:
            try:
                return self.put(key, data, if_absent=True)
            except ObjectExists as error:
                raise ObjectChanged(backend=self.name, key=key) from error
        swap = (
            sa.update(self._table)
            .where(self._table.c.key == key, self._table.c.etag == expected)
            .values(modify_time=sa.func.clock_timestamp())
            .returning(*_described(self._table))
        )
        digest = hashlib.sha256(data).hexdigest()
        with self._statement(key) as connection:
            row = connection.execute(swap, _content(connection, data, digest)).one_or_none()
        if row is None:
            raise ObjectChanged(backend=self.name, key=key)
        return ObjectInfo(**row._asdict())

    @contextmanager
    def _statement(self, key: str) -> Iterator[sa.Connection]:
        if self._engine is None:
            raise BackendClosed(backend=self.name, key=key)
        with translating(ERRORS, backend=self.name, key=key), self._engine.connect() as connection:
            yield connection


def _table(schema: str) -> sa.Table:
    return sa.Table(
        "objects",
        sa.MetaData(schema=schema),
        # "C": keys sort by their bytes whatever the database's language is.
        sa.Column("key", sa.Text(collation="C"), primary_key=True),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("etag", sa.Text, nullable=False),
        sa.Column("hash_on_arrival", sa.Boolean, nullable=False),
        sa.Column(
            "modify_time",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.func.clock_timestamp(),
        ),
        sa.CheckConstraint(
            "CASE WHEN hash_on_arrival THEN encode(sha256(data), 'hex') = sha256 ELSE true END",
            name="objects_arrived_whole",
        ),
    )


def _prepare(connection: sa.Connection, table: sa.Table) -> None:
    assert table.schema is not None
    if sa.inspect(connection).has_table(table.name, schema=table.schema):
        return
    # Two servers may start at the same moment, and IF NOT EXISTS is not safe against that.
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('roost storage backend'))"))
    connection.execute(sa.schema.CreateSchema(table.schema, if_not_exists=True))
    if not sa.inspect(connection).has_table(table.name, schema=table.schema):
        table.create(connection)
        # Objects are compressed and sealed already; this also makes ranges cheap.
        connection.execute(
            sa.text(f'ALTER TABLE "{table.schema}".objects ALTER data SET STORAGE EXTERNAL')
        )


def _forget_if_large(connection: sa.Connection, data: bytes) -> None:
    if len(data) > LARGE_BYTES:
        connection.invalidate()


def _content(connection: sa.Connection, data: bytes, digest: str) -> dict[str, object]:
    """The columns of `_WRITTEN`."""
    driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    is_local = driver.pgconn.host.startswith((b"/", b"@"))
    return {
        "data": data,
        "size": len(data),
        "sha256": digest,
        "etag": secrets.token_hex(12),
        "hash_on_arrival": not (is_local or driver.pgconn.ssl_in_use),
    }


def _described(table: sa.Table) -> list[sa.ColumnElement[Any]]:
    columns = table.c
    return [columns.key, columns.size.label("size_bytes"), columns.modify_time, columns.etag]


def create(url: SplitResult) -> PostgresBackend:
    """Makes an unopened backend from its URL; raises BackendMisconfigured."""
    return PostgresBackend(PostgresConfig.from_url(url))
