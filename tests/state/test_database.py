"""The state database, on SQLite and on PostgreSQL."""

import asyncio
import stat
from datetime import UTC, datetime, timedelta

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from server.core.errors import StorageUnavailable
from server.state import Database
from server.state.schema import HEAD, SchemaTooNew
from server.state.tables import events, idempotency, metadata

NOW = datetime(2026, 11, 22, 12, 30, 15, 123456, tzinfo=UTC)


def remember(connection, request_id="r1", when=NOW):
    row = {"request_id": request_id, "method": "m", "digest": b"\0\xff", "response": b""}
    connection.execute(insert(idempotency).values(**row, expire_time=when))


def count(connection):
    return connection.execute(select(func.count()).select_from(idempotency)).scalar_one()


async def test_migrations_make_exactly_the_tables_that_the_code_expects(database_url):
    """A column added to tables.py without a revision is found here."""

    def differences(connection):
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, metadata)

    async with Database.open(database_url) as database:
        assert await database.read(differences) == []


def test_the_newest_revision_is_the_one_that_the_code_names():
    """A database at another one is upgraded at the start."""
    config = Config()
    config.set_main_option("script_location", "server.state:migrations")
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


async def test_what_was_committed_is_there_after_reopening(database_url):
    """Opening twice migrates once and keeps the rows; instants keep their microseconds."""
    async with Database.open(database_url) as database:
        await database.write(remember)
    async with Database.open(database_url) as database:
        row = (await database.read(lambda c: c.execute(select(idempotency)).all()))[0]
    assert (row.digest, row.response, row.expire_time) == (b"\0\xff", b"", NOW)


async def test_instants_compare_in_the_database(database_url):
    """Expiry is a comparison of columns, also before 1970."""
    old = datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
    async with Database.open(database_url) as database:
        await database.write(lambda c: remember(c, "old", old))
        await database.write(lambda c: remember(c, "new", NOW))
        expired = delete(idempotency).where(idempotency.c.expire_time < NOW - timedelta(seconds=1))
        assert await database.write(lambda c: c.execute(expired).rowcount) == 1
        assert await database.read(count) == 1


async def test_a_write_that_raises_leaves_nothing(database_url):
    """One transaction per call."""

    def fail(connection):
        remember(connection)
        raise LookupError

    async with Database.open(database_url) as database:
        with pytest.raises(LookupError):
            await database.write(fail)
        assert await database.read(count) == 0


async def test_a_reader_cannot_write(database_url):
    """Reads are read-only in the database itself, not by convention."""
    async with Database.open(database_url) as database:
        with pytest.raises(Exception, match=r"(?i)read.?only|storage location"):
            await database.read(remember)
        assert await database.read(count) == 0


async def test_writes_take_effect_in_the_order_of_their_calls(database_url):
    """One writer thread: the last call wins, whatever the load."""
    async with Database.open(database_url) as database:
        await database.write(remember)

        def number(value):
            change = update(idempotency).values(method=str(value))
            return lambda connection: connection.execute(change)

        async with asyncio.TaskGroup() as group:
            for value in range(50):
                group.create_task(database.write(number(value)))
            for _ in range(50):
                group.create_task(database.read(count))
        last = await database.read(lambda c: c.execute(select(idempotency.c.method)).scalar_one())
    assert last == "49"


async def test_readers_see_a_snapshot_while_a_writer_works(database_url):
    """An open write transaction is neither seen nor waited for."""
    async with Database.open(database_url) as database:
        inside, leave = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()

        def slow(connection):
            remember(connection)
            loop.call_soon_threadsafe(inside.set)
            asyncio.run_coroutine_threadsafe(leave.wait(), loop).result(30)

        async with asyncio.TaskGroup() as group:
            group.create_task(database.write(slow))
            await inside.wait()
            assert await database.read(count) == 0
            leave.set()
        assert await database.read(count) == 1


async def test_positions_hold_64_bits(database_url):
    """A log position is never cut to 32 bits."""
    position = 2**62
    row = {"position": position, "session_id": "a", "sequence": position, "kind": 1}
    async with Database.open(database_url) as database:
        await database.write(
            lambda c: c.execute(insert(events).values(**row, receive_time=NOW, body=b"x"))
        )
        found = await database.read(lambda c: c.execute(select(events.c.position)).scalar_one())
    assert found == position


async def test_a_database_of_a_newer_server_is_refused(database_url):
    """Running an old server on a new schema could lose what it does not know."""
    newer = text("UPDATE alembic_version SET version_num = '9'")
    async with Database.open(database_url) as database:
        await database.write(lambda c: c.execute(newer))
    with pytest.raises(SchemaTooNew):
        async with Database.open(database_url):
            pass


async def test_a_sqlite_file_is_private(tmp_path):
    """Database, log and shared memory are readable by their owner only."""
    async with Database.open(f"sqlite:///{tmp_path}/roost.db") as database:
        await database.write(remember)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert set(modes) == {"roost.db", "roost.db-wal", "roost.db-shm"}
    assert set(modes.values()) == {0o600}


async def test_a_sqlite_commit_survives_power_loss(tmp_path):
    """WAL with synchronous=FULL: every commit is flushed to the disk."""

    def pragmas(connection):
        names = ("journal_mode", "synchronous")
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in names]

    async with Database.open(f"sqlite:///{tmp_path}/roost.db") as database:
        assert await database.write(pragmas) == ["wal", 2]


@pytest.mark.parametrize("url", ["mysql://h/d", "sqlite://", "sqlite:///:memory:"])
async def test_other_databases_are_refused(url):
    """Only a SQLite file or PostgreSQL."""
    with pytest.raises(ValueError, match="state database must be"):
        async with Database.open(url):
            pass


async def test_a_server_that_is_not_there_is_unavailable(tmp_path):
    """The driver's own errors do not leave this room."""
    with pytest.raises(StorageUnavailable):
        async with Database.open(f"postgresql://nobody@/none?host={tmp_path}"):
            pass


async def test_the_database_comes_back_after_its_connections_broke(postgres_url):
    """A restarted PostgreSQL costs the calls in flight, not the server."""
    kill = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    async with Database.open(postgres_url) as database:
        await database.write(remember)
        await database.read(lambda c: c.execute(kill).all())
        with pytest.raises(StorageUnavailable):
            await database.write(count)
        assert await database.write(count) == 1


async def test_an_error_does_not_show_what_was_written(database_url):
    """Rows hold message texts, and errors end up in logs."""
    row = {"request_id": "r", "method": "m", "digest": b"planted", "response": b""}
    twice = [row | {"expire_time": NOW}] * 2
    async with Database.open(database_url) as database:
        with pytest.raises(IntegrityError) as error:
            await database.write(lambda c: c.execute(insert(idempotency), twice))
    assert "planted" not in str(error.value)
