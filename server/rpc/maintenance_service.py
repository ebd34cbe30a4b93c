"""`roost.v1.MaintenanceService`."""

from datetime import datetime
from typing import Any

from roost.v1 import maintenance_service_pb2 as pb
from roost.v1 import maintenance_service_pb2_grpc, trash_pb2

from server.backups.trashing import TrashRoom
from server.core.errors import FieldInvalid
from server.core.names import TrashItemName
from server.sessions.trash import TrashItem

from . import convert_backups
from .paging import page_of
from .validate import Checks

ALL = "trash/-"


class MaintenanceService(maintenance_service_pb2_grpc.MaintenanceServiceServicer):
    """Looks after the server's own files."""

    def __init__(self, trash: TrashRoom) -> None:
        self._trash = trash

    async def ListTrash(self, request: pb.ListTrashRequest, _context: Any) -> pb.ListTrashResponse:
        """Newest first."""
        page = page_of(request)
        found = await self._trash.page(page.after, page.look_ahead)
        shown, token = page.cut(found, lambda item: item.name.item_id)
        items = [trash_item(item, self._trash.purge_time(item)) for item in shown]
        return pb.ListTrashResponse(items=items, next_page_token=token)

    async def RestoreFromTrash(
        self, request: pb.RestoreFromTrashRequest, _context: Any
    ) -> pb.RestoreFromTrashResponse:
        """Starts to bring something back."""
        name = TrashItemName.parse(request.name)
        operation = await self._trash.restore(name, force=request.force)
        return pb.RestoreFromTrashResponse(operation=convert_backups.operation(operation))

    async def PurgeTrash(
        self, request: pb.PurgeTrashRequest, _context: Any
    ) -> pb.PurgeTrashResponse:
        """A dry run, unless `confirm` says the name once more."""
        with Checks() as check:
            name = None if request.name == ALL else check(TrashItemName.parse, request.name)
            check(_confirmed, request)
        if request.confirm and name is not None:
            verdicts = [await self._trash.purge(name)]
        else:
            verdicts = await self._trash.plan_purge(name)
        return pb.PurgeTrashResponse(
            verdicts=[
                pb.PurgeTrashResponse.Verdict(
                    item=trash_item(each.item, self._trash.purge_time(each.item)),
                    may_purge=not each.kept_because,
                    kept_because=each.kept_because,
                )
                for each in verdicts
            ],
            purged=bool(request.confirm),
        )


def _confirmed(request: pb.PurgeTrashRequest) -> None:
    if request.confirm and (request.confirm != request.name or request.name == ALL):
        raise FieldInvalid(field="confirm", problem="must name the same one item as `name`")


def trash_item(value: TrashItem, purge_time: datetime | None) -> trash_pb2.TrashItem:
    """Something in trash."""
    message = trash_pb2.TrashItem(
        name=str(value.name), size_bytes=value.size_bytes, purge_time=purge_time
    )
    if value.note is not None:
        message.reason = value.note.reason
        message.session = value.note.session
        message.trash_time.FromDatetime(value.note.time)
    return message
