"""One backup or restore of a session at a time: each builds on the one before."""

import asyncio
from weakref import WeakValueDictionary

from server.core.names import SessionName


class Turns:
    """A lock per session, as long as somebody holds or waits for it; first come, first served."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[SessionName, asyncio.Lock] = WeakValueDictionary()

    def of(self, session: SessionName) -> asyncio.Lock:
        """The lock; keep it while it is used."""
        lock = self._locks.get(session)
        if lock is None:
            lock = self._locks[session] = asyncio.Lock()
        return lock
