"""Credentials in and out of `roost.v1.BackupService`: what is streamed."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from roost.v1 import backup_service_pb2 as pb
from roost.v1 import backup_service_pb2_grpc

from server.backups.importing import Imports
from server.backups.imports.model import ImportRequest
from server.backups.service import BackupService as Backups
from server.core.names import BackupName, SessionName, StorageLocationName

from . import convert_backups, uploads, validate
from .streams import closing
from .validate import Checks


class Transfers(backup_service_pb2_grpc.BackupServiceServicer):
    """Exports, and imports of both kinds."""

    def __init__(self, backups: Backups, imports: Imports) -> None:
        self._backups = backups
        self._imports = imports

    async def ExportBackup(
        self, request: pb.ExportBackupRequest, _context: Any
    ) -> AsyncIterator[pb.ExportBackupResponse]:
        """The header, then the file; the copy was read and checked before the first piece."""
        with Checks() as check:
            name = check(BackupName.parse, request.name)
            passphrase = check(validate.passphrase, request.passphrase)
        async with self._backups.exporting(name, passphrase) as export:
            file_name = f"{name.session.session_id}-{name.backup_id}.roost"
            header = pb.ExportBackupResponse.Header(
                backup=convert_backups.backup(export.backup), file_name=file_name
            )
            yield pb.ExportBackupResponse(header=header)
            async with closing(export.pieces) as pieces:
                async for piece in pieces:
                    yield pb.ExportBackupResponse(chunk=piece)

    async def ImportBackup(
        self, requests: AsyncIterator[pb.ImportBackupRequest], _context: Any
    ) -> pb.ImportBackupResponse:
        """Takes the file as it comes."""
        header = (await uploads.first(requests, "part")).header
        with Checks() as check:
            session = check(SessionName.parse, header.parent, "header.parent")
            location = None
            if header.storage_location:
                location = check(
                    StorageLocationName.parse, header.storage_location, "header.storage_location"
                )
            check(uploads.required, header.passphrase, "header.passphrase")
        pieces = uploads.chunks(requests)
        backup = await self._backups.import_file(session, location, header.passphrase, pieces)
        return pb.ImportBackupResponse(backup=convert_backups.backup(backup))

    async def ImportCredentials(
        self, requests: AsyncIterator[pb.ImportCredentialsRequest], _context: Any
    ) -> pb.ImportCredentialsResponse:
        """Takes all files first: what they are shows in all of them together."""
        header = (await uploads.first(requests, "part")).header
        wanted = _import_request(header)
        files = await uploads.files(requests)
        operation = await self._imports.start(replace(wanted, files=files))
        return pb.ImportCredentialsResponse(operation=convert_backups.operation(operation))


def _import_request(header: pb.ImportCredentialsRequest.Header) -> ImportRequest:
    """What the header asks for, without the files; raises FieldInvalid."""
    with Checks() as check:
        target = check(SessionName.parse, header.session, "header.session")
        formats = convert_backups.CREDENTIAL_FORMAT_OF
        form = check(validate.enum_value, header.format, formats, "header.format")
        modes = convert_backups.RESTORE_MODE_OF
        mode = check(validate.enum_value, header.mode, modes, "header.mode")
        display_name = check(validate.display_name, header.display_name, "header.display_name")
        labels = check(validate.labels, header.labels, "header.labels")
        proxy_url = check(validate.proxy_url, header.proxy_url, "header.proxy_url")
    return ImportRequest(
        target=target,
        files=(),
        format=form,
        mode=mode,
        source_stopped=header.source_stopped,
        device=header.device,
        force=header.force,
        display_name=display_name,
        labels=labels,
        proxy_url=proxy_url,
    )
