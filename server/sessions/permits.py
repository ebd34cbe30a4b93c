"""Leave to use a session's credentials, which other servers may have too."""

from typing import Protocol

from server.core.names import SessionName


class Permit(Protocol):
    """Asked before each start of an engine."""

    async def enter(self, session: SessionName, *, fresh: bool) -> None:
        """Returns when an engine may be started; `fresh`: for a pairing, without credentials.

        Raises SessionLeased, never to be tried again by itself; StorageUnavailable, to be.
        """
        ...

    def left(self, session: SessionName) -> None:
        """The session does not run any more, and is not wanted to. Must not raise."""
        ...


class Everything:
    """For a server that shares its sessions with nobody."""

    async def enter(self, session: SessionName, *, fresh: bool) -> None:
        """Always."""

    def left(self, session: SessionName) -> None:
        """Nobody waits for it."""
