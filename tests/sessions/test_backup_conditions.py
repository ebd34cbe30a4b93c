"""What a session shows of its backups."""

import asyncio

from server.core.names import SessionName
from server.engine.base import Connected, Disconnected
from server.sessions.model import BackupChanged, State
from server.vault.model import BackupState
from tests.support.builders import ANN, make_backup
from tests.support.sessions import collect, harness, play_pairing

A = SessionName("a")
GOOD = make_backup(1)
BAD = make_backup(2, state=BackupState.SUSPECT, state_reason="no device row")


def reason(session):
    return session.condition.reason if session.condition else ""


def told(h):
    return [event.backup for _, event in h.journal.events if isinstance(event, BackupChanged)]


async def test_every_backup_is_an_event(tmp_path):
    """Also when nothing of the session changes."""
    async with harness(tmp_path) as h:
        await h.active()
        before = h.session()
        await h.manager.tell_backup(A, GOOD, is_newest=True)
        assert told(h) == [GOOD]
        assert h.session() == before


async def test_a_suspect_backup_is_a_condition_until_the_next_good_one(tmp_path):
    """The state is not touched; the etag changes, as with every change."""
    async with harness(tmp_path) as h:
        await h.active()
        before = h.session()
        await h.manager.tell_backup(A, BAD, is_newest=True)
        session = h.session()
        assert (session.state, reason(session)) == (State.ACTIVE, "BACKUP_SUSPECT")
        assert "no device row" in session.condition.message
        assert session.etag != before.etag
        assert session.state_change_time == before.state_change_time
        assert h.journal.history(A)[-1] == session
        await h.manager.tell_backup(A, GOOD, is_newest=True)
        assert h.session().condition is None
        assert told(h) == [BAD, GOOD]


async def test_what_becomes_of_an_older_backup_is_no_condition(tmp_path):
    """Only the newest one says whether the session is safe."""
    async with harness(tmp_path) as h:
        await h.active()
        await h.manager.tell_backup(A, BAD)
        assert h.session().condition is None
        await h.manager.tell_backup(A, BAD, is_newest=True)
        await h.manager.tell_backup(A, GOOD)
        assert reason(h.session()) == "BACKUP_SUSPECT"


async def test_a_condition_of_the_session_itself_is_more_important(tmp_path):
    """It is shown first, and afterwards the one of the backups is back."""
    async with harness(tmp_path) as h:
        engine = await h.active()
        engine.emit(Disconnected())
        await h.until(State.CONNECTING)
        await h.manager.tell_backup(A, BAD, is_newest=True)
        assert reason(h.session()) == "CONNECTION_LOST"
        engine.emit(Connected(account=ANN))
        assert reason(await h.until(State.ACTIVE)) == "BACKUP_SUSPECT"
        await h.manager.stop(A)
        assert reason(await h.until(State.STOPPED)) == "BACKUP_SUSPECT"


async def test_failing_backups_are_a_condition(tmp_path):
    """Until one can be made; a suspect one says more."""
    async with harness(tmp_path) as h:
        await h.active()
        await h.manager.tell_backup_failing(A, "STORAGE_UNAVAILABLE")
        assert reason(h.session()) == "BACKUP_FAILING"
        assert "STORAGE_UNAVAILABLE" in h.session().condition.message
        await h.manager.tell_backup(A, BAD, is_newest=True)
        await h.manager.tell_backup_failing(A, "STORAGE_UNAVAILABLE")
        assert reason(h.session()) == "BACKUP_SUSPECT"
        await h.manager.tell_backup(A, GOOD, is_newest=True)
        assert h.session().condition is None


async def test_a_new_server_still_shows_it(tmp_path):
    """It is part of the session's record."""
    async with harness(tmp_path) as h:
        await h.active()
        await h.manager.tell_backup(A, BAD, is_newest=True)
        await h.manager.stop(A)
        session = await h.until(State.STOPPED)
    async with harness(tmp_path, [session]) as h:
        await h.manager.start(A)
        (await h.engine_of()).emit(Connected(account=ANN))
        assert reason(await h.until(State.ACTIVE)) == "BACKUP_SUSPECT"


async def test_new_credentials_start_without_it(tmp_path):
    """The backups it was about are of another device; without credentials there is none."""
    async with harness(tmp_path) as h:
        await h.active()
        await h.manager.tell_backup(A, BAD, is_newest=True)
        await h.manager.unlink(A)
        assert reason(h.session()) == "UNLINKED_BY_USER"
        async with asyncio.TaskGroup() as group:
            group.create_task(collect(h.manager.pair(A)))
            play_pairing(await h.engine_of(count=2))
        assert (await h.until(State.ACTIVE)).condition is None
