"""The blocking client: the asyncio client on a background thread, same methods, same arguments."""

from datetime import timedelta
from pathlib import Path
from typing import Self

from .admin import AsyncAdmin
from .aio import PATIENCE, TIMEOUT, AsyncClient
from .backups import AsyncBackups
from .discovery import Target
from .events import AsyncEvents
from .messages import AsyncMessages
from .operations import AsyncOperations
from .portal import Blocking, Group, Iterating, Portal
from .sessions import AsyncSessions
from .trash import AsyncTrash
from .vault import AsyncVault


class Sessions(Group):
    """SessionService. A session is given as its id or its full name."""

    create = Blocking(AsyncSessions.create)
    get = Blocking(AsyncSessions.get)
    list_page = Blocking(AsyncSessions.list_page)
    list = Iterating(AsyncSessions.list)
    update = Blocking(AsyncSessions.update)
    delete = Blocking(AsyncSessions.delete)
    undelete = Blocking(AsyncSessions.undelete)
    start = Blocking(AsyncSessions.start)
    stop = Blocking(AsyncSessions.stop)
    unlink = Blocking(AsyncSessions.unlink)
    pair = Iterating(AsyncSessions.pair)
    wait_for = Blocking(AsyncSessions.wait_for)


class Events(Group):
    """EventService."""

    subscribe = Iterating(AsyncEvents.subscribe)


class Messages(Group):
    """MessageService."""

    send_text = Blocking(AsyncMessages.send_text)


class Backups(Group):
    """BackupService."""

    create = Blocking(AsyncBackups.create)
    get = Blocking(AsyncBackups.get)
    list = Iterating(AsyncBackups.list)
    delete = Blocking(AsyncBackups.delete)
    undelete = Blocking(AsyncBackups.undelete)
    pin = Blocking(AsyncBackups.pin)
    verify = Blocking(AsyncBackups.verify)
    plan_restore = Blocking(AsyncBackups.plan_restore)
    restore = Blocking(AsyncBackups.restore)
    locations = Iterating(AsyncBackups.locations)
    policy = Blocking(AsyncBackups.policy)
    set_policy = Blocking(AsyncBackups.set_policy)
    reset_policy = Blocking(AsyncBackups.reset_policy)
    export_stream = Iterating(AsyncBackups.export_stream)
    export = Blocking(AsyncBackups.export)
    import_file = Blocking(AsyncBackups.import_file)
    import_credentials = Blocking(AsyncBackups.import_credentials)


class Trash(Group):
    """MaintenanceService. An item is given as its id or its full name."""

    list = Iterating(AsyncTrash.list)
    restore = Blocking(AsyncTrash.restore)
    plan_purge = Blocking(AsyncTrash.plan_purge)
    purge = Blocking(AsyncTrash.purge)


class Vault(Group):
    """VaultService."""

    stats = Blocking(AsyncVault.stats)
    recover = Blocking(AsyncVault.recover)
    master_keys = Blocking(AsyncVault.master_keys)
    check = Blocking(AsyncVault.check)
    plan_retention = Blocking(AsyncVault.plan_retention)
    apply_retention = Blocking(AsyncVault.apply_retention)
    rotate = Blocking(AsyncVault.rotate)
    rewrap = Blocking(AsyncVault.rewrap)
    retire = Blocking(AsyncVault.retire)


class Operations(Group):
    """OperationService. An operation is given as itself, its id or its full name."""

    get = Blocking(AsyncOperations.get)
    list = Iterating(AsyncOperations.list)
    watch = Iterating(AsyncOperations.watch)
    wait = Blocking(AsyncOperations.wait)
    cancel = Blocking(AsyncOperations.cancel)


class Admin(Group):
    """AdminService."""

    info = Blocking(AsyncAdmin.info)
    drain = Blocking(AsyncAdmin.drain)


class Client:
    """Talks to one server. On the server's own machine it finds address and key by itself.

    Use it as `with Client() as roost:`, from any thread. Every method raises `RoostError`.
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
        """As `AsyncClient`."""
        self._client = AsyncClient(
            address, key, data_dir=data_dir, ca_file=ca_file, timeout=timeout, patience=patience
        )
        self._portal = Portal()
        self.sessions = Sessions(self._client.sessions, self._portal)
        self.events = Events(self._client.events, self._portal)
        self.messages = Messages(self._client.messages, self._portal)
        self.backups = Backups(self._client.backups, self._portal)
        self.trash = Trash(self._client.trash, self._portal)
        self.vault = Vault(self._client.vault, self._portal)
        self.operations = Operations(self._client.operations, self._portal)
        self.admin = Admin(self._client.admin, self._portal)

    @property
    def target(self) -> Target:
        """The server that was found."""
        return self._client.target

    def close(self) -> None:
        """Ends all calls and the connection."""
        if self._portal.is_open:
            self._portal.run(self._client.close())
            self._portal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
