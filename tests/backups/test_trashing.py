"""What the local trash asks of others; the rest of it is tested through the API."""

from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from server.backups.importing import Importer
from server.backups.imports.model import ImportRequest
from server.backups.scratch import Scratch
from server.backups.trashing import TrashRoom
from server.core.clock import SystemClock
from server.core.errors import SessionLeased
from server.core.names import TrashItemName
from server.sessions.trash import Trash
from server.vault.workers import Workers
from tests.backups.conftest import ANN


class Elsewhere:
    """A fence behind which another server runs every session."""

    async def check(self, session):
        raise SessionLeased(session=str(session))

    @asynccontextmanager
    async def claiming(self, session, *, take_over=False):
        raise SessionLeased(session=str(session))
        yield


async def test_what_another_server_runs_is_not_brought_back(server, tmp_path, make_store):
    """Its keys are ahead of those in trash, and would fork."""
    trash = tmp_path / "trash"
    source = make_store(tmp_path / "1" / "store.db").parent
    now = datetime.now(UTC)
    put = Trash(trash).put(source, session_id=ANN.session_id, reason="restore", now=now)
    room = TrashRoom(
        folder=trash,
        sessions=server.sessions,
        operations=server.operations,
        scratch=Scratch(tmp_path / "room"),
        clock=SystemClock(),
        saved_devices=server.service.saved_devices,
        back_up=server.service.backup_now,
        fence=Elsewhere(),
    )
    async with room:
        with pytest.raises(SessionLeased):
            await room.restore(TrashItemName(put.name))
    assert server.sessions.list() == []


async def test_nothing_is_imported_into_what_another_server_runs(server, tmp_path, make_store):
    """Nor is the session made here."""
    async with Workers(1) as workers:
        importer = Importer(
            sessions=server.sessions,
            workers=workers,
            scratch=Scratch(tmp_path / "room"),
            clock=SystemClock(),
            template=make_store.template,
            back_up=server.service.backup_now,
            fence=Elsewhere(),
        )
        with pytest.raises(SessionLeased):
            await importer.run(ImportRequest(target=ANN, files=()), lambda *_: None)
    assert server.sessions.list() == []
