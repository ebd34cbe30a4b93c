"""What the API offers to do with backups in storage, some of it as operations."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from server.core.names import BackupName, SessionName, StorageLocationName
from server.vault.findings import VaultCheck
from server.vault.model import Backup
from server.vault.rounds import Round, Rules

from .keyoperations import ALL
from .model import RetentionItem, RetentionResult
from .operation import Operation
from .operations import Operations, Report
from .vaultcare import VaultCare, age


@dataclass(frozen=True, slots=True)
class VaultOperations:
    """See `VaultCare` for what all of them raise, and `Operations.start`.

    `announce` hears of each backup that changed.
    """

    care: VaultCare
    operations: Operations
    rules: Callable[[SessionName], Rules]
    trash_time: timedelta
    announce: Callable[[Backup], Awaitable[None]]

    async def delete(self, name: BackupName) -> Backup:
        """Moves a backup to trash. Raises BackupNotFound, BackupCorrupt."""
        step = self.care.throw_away(name, "deleted by a caller", self.trash_time)
        return await self._announced(step)

    async def undelete(self, name: BackupName) -> Backup:
        """Brings a backup back. Raises BackupNotFound, BackupCorrupt, BackupKeyMissing."""
        return await self._announced(self.care.bring_back(name))

    async def pin(self, name: BackupName, *, pinned: bool) -> Backup:
        """Exempts a backup from retention, or not any more. Raises BackupNotFound."""
        return await self._announced(self.care.pin(name, pinned=pinned))

    async def with_trashed(
        self,
        live: list[Backup],
        session: SessionName | None,
        after: BackupName | None,
        limit: int,
    ) -> list[Backup]:
        """A page of live backups with those in trash between them."""
        found = [*live, *await self.care.trashed(session, after, limit)]
        return sorted(found, key=lambda backup: age(backup.name), reverse=True)[:limit]

    async def _announced(self, step: Awaitable[Backup]) -> Backup:
        backup = await step
        await self.announce(backup)
        return backup

    async def plan_retention(self, session: SessionName | None) -> RetentionResult:
        """What `apply_retention` would do now in the primary location; changes nothing."""
        place = self.care.locations.primary
        return await self._run(place, session, lambda _done, _total: None, dry_run=True)

    async def apply_retention(self, session: SessionName | None) -> Operation:
        """Does it, in every location; the result tells about the primary one."""

        async def work(report: Report) -> RetentionResult:
            results = [
                await self._run(
                    location.name,
                    session,
                    lambda done, total: report("CLEANING", done, total),
                    dry_run=False,
                )
                for location in self.care.locations.list()
            ]
            return results[0]

        target = ALL if session is None else str(session)
        return await self.operations.start(target=target, session=None, work=work)

    async def check(self, location: StorageLocationName | None, *, read_data: bool) -> Operation:
        """Looks at every object in a location. Raises StorageLocationNotFound."""
        place = location or self.care.locations.primary
        self.care.locations.check(place)

        async def work(report: Report) -> VaultCheck:
            report("CHECKING")
            return await self.care.check(
                place, lambda done, total: report("CHECKING", done, total), read_data=read_data
            )

        return await self.operations.start(target=str(place), session=None, work=work)

    async def _run(
        self,
        location: StorageLocationName,
        session: SessionName | None,
        report: Callable[[int, int], None],
        *,
        dry_run: bool,
    ) -> RetentionResult:
        names = await self.care.sessions(location) if session is None else [session]
        rounds = []
        for number, name in enumerate(names):
            report(number, len(names))
            done = await self.care.run_round(location, name, self.rules(name), dry_run=dry_run)
            rounds.append(done)
        return _result(location, rounds)


def _result(location: StorageLocationName, rounds: list[Round]) -> RetentionResult:
    return RetentionResult(
        storage_location=location,
        items=tuple(item for each in rounds for item in _items(each)),
        trashed=sum(len(each.retention.remove) for each in rounds),
        purged=sum(len(each.purge.remove) for each in rounds),
        collected_objects=sum(len(each.collected.packs) for each in rounds),
        collected_bytes=sum(each.collected.bytes for each in rounds),
        notes=tuple(
            f"{session}: nothing was collected: {problem}"
            for each in rounds
            for session, problem in each.collected.stopped.items()
        ),
    )


def _items(done: Round) -> list[RetentionItem]:
    decided = {name: (True, reasons) for name, reasons in done.retention.keep.items()}
    decided |= {name: (False, (reason,)) for name, reason in done.retention.remove.items()}
    return [
        RetentionItem(backup=name, keep=keep, reasons=reasons, create_time=done.create_times[name])
        for name, (keep, reasons) in sorted(
            decided.items(), key=lambda each: each[0].backup_id, reverse=True
        )
    ]
