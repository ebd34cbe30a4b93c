"""`roost.v1.BackupService`."""

from datetime import datetime
from functools import partial
from typing import Any

from roost.v1 import backup_service_pb2 as pb

from server.backups.importing import Imports
from server.backups.policies import Policies
from server.backups.service import BackupService as Backups
from server.backups.vaultoperations import VaultOperations
from server.core.errors import FieldInvalid
from server.core.names import BackupName, SessionName, StorageLocationName

from . import convert_backups, validate
from .idempotency import Attempt, Idempotency
from .keeping_service import KeepingService
from .paging import page_of
from .policy_service import PolicyService
from .transfer_service import Transfers
from .validate import BackupWanted, Checks


class BackupService(Transfers, PolicyService, KeepingService):
    """Backs up and restores credentials."""

    def __init__(
        self,
        backups: Backups,
        vault: VaultOperations,
        imports: Imports,
        policies: Policies,
        repeats: Idempotency,
    ) -> None:
        Transfers.__init__(self, backups, imports)
        PolicyService.__init__(self, policies)
        KeepingService.__init__(self, vault)
        self._repeats = repeats

    async def CreateBackup(
        self, request: pb.CreateBackupRequest, _context: Any
    ) -> pb.CreateBackupResponse:
        """Starts a backup."""
        with Checks() as check:
            session = check(SessionName.parse, request.parent, "parent")
            location = None
            if request.storage_location:
                location = check(StorageLocationName.parse, request.storage_location)
            check(validate.request_id, request.request_id)
        create = partial(self._create, session, location)
        return await self._repeats.once(request, pb.CreateBackupResponse, create)

    async def _create(
        self, session: SessionName, location: StorageLocationName | None, _attempt: Attempt
    ) -> pb.CreateBackupResponse:
        operation = await self._backups.create(session, location)
        return pb.CreateBackupResponse(operation=convert_backups.operation(operation))

    async def GetBackup(self, request: pb.GetBackupRequest, _context: Any) -> pb.GetBackupResponse:
        """One backup, as its storage has it."""
        backup = await self._backups.get(BackupName.parse(request.name))
        return pb.GetBackupResponse(backup=convert_backups.backup(backup))

    async def ListBackups(
        self, request: pb.ListBackupsRequest, _context: Any
    ) -> pb.ListBackupsResponse:
        """Newest first, of one session or of all that storage knows."""
        page = page_of(request)
        session = validate.session_or_all(request.parent, "parent")
        after = _position(page.after) if page.after else None
        found = await self._backups.list(session, after, page.look_ahead)
        if request.show_deleted:
            found = await self._vault.with_trashed(found, session, after, page.look_ahead)
        shown, token = page.cut(found, lambda backup: str(backup.name))
        return pb.ListBackupsResponse(
            backups=map(convert_backups.backup, shown), next_page_token=token
        )

    async def RestoreBackup(
        self, request: pb.RestoreBackupRequest, _context: Any
    ) -> pb.RestoreBackupResponse:
        """Starts a restore, or plans one."""
        with Checks() as check:
            wanted = check(validate.backup_or_newest, request.name)
            target = None
            if request.target_session:
                target = check(SessionName.parse, request.target_session, "target_session")
            mode = check(validate.enum_value, request.mode, convert_backups.RESTORE_MODE_OF, "mode")
            check(validate.request_id, request.request_id)
            before = check(_before, request)
        if request.dry_run:
            name = await self._named(wanted, before)
            plan = await self._backups.plan(name, target, mode, start=request.start)
            return pb.RestoreBackupResponse(plan=convert_backups.restore_plan(plan))

        async def restore(_attempt: Attempt) -> pb.RestoreBackupResponse:
            operation, plan = await self._backups.restore(
                await self._named(wanted, before),
                target,
                mode,
                force=request.force,
                start=request.start,
                take_over=request.take_over,
            )
            return pb.RestoreBackupResponse(
                operation=convert_backups.operation(operation),
                plan=convert_backups.restore_plan(plan),
            )

        return await self._repeats.once(request, pb.RestoreBackupResponse, restore)

    async def VerifyBackup(
        self, request: pb.VerifyBackupRequest, _context: Any
    ) -> pb.VerifyBackupResponse:
        """Starts a check."""
        with Checks() as check:
            wanted = check(validate.backup_or_newest, request.name)
            level = check(
                validate.enum_value, request.level, convert_backups.VERIFY_LEVEL_OF, "level"
            )
        operation = await self._backups.verify(await self._named(wanted, None), level)
        return pb.VerifyBackupResponse(operation=convert_backups.operation(operation))

    async def _named(self, wanted: BackupWanted, before: datetime | None) -> BackupName:
        return wanted.name or await self._backups.newest_good(wanted.session, before)

    async def ListStorageLocations(
        self, request: pb.ListStorageLocationsRequest, _context: Any
    ) -> pb.ListStorageLocationsResponse:
        """The configured ones, the primary first."""
        page = page_of(request)
        places = self._backups.locations()
        names = [str(place.name) for place in places]
        start = names.index(page.after) + 1 if page.after in names else 0
        shown, token = page.cut(
            places[start : start + page.look_ahead], lambda each: str(each.name)
        )
        return pb.ListStorageLocationsResponse(
            storage_locations=map(convert_backups.storage_location, shown), next_page_token=token
        )


def _before(request: pb.RestoreBackupRequest) -> datetime | None:
    if not request.HasField("before_time"):
        return None
    if not request.name.endswith(validate.NEWEST):
        raise FieldInvalid(field="before_time", problem=f"goes with a name in {validate.NEWEST}")
    return validate.moment(request.before_time, "before_time")


def _position(text: str) -> BackupName:
    try:
        return BackupName.parse(text)
    except FieldInvalid:
        raise FieldInvalid(field="page_token", problem="not a token of this server") from None
