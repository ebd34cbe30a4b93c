"""The asyncio client."""

from datetime import timedelta
from pathlib import Path
from typing import Self

from .admin import AsyncAdmin
from .backups import AsyncBackups
from .discovery import Target, find
from .events import AsyncEvents
from .messages import AsyncMessages
from .operations import AsyncOperations
from .rpc import Rpc
from .sessions import AsyncSessions
from .trash import AsyncTrash
from .vault import AsyncVault

TIMEOUT = timedelta(seconds=30)
PATIENCE = timedelta(seconds=10)


class AsyncClient:
    """Talks to one server. On the server's own machine it finds address and key by itself.

    Use it as `async with AsyncClient() as roost:` in one event loop. Every method raises
    `RoostError`.
    """

    def __init__(
        self,
        address: str = "",
        key: str = "",
        *,
        data_dir: str | Path = "",
        ca_file: str | Path = "",
        timeout: timedelta = TIMEOUT,
        patience: timedelta = PATIENCE,
    ) -> None:
        """Finds the server; connects with the first call.

        Args:
            address: `host:port`, `https://host:port` or `http://host:port`; else `ROOST_ADDRESS`,
                else the server that runs on `data_dir`.
            key: API key; else `ROOST_API_KEY`, else the data directory's admin key (for a server
                on this machine only).
            data_dir: The server's data directory; else `ROOST_DATA_DIR`, else its default.
            ca_file: PEM file of a private certificate authority; else `ROOST_CA_FILE`.
            timeout: Deadline of one attempt of a call; streams have none.
            patience: How long a call is repeated while the server is unavailable.
        """
        target = find(address=address, key=key, data_dir=data_dir, ca_file=ca_file)
        self._rpc = Rpc(target, timeout=timeout, patience=patience)
        self.sessions = AsyncSessions(self._rpc)
        self.events = AsyncEvents(self._rpc)
        self.messages = AsyncMessages(self._rpc)
        self.backups = AsyncBackups(self._rpc)
        self.trash = AsyncTrash(self._rpc)
        self.vault = AsyncVault(self._rpc)
        self.operations = AsyncOperations(self._rpc)
        self.admin = AsyncAdmin(self._rpc)

    @property
    def target(self) -> Target:
        """The server that was found."""
        return self._rpc.target

    async def close(self) -> None:
        """Ends all calls and the connection."""
        await self._rpc.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
