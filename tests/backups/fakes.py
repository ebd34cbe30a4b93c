"""The sessions of a server, as far as backups ask for them."""

from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count

from server.core.errors import OperationInProgress, SessionExists, SessionNotFound
from server.core.names import SessionName
from server.core.wakeup import Wakeup
from server.sessions.model import DesiredState, Session, State

MOMENTS = count()


class FakeHeld:
    def __init__(self, sessions, name):
        self._sessions = sessions
        self._name = name
        self.trash = ""

    async def start(self):
        session = self._sessions.get(self._name)
        self._sessions.change(
            self._name, state=State.CONNECTING, connect_epoch=session.connect_epoch + 1
        )
        self._sessions.on_start(self._name)
        return self._sessions.get(self._name)

    async def roll_back(self, before, trash):
        self._sessions.rolled_back.append((before, trash))
        self._sessions.change(self._name, state=State.STOPPED)

    async def install(self, store, *, account, reason="restore"):
        session = self._sessions.get(self._name)
        if self._sessions.store_path(self._name) is not None:
            self.trash = f"trash/{self._name.session_id}-{session.store_epoch}"
            self._sessions.trash_reasons.append(reason)
        session = replace(
            session, store_epoch=session.store_epoch + 1, account=account, state=State.STOPPED
        )
        self._sessions.put(session)
        target = self._sessions.path(session)
        target.parent.mkdir(parents=True)
        store.rename(target)
        return session


class FakeSessions:
    def __init__(self, root):
        self._root = root
        self._sessions = {}
        self._held = set()
        self.told = []
        self.trash_reasons = []
        self.on_start = lambda name: None
        self.rolled_back = []
        self.changed = Wakeup()
        self.on_get = lambda session: session

    def path(self, session):
        return self._root / session.name.session_id / str(session.store_epoch) / "store.db"

    def put(self, session):
        self._sessions[session.name] = session
        self.changed.wake()

    async def until(self, name, is_so):
        while not is_so(session := self._sessions[name]):
            await self.changed.wait()
        return session

    async def stop(self, name, grace=None):
        self.change(name, state=State.STOPPED)

    def change(self, name, **changes):
        self.put(replace(self._sessions[name], **changes))

    def add(self, name, account=None, **fields):
        """A session as its server recorded it; with an account it has a store at `path`."""
        session = Session(
            name=name,
            state=fields.pop("state", State.STOPPED),
            desired=DesiredState.STOPPED,
            etag="e",
            create_time=datetime(2026, 1, 1, 0, 0, 0, next(MOMENTS), tzinfo=UTC),
            state_change_time=datetime(2026, 1, 1, tzinfo=UTC),
            account=account,
            store_epoch=1 if account else 0,
            **fields,
        )
        self.put(session)
        return session

    def get(self, name, *, show_deleted=True):
        session = self._sessions.get(name)
        if session is None or (session.state is State.DELETED and not show_deleted):
            raise SessionNotFound(name=str(name))
        return self.on_get(session)

    def list(self, *, states=frozenset(), show_deleted=False, after="", limit=None):
        found = [session for _, session in sorted(self._sessions.items())]
        return [session for session in found if not states or session.state in states]

    async def create(self, *, session_id, display_name, labels, proxy_url):
        name = SessionName(session_id)
        if name in self._sessions:
            raise SessionExists(session=str(name))
        return self.add(name, display_name=display_name, labels=labels, proxy_url=proxy_url)

    @asynccontextmanager
    async def hold(self, name, operation):
        assert operation.startswith("operations/")
        if name in self._held:
            raise OperationInProgress(session=str(name), operation=operation)
        self._held.add(name)
        try:
            yield FakeHeld(self, name)
        finally:
            self._held.remove(name)

    async def tell_backup(self, name, backup, *, is_newest=False):
        self.get(name)
        self.told.append((backup, is_newest))

    def store_path(self, name):
        session = self._sessions[name]
        return self.path(session) if session.is_paired else None
