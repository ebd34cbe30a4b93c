"""What the API offers to do with keys, as operations."""

from dataclasses import dataclass

from server.core.errors import FieldInvalid
from server.core.names import SessionName, StorageLocationName
from server.vault.datakeys import MasterKeyInUse

from .keykeeping import KeyKeeper, MasterKeys
from .model import KeyRotation
from .operation import Operation
from .operations import Operations, Report, Work
from .ports import Sessions

ALL = "sessions/-"


@dataclass(frozen=True, slots=True)
class KeyOperations:
    """Starts them. They hinder no backup: those that run end with the key they began with."""

    sessions: Sessions
    operations: Operations
    keeper: KeyKeeper

    async def rotate(self, session: SessionName | None) -> Operation:
        """New data keys for a session, or for all that have backups.

        What was written before stays readable; the next backup of each is a full one.

        Raises SessionNotFound, ServerDraining.
        """

        async def work(report: Report) -> KeyRotation:
            report("ROTATING")
            return await self.keeper.rotate(session)

        return await self._start(session, work)

    async def rewrap(self, session: SessionName | None) -> Operation:
        """Reads every wrapped key, adds what is missing and mends what is damaged.

        Raises SessionNotFound, ServerDraining.
        """

        async def work(report: Report) -> KeyRotation:
            report("REWRAPPING")
            return await self.keeper.rewrap(session)

        return await self._start(session, work)

    async def retire(self, master_key: str) -> Operation:
        """Removes what is wrapped for a master key that is no longer configured.

        The operation fails with FIELD_INVALID, and removes nothing, if it still is.

        Raises ServerDraining.
        """

        async def work(report: Report) -> KeyRotation:
            report("RETIRING")
            try:
                return await self.keeper.retire(master_key)
            except MasterKeyInUse as error:
                problem = "is still configured; take it out of the configuration and restart"
                raise FieldInvalid(field="master_key", problem=problem) from error

        return await self.operations.start(target=ALL, session=None, work=work)

    async def masters(self, location: StorageLocationName | None) -> MasterKeys:
        """Who can open a location; None: the primary one.

        Raises StorageLocationNotFound, StorageUnavailable, StorageMisconfigured, VaultCorrupt.
        """
        return await self.keeper.masters(location)

    async def _start(self, session: SessionName | None, work: Work) -> Operation:
        if session is not None:
            self.sessions.get(session)
        target = ALL if session is None else str(session)
        return await self.operations.start(target=target, session=None, work=work)
