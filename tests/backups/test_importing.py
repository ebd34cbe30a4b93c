"""Credentials of other programs, taken over into a session."""

from datetime import UTC, datetime

import pytest

from server.backups.importing import Importer
from server.backups.imports.model import ImportRequest
from server.backups.model import RestoreMode
from server.backups.scratch import Scratch
from server.backups.service import Silent
from server.backups.verify import drill
from server.core.clock import SystemClock
from server.core.errors import (
    CredentialsExist,
    CredentialsInvalid,
    OperationInProgress,
    SessionNotFound,
    SessionWrongState,
    StorageUnavailable,
)
from server.engine.base import Account
from server.sessions.model import State
from server.vault.model import BackupKind, BackupState
from server.vault.workers import Workers
from tests.backups.conftest import ANN, BEA
from tests.support.baileys import DEVICE, LID, USER, files, folder
from tests.support.stores import rows

SAME = Account(jid=f"{USER}@s.whatsapp.net", lid=f"{LID}@lid", push_name="Ann", device=DEVICE)


@pytest.fixture
async def importer(server, make_store):
    async with Workers() as workers:
        yield Importer(
            sessions=server.sessions,
            workers=workers,
            scratch=Scratch(server.scratch),
            clock=SystemClock(),
            template=make_store.template,
            back_up=server.service.backup_now,
        )


def request(content=None, **fields):
    given = files(content or folder(), datetime.now(UTC))
    return ImportRequest(target=ANN, files=given, **{"source_stopped": True} | fields)


async def test_a_new_session(importer, server):
    """It gets names and labels, credentials, and a backup before anything connects."""
    wanted = request(display_name="Shop", labels={"team": "a"}, proxy_url="socks5://p:1")
    result = await importer.run(wanted, Silent())
    session = server.sessions.get(ANN)
    assert (session.state, session.account) == (State.STOPPED, SAME)
    assert (session.display_name, session.labels) == ("Shop", {"team": "a"})
    assert session.proxy_url == "socks5://p:1"
    assert result.session == ANN
    assert result.converted.mode is RestoreMode.EXACT
    assert result.trash == ""
    assert (result.backup.kind, result.backup.state) == (BackupKind.IMPORT, BackupState.ACTIVE)
    assert drill(server.sessions.store_path(ANN)).problems == ()
    assert server.scratch_files() == []


async def test_credentials_that_are_there_need_force(importer, server):
    """They go to trash."""
    before = server.pair()
    server.stop()
    with pytest.raises(CredentialsExist):
        await importer.run(request(), Silent())
    with pytest.raises(CredentialsExist):
        importer.check(request())
    assert server.sessions.store_path(ANN) == before
    result = await importer.run(request(force=True), Silent())
    assert result.trash
    assert server.sessions.trash_reasons == ["import"]
    kinds = [backup.kind for backup in await server.service.list(ANN)]
    assert kinds == [BackupKind.IMPORT, BackupKind.PRE_RESTORE]
    assert server.sessions.store_path(ANN) != before
    assert rows(before, "SELECT count(*) FROM whatsmeow_device") == [(1,)]


async def test_a_store_that_was_lost_is_replaced_without_force(importer, server, tmp_path):
    """As in a restore."""
    server.pair().rename(tmp_path / "lost.db")
    server.stop()
    assert (await importer.run(request(), Silent())).backup is not None


async def test_bad_files_change_nothing(importer, server):
    """No session is made of them, and scratch is clean."""
    with pytest.raises(CredentialsInvalid):
        await importer.run(request({"creds.json": {}}), Silent())
    with pytest.raises(SessionNotFound):
        server.sessions.get(ANN)
    assert server.scratch_files() == []


async def test_a_running_session_is_left_alone(importer, server):
    """Stop it first."""
    server.pair()
    with pytest.raises(SessionWrongState):
        await importer.run(request(force=True), Silent())


@pytest.mark.parametrize(("device", "is_refused"), [(DEVICE, True), (DEVICE + 1, False)])
async def test_the_same_device_must_not_run_elsewhere(importer, server, device, is_refused):
    """WhatsApp would replace one connection by the other; another device of the account may."""
    server.pair(BEA, device=device)
    if is_refused:
        with pytest.raises(SessionWrongState):
            await importer.run(request(), Silent())
        with pytest.raises(SessionNotFound):
            server.sessions.get(ANN)
    else:
        assert (await importer.run(request(), Silent())).backup is not None


async def test_one_operation_at_a_time(importer, server):
    """The session is held."""
    server.pair()
    server.stop()
    async with server.sessions.hold(ANN, "operations/o"):
        with pytest.raises(OperationInProgress):
            await importer.run(request(force=True), Silent())


async def test_a_backup_that_fails_does_not_lose_the_import(importer, server):
    """The credentials are in place, and the files they came from still exist."""

    async def away(session, kind):
        raise StorageUnavailable(storage_location="storageLocations/local")

    result = await Importer(
        importer.sessions,
        importer.workers,
        importer.scratch,
        importer.clock,
        importer.template,
        away,
    ).run(request(), Silent())
    assert result.backup is None
    assert server.sessions.get(ANN).account == SAME
