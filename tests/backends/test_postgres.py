"""The PostgreSQL backend on a real server."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import count
from types import SimpleNamespace
from urllib.parse import urlsplit

import psycopg
import pytest
from sqlalchemy import exc

from storage_backends.errors import (
    AccessDenied,
    BackendMisconfigured,
    BackendTimeout,
    BackendUnavailable,
    ObjectCorrupt,
    ObjectExists,
    ObjectNotFound,
    QuotaExceeded,
    StorageError,
)
from storage_backends.postgres import ERRORS, PostgresBackend, PostgresConfig, _by_state
from storage_backends.registry import Registry
from storage_backends.testing import BackendSuite, attempt
from tests.support.relay import Relay


def config(url, **query):
    parts = urlsplit(url)
    extra = "&".join(f"{name}={value}" for name, value in query.items())
    return PostgresConfig.from_url(
        parts._replace(query="&".join(filter(None, (parts.query, extra))))
    )


SCHEMAS = count(1)


class TestPostgres(BackendSuite):
    secrets = ("geheim",)

    @pytest.fixture
    def new_backend(self, shared_url):
        url = shared_url.replace("postgres@", "postgres:geheim@")
        settings = config(url, schema=f"secret_{next(SCHEMAS)}")
        return lambda: PostgresBackend(settings)


@pytest.fixture
def backend(postgres_url):
    with PostgresBackend(config(postgres_url)) as backend:
        yield backend


@pytest.fixture
def execute(postgres_url):
    """Runs a statement as another client."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection.execute


def test_by_url(postgres_url):
    """The registry finds it under both schemes."""
    registry = Registry.with_plugins()
    for url in (postgres_url, postgres_url.replace("postgresql:", "postgres:")):
        with registry.create(url) as backend:
            backend.put("a", b"x")
            assert backend.get("a") == b"x"


@pytest.mark.parametrize("query", [{"schema": "Big"}, {"schema": "x;drop"}, {"schema": ""}])
def test_wrong_url(query):
    """A schema is a plain name, and a database must be named."""
    with pytest.raises(BackendMisconfigured):
        config("postgresql://host/db", schema=query["schema"] or "1")
    with pytest.raises(BackendMisconfigured):
        config("postgresql://user:geheim@host")


def test_schemas_are_apart(postgres_url):
    """Two schemas of one database are two storages."""
    one, two = (PostgresBackend(config(postgres_url, schema=name)) for name in ("one", "two"))
    with one, two:
        one.put("a", b"x")
        assert list(two.list()) == []


def test_many_first_opens(postgres_url):
    """Servers that start at the same moment on an empty database do not disturb each other."""
    start = threading.Barrier(6)

    def open_one(_):
        start.wait(timeout=30)
        with PostgresBackend(config(postgres_url)) as backend:
            return list(backend.list())

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(open_one, range(6))) == [[]] * 6


def test_user_without_rights(postgres_url, execute):
    """A user who may not create the table is refused; with the table there, it works."""
    execute("DROP ROLE IF EXISTS visitor")
    execute("CREATE ROLE visitor LOGIN")
    url = postgres_url.replace("postgres@", "visitor@")
    with pytest.raises(AccessDenied):
        PostgresBackend(config(url)).open()
    with PostgresBackend(config(postgres_url)) as owner:
        owner.put("a", b"x")
    execute("GRANT USAGE ON SCHEMA roost_storage TO visitor")
    execute("GRANT SELECT ON roost_storage.objects TO visitor")
    with PostgresBackend(config(url)) as visitor:
        assert visitor.get("a") == b"x"
        assert attempt(visitor.put, "b", b"x") is AccessDenied
        assert attempt(visitor.delete, "a") is AccessDenied
        assert attempt(visitor.cas, "b", b"x", expected=None) is AccessDenied
    execute("DROP OWNED BY visitor")
    execute("DROP ROLE visitor")


def test_missing_database(postgres):
    """A database that does not exist is a wrong configuration."""
    with pytest.raises(BackendMisconfigured):
        PostgresBackend(config(postgres.url("nowhere"))).open()


def test_nobody_there(tmp_path):
    """A server that is not there is unavailable."""
    with pytest.raises(BackendUnavailable):
        PostgresBackend(config(f"postgresql://u@/db?host={tmp_path}")).open()
    with pytest.raises(BackendUnavailable):
        PostgresBackend(config("postgresql://u@127.0.0.1:1/db")).open()


def test_table_dropped(backend, execute):
    """A table that went away is not an empty storage."""
    execute("DROP TABLE roost_storage.objects")
    assert attempt(backend.get, "a") is BackendMisconfigured
    with pytest.raises(BackendMisconfigured):
        list(backend.list())


