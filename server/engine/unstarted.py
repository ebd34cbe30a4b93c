"""A session whose host was never started, because its end is known already."""

from collections.abc import AsyncIterator
from datetime import timedelta

from server.core.errors import EngineUnavailable

from .base import Ended, EngineEvent, Sent, StartSpec


class UnstartedSession:
    """An `EngineSession` that says why it ended, and refuses everything else."""

    def __init__(self, spec: StartSpec, ended: Ended) -> None:
        """`ended` is its only event."""
        self._ended = ended
        self._name = f"sessions/{spec.session_id}"

    @property
    def pid(self) -> int:
        """There is no process."""
        return 0

    async def events(self) -> AsyncIterator[EngineEvent]:
        """As `EngineSession.events`."""
        yield self._ended

    async def acknowledge(self, spool: int) -> None:
        """As `EngineSession.acknowledge`."""

    async def request_pairing_code(self, phone: str) -> str:
        """As `EngineSession.request_pairing_code`."""
        del phone
        raise EngineUnavailable(session=self._name)

    async def send_text(self, *, recipient: str, text: str, secret: bytes) -> Sent:
        """As `EngineSession.send_text`."""
        del recipient, text, secret
        raise EngineUnavailable(session=self._name)

    async def find_sent(self, secret: bytes) -> str | None:
        """As `EngineSession.find_sent`."""
        del secret
        raise EngineUnavailable(session=self._name)

    async def unlink(self) -> None:
        """As `EngineSession.unlink`."""
        raise EngineUnavailable(session=self._name)

    async def stop(self, grace: timedelta) -> None:
        """As `EngineSession.stop`."""
