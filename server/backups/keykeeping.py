"""The data keys of all storage locations, kept open to every configured master key."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Protocol, Self

import structlog

from server.core.clock import Clock
from server.core.errors import DomainError
from server.core.names import SessionName, StorageLocationName
from server.vault.datakeys import Coverage, DataKeys, Retired, Rewrapped
from server.vault.storage import storage_errors

from .model import KeyRotation

RETRY = timedelta(minutes=1)

logger = structlog.get_logger(__name__)


class Keyed(Protocol):
    """What is needed of an open repository."""

    @property
    def keys(self) -> DataKeys:
        """Its data keys."""


OpenRepository = Callable[[StorageLocationName], Awaitable[Keyed]]


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterKeyInfo:
    """A master key as one storage location knows it."""

    id: str
    kind: str = ""
    """`file`, `passphrase` or `external`; empty: not configured here."""
    wraps: int = 0
    """Data keys that are wrapped for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterKeys:
    """Who can open a storage location."""

    masters: tuple[MasterKeyInfo, ...]
    """The configured ones first, then others by id."""
    data_keys: int
    """Of all sessions and terms; who has fewer wraps does not open all."""


class KeyKeeper:
    """Sees to it that each data key is wrapped for every master key.

    `async with`: at its start, in the background, it wraps in all locations what was made before a
    master key was added; a location or a master key that is away is tried again until it is done.
    """

    def __init__(
        self, locations: Iterable[StorageLocationName], repository: OpenRepository, clock: Clock
    ) -> None:
        self._locations = [*locations]
        self._repository = repository
        self._clock = clock
        self._tasks = asyncio.TaskGroup()
        self._upkeep: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._upkeep = self._tasks.create_task(self._keep_up(), name="vault/keys")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._upkeep is not None:
            self._upkeep.cancel()
        await self._tasks.__aexit__(kind, error, traceback)

    async def caught_up(self) -> None:
        """Returns when all that was made before is open to every master key."""
        if self._upkeep is not None:
            await asyncio.wait([self._upkeep])

    async def before_backup(self, session: SessionName, location: StorageLocationName) -> None:
        """Wraps what is missing for a session; costs nothing when there is nothing to do.

        A failure is logged and does not keep the backup from being made: what the backup itself
        writes is sealed with a key that every master key opens.
        """
        try:
            await self._rewrap(location, session.session_id)
        except DomainError as error:
            logger.warning("vault.not_rewrapped", session=str(session), problem=error.reason)

    async def rotate(self, session: SessionName | None) -> KeyRotation:
        """Begins a new term for a session, or for all that have one, in every location.

        Raises StorageUnavailable, StorageMisconfigured, KeyUnavailable, VaultCorrupt: then some
        locations may have been done; doing all of it again is harmless.
        """
        rotated: set[str] = set()
        for location in self._locations:
            keys = await self._keys(location)
            with storage_errors(location):
                there = await keys.sessions()
                mine = there if session is None else {session.session_id} & {*there}
                for session_id in mine:
                    await keys.rotate(session_id)
                    rotated.add(session_id)
        logger.info("vault.keys_rotated", sessions=len(rotated))
        return KeyRotation(rotated=len(rotated))

    async def rewrap(self, session: SessionName | None, *, verify: bool = True) -> KeyRotation:
        """Adds wrapped keys that are missing, and mends damaged ones, in every location."""
        done = [
            await self._rewrap(location, session.session_id if session else None, verify=verify)
            for location in self._locations
        ]
        unreadable = {name.partition("/")[2] for each in done for name in each.unreadable}
        return KeyRotation(
            wraps_added=sum(each.added for each in done),
            wraps_present=sum(each.present for each in done),
            wraps_repaired=sum(each.repaired for each in done),
            wraps_delayed=sum(each.delayed for each in done),
            unreadable=tuple(sorted(unreadable)),
        )

    async def retire(self, master_id: str) -> KeyRotation:
        """Removes what is wrapped for a master key that is no longer configured.

        A term that no other master key opens keeps it, and is named as unreadable.

        Raises MasterKeyInUse, and as `rotate`.
        """
        done: list[Retired] = []
        for location in self._locations:
            keys = await self._keys(location)
            with storage_errors(location):
                done.append(await keys.retire(master_id))
        kept = {name.partition("/")[2] for each in done for name in each.kept}
        removed = sum(each.removed for each in done)
        logger.info("vault.master_key_retired", master=master_id, removed=removed, kept=len(kept))
        return KeyRotation(wraps_removed=removed, unreadable=tuple(sorted(kept)))

    async def masters(self, location: StorageLocationName | None = None) -> MasterKeys:
        """Who can open a location, the primary one by default; from the names of objects."""
        place = location or self._locations[0]
        keys = await self._keys(place)
        with storage_errors(place):
            counts = await keys.counts()
            configured = await keys.masters()
            total = await keys.total()
        found = [
            MasterKeyInfo(id=each.id, kind=each.kind, wraps=counts.pop(each.id, 0))
            for each in configured
        ]
        found += [MasterKeyInfo(id=each, wraps=counts[each]) for each in sorted(counts)]
        return MasterKeys(masters=tuple(found), data_keys=total)

    async def coverage(
        self, location: StorageLocationName, session: SessionName | None
    ) -> list[Coverage]:
        """Which master keys open each term; reads and unwraps every object."""
        keys = await self._keys(location)
        with storage_errors(location):
            return await keys.coverage(session.session_id if session else None)

    async def _keep_up(self) -> None:
        waiting = [*self._locations]
        while waiting:
            waiting = [each for each in waiting if not await self._is_done(each)]
            if waiting:
                await self._clock.sleep(RETRY.total_seconds())

    async def _warn(self, location: StorageLocationName) -> None:
        """Tells of master keys that are not what they were: a misspelt passphrase is a new one."""
        keys = await self._keys(location)
        with storage_errors(location):
            counts, strangers = await keys.counts(), await keys.strangers()
            new = {each.kind for each in await keys.masters() if each.id not in counts}
        for master_id, kind in strangers.items():
            if kind in new:
                logger.warning(
                    "vault.master_key_differs",
                    storage_location=str(location),
                    kind=kind,
                    known=master_id,
                    problem=f"the {kind} master key is another one than was used before",
                )

    async def _is_done(self, location: StorageLocationName) -> bool:
        try:
            await self._warn(location)
            return not (await self._rewrap(location, None)).delayed
        except DomainError as error:
            place = str(location)
            logger.warning("vault.not_rewrapped", storage_location=place, problem=error.reason)
            return False
        except Exception:
            logger.exception("vault.not_rewrapped", storage_location=str(location))
            return True  # trying again would not help, and backups go on without

    async def _rewrap(
        self, location: StorageLocationName, session_id: str | None, *, verify: bool = False
    ) -> Rewrapped:
        keys = await self._keys(location)
        with storage_errors(location):
            done = await keys.rewrap(session_id, verify=verify)
        if done.added or done.repaired or done.unreadable:
            logger.info(
                "vault.rewrapped",
                storage_location=str(location),
                added=done.added,
                repaired=done.repaired,
                unreadable=len(done.unreadable),
            )
        return done

    async def _keys(self, location: StorageLocationName) -> DataKeys:
        return (await self._repository(location)).keys