@pytest.mark.parametrize("is_bare", [True, False])
def test_damage_on_the_way(postgres, postgres_url, is_bare):
    """Over TCP without TLS the server itself compares the checksum: nothing wrong gets in."""
    with Relay.to(postgres.connect) as relay:
        bare = f"host=127.0.0.1&port={relay.port}&sslmode=disable&gssencmode=disable"
        url = urlsplit(postgres_url)
        settings = PostgresConfig.from_url(url._replace(query=bare) if is_bare else url)
        with PostgresBackend(settings) as backend:
            for data in (b"", b"old"):
                backend.put("a", data)
            for write in (
                lambda: backend.put("a", b"x", sha256="0" * 64),
                lambda: backend.put("b", b"x", sha256="0" * 64, if_absent=True),
            ):
                assert attempt(write) is (ObjectCorrupt if is_bare else None)
            # On a line that protects the bytes a full read finds what was wrong before.
            error = attempt(backend.get, "a")
            assert error is (None if is_bare else ObjectCorrupt)
            assert len(list(backend.list())) == (1 if is_bare else 2)


def test_large_object_is_replaced_while_it_is_read(backend):
    """Whatever is read is all of one object, or it has gone."""
    size = 3 << 20
    backend.put("a", b"0" * size)

    def write():
        for number in range(12):
            backend.put("a", b"%d" % (number % 10) * size)
        backend.delete("a")

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        while (error := attempt(lambda: assert_uniform(backend.get("a"), size))) is None:
            pass
        writing.result(timeout=60)
    assert error is ObjectNotFound


def assert_uniform(data, size):
    assert data == data[:1] * size


def test_damage_at_rest(backend, execute):
    """Bytes that changed in the database are found by a full read."""
    backend.put("a", b"data")
    execute("ALTER TABLE roost_storage.objects DROP CONSTRAINT objects_arrived_whole")
    execute("UPDATE roost_storage.objects SET data = 'dbta'")
    assert attempt(backend.get, "a") is ObjectCorrupt


def test_lost_connections(backend, execute):
    """After the server dropped all connections, the one repetition of a call makes a new one."""
    for _ in range(2):
        assert backend.put("a", b"x")
    execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid != pg_backend_pid()"
    )
    assert attempt(backend.get, "a") is BackendUnavailable
    assert backend.get("a") == b"x"


def test_time_limit(postgres_url):
    """A row that somebody else has locked does not block for ever."""
    settings = config(postgres_url)
    quick = PostgresConfig(url=settings.url, timeout=timedelta(seconds=1))
    with (
        PostgresBackend(quick) as backend,
        psycopg.connect(postgres_url) as other,
    ):
        backend.put("a", b"x")
        other.execute("UPDATE roost_storage.objects SET etag = 'mine'")
        started = time.monotonic()
        assert attempt(backend.put, "a", b"y") in {BackendTimeout, BackendUnavailable}
        assert time.monotonic() - started < 10
        other.rollback()
        backend.put("a", b"y")


def test_no_connection_free(postgres_url):
    """When the pool is used up, waiting has an end."""
    settings = config(postgres_url)
    quick = PostgresConfig(url=settings.url, connections=1, timeout=timedelta(seconds=1))
    with PostgresBackend(quick) as backend:
        backend.put("a", b"x")
        with backend._statement(""):
            assert attempt(backend.get, "a") is BackendTimeout


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ("23505", ObjectExists),
        ("53100", QuotaExceeded),
        ("28P01", AccessDenied),
        ("42501", AccessDenied),
        ("42P01", BackendMisconfigured),
        ("57014", BackendTimeout),
        ("57P01", BackendUnavailable),
        ("40001", BackendUnavailable),
        ("08006", BackendUnavailable),
        ("XX001", ObjectCorrupt),
    ],
)
def test_states(state, error):
    """SQLSTATE says what happened, whatever the language of the text."""
    assert _by_state(SimpleNamespace(orig=SimpleNamespace(sqlstate=state))) is error


def test_wrong_password_has_no_state():
    """A refused login has no SQLSTATE."""
    refused = exc.OperationalError("", {}, Exception("FATAL: password authentication failed for"))
    assert _by_state(refused) is AccessDenied


def test_every_exception_is_in_the_table():
    """Whatever SQLAlchemy raises becomes a StorageError."""
    public = [
        value
        for value in vars(exc).values()
        if isinstance(value, type)
        and issubclass(value, Exception)
        and not issubclass(value, Warning)
        and value.__module__ == exc.__name__
    ]
    assert len(public) > 20
    for error in public:
        if issubclass(error, exc.SQLAlchemyError):
            assert any(base in ERRORS for base in error.__mro__), error
    assert all(
        isinstance(meaning, type) and issubclass(meaning, StorageError)
        for meaning in ERRORS.values()
        if isinstance(meaning, type)
    )
