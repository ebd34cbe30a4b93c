"""What those who keep copies are told of sessions."""

import asyncio
from datetime import timedelta

import pytest

from server.core.errors import ServerDraining, SessionWrongState
from server.core.names import SessionName
from server.engine.base import EndReason
from server.sessions.hooks import Hooks
from server.sessions.model import State
from server.sessions.services import SupervisionConfig
from tests.support.sessions import harness

A = SessionName("a")


class Told(Hooks):
    """Writes down what it is told; `gate` holds a deletion up."""

    def __init__(self):
        self.stops = []
        self.deletions = []
        self.revocations = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = asyncio.Event()
        self.error = None

    def stopped(self, name):
        self.stops.append(name)

    async def before_delete(self, name):
        self.deletions.append(name)
        self.asked.set()
        await self.gate.wait()
        if self.error is not None:
            raise self.error

    def revoked(self, session, reason, trash):
        self.revocations.append((session, reason, trash))


async def test_a_clean_stop_is_told(tmp_path):
    """Once it is recorded; also at a drain, before that is over."""
    told = Told()
    async with harness(tmp_path, hooks=told) as h:
        await h.active("a")
        await h.active("b")
        await h.manager.stop(A)
        await h.until(State.STOPPED)
        assert told.stops == [A]
        assert h.session().clean_epoch == h.session().connect_epoch
        await h.manager.drain(timedelta(seconds=1))
        assert told.stops == [A, SessionName("b")]


async def test_an_end_that_another_start_follows_is_not_told(tmp_path):
    """Nor one that was not clean: such a store may be behind."""
    told = Told()
    async with harness(tmp_path, hooks=told) as h:
        engine = await h.active()
        engine.end(EndReason.CRASHED)
        await h.until(State.BACKING_OFF)
        await h.manager.stop(A)
        await h.until(State.STOPPED)
        assert told.stops == []


async def test_an_end_that_needs_a_person_is_told(tmp_path):
    """Nothing happens until somebody comes, so it is worth a copy."""
    told = Told()
    async with harness(tmp_path, hooks=told) as h:
        engine = await h.active()
        engine.end(EndReason.STREAM_REPLACED, clean=True)
        await h.until(State.FAILED)
        await h.manager.stop(A)
        assert told.stops == [A]


async def test_a_deletion_waits_for_the_copy(tmp_path):
    """The engine is down, the store still there, and nobody can start it meanwhile."""
    told = Told()
    told.gate.clear()
    async with harness(tmp_path, hooks=told) as h:
        engine = await h.active()
        async with asyncio.TaskGroup() as group:
            deletion = group.create_task(h.manager.delete(A))
            await told.asked.wait()
            assert engine.is_stopped
            assert h.manager.store_path(A).exists()
            with pytest.raises(SessionWrongState):
                await h.manager.start(A)
            assert h.session().state is State.STOPPED
            told.gate.set()
            assert (await deletion).state is State.DELETED
        assert (told.deletions, told.stops, h.trash()) == ([A], [], ["a-deleted"])


@pytest.mark.parametrize("error", [OSError("disk"), ServerDraining()])
async def test_a_deletion_does_not_fail_with_the_copy(tmp_path, error):
    """Trash has the keys all the same."""
    told = Told()
    told.error = error
    async with harness(tmp_path, hooks=told) as h:
        await h.active()
        assert (await h.manager.delete(A)).state is State.DELETED
        assert h.trash() == ["a-deleted"]


async def test_a_deletion_does_not_wait_for_ever(tmp_path):
    """A storage that hangs."""
    told = Told()
    told.gate.clear()
    config = SupervisionConfig(last_backup_limit=timedelta(milliseconds=10))
    async with harness(tmp_path, hooks=told, config=config) as h:
        await h.active()
        assert (await h.manager.delete(A)).state is State.DELETED


async def test_without_credentials_there_is_nothing_to_copy(tmp_path):
    """A session that was never paired."""
    told = Told()
    async with harness(tmp_path, hooks=told) as h:
        await h.manager.create(session_id="a")
        await h.manager.delete(A)
        assert told.deletions == []


@pytest.mark.parametrize(
    "reason", [EndReason.LOGGED_OUT, EndReason.ACCOUNT_LOCKED, EndReason.ACCOUNT_BANNED]
)
async def test_revoked_credentials_are_told_with_their_place_in_trash(tmp_path, reason):
    """As they were: with account and epochs."""
    told = Told()
    async with harness(tmp_path, hooks=told) as h:
        engine = await h.active()
        engine.end(reason, clean=True)
        await h.until(State.UNLINKED)
        await h.until_trash(f"a-{reason.value.replace('_', '-')}")
        await h.manager.stop(A)
        ((session, why, trash),) = told.revocations
        assert session.is_paired
        assert session.clean_epoch == session.connect_epoch
        assert why == reason.name
        assert (tmp_path / trash / "store.db").exists()
        assert told.stops == []


async def test_an_unlinked_session_is_told_too(tmp_path):
    """WhatsApp has removed the device at our own wish."""
    told = Told()
    async with harness(tmp_path, hooks=told) as h:
        await h.active()
        await h.manager.unlink(A)
        ((_, why, trash),) = told.revocations
        assert why == "UNLINKED_BY_USER"
        assert (tmp_path / trash / "store.db").exists()
