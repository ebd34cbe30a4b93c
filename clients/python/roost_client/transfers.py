"""Credentials in and out: portable files of backups, and other programs' files."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Literal

from roost.v1 import backup_service_pb2 as pb
from roost.v1.backup_pb2 import Backup
from roost.v1.operation_pb2 import Operation

from .group import AsyncGroup
from .local_files import Draft, Sources
from .names import location_name, session_name

Mode = Literal["auto", "exact", "rekey"]
Format = Literal["", "baileys_multi_file", "baileys_single_file", "whatsmeow_sqlite"]
Progress = Callable[[int, int], None]
"""Told how many bytes are through, and how many there are; 0: unknown."""


def _nobody(_done: int, _total: int) -> None:
    pass


class AsyncTransfers(AsyncGroup):
    """What BackupService streams."""

    async def export_stream(
        self, backup: str, passphrase: str
    ) -> AsyncGenerator[pb.ExportBackupResponse, None]:
        """The header, then the file in chunks; see `export`."""
        request = pb.ExportBackupRequest(name=backup, passphrase=passphrase)
        parts = self._rpc.stream("BackupService.ExportBackup", request, pb.ExportBackupResponse)
        async with aclosing(parts):
            async for part in parts:
                yield part

    async def export(
        self, backup: str, target: str | Path, passphrase: str, *, progress: Progress = _nobody
    ) -> Backup:
        """Writes a backup to a new file, sealed with a passphrase of 8 characters or more.

        Any server reads it with the passphrase alone. What was cut off is not left behind. Raises
        FileExistsError.
        """
        found = Backup()
        with Draft(Path(target)) as file:
            async with aclosing(self.export_stream(backup, passphrase)) as parts:
                async for part in parts:
                    if part.HasField("header"):
                        found.CopyFrom(part.header.backup)
                    file.write(part.chunk)
                    progress(file.size_bytes, 0)
            file.publish()
        return found

    async def import_file(
        self,
        source: str | Path,
        session: str,
        passphrase: str,
        *,
        location: str = "",
        progress: Progress = _nobody,
    ) -> Backup:
        """Makes a backup of `session` out of an exported file; touches no session."""
        files = Sources(Path(source))

        async def requests() -> AsyncIterator[pb.ImportBackupRequest]:
            header = pb.ImportBackupRequest.Header(
                parent=session_name(session),
                passphrase=passphrase,
                storage_location=location_name(location),
            )
            yield pb.ImportBackupRequest(header=header)
            done = 0
            for _, _, chunk in files:
                yield pb.ImportBackupRequest(chunk=chunk)
                done += len(chunk)
                progress(done, files.total_bytes)

        response = await self._rpc.upload(
            "BackupService.ImportBackup", requests(), pb.ImportBackupResponse
        )
        return response.backup

    async def import_credentials(
        self,
        source: str | Path,
        session: str,
        *,
        format: Format = "",  # noqa: A002  the name in the API
        mode: Mode = "auto",
        source_stopped: bool = False,
        device: str = "",
        force: bool = False,
        display_name: str = "",
        labels: Mapping[str, str] | None = None,
        proxy_url: str = "",
        progress: Progress = _nobody,
    ) -> Operation:
        """Starts to take over another program's credentials; see `operations.wait`.

        Args:
            source: A Baileys folder or JSON file, or an SQLite database of whatsmeow or neonize.
            session: Made if the server does not know it; left stopped.
            format: Found out from the files if not given.
            mode: `auto` keeps the ratchets only where that is safe.
            source_stopped: The other program had ended before, and will never run again.
            device: Which device of a database with several, by JID.
            force: Replace credentials that are there; they go to trash.
            display_name: Of a session that is made.
            labels: Of a session that is made.
            proxy_url: Of a session that is made.
            progress: Told how far the upload is.
        """
        files = Sources.of(Path(source))
        header = pb.ImportCredentialsRequest.Header(
            session=session_name(session),
            format=f"CREDENTIAL_FORMAT_{format.upper() or 'UNSPECIFIED'}",
            mode=f"RESTORE_MODE_{mode.upper()}",
            source_stopped=source_stopped,
            device=device,
            force=force,
            display_name=display_name,
            labels=labels,
            proxy_url=proxy_url,
        )

        async def requests() -> AsyncIterator[pb.ImportCredentialsRequest]:
            yield pb.ImportCredentialsRequest(header=header)
            done = 0
            for name, time, chunk in files:
                part = pb.ImportCredentialsRequest.File(name=name, modify_time=time, data=chunk)
                yield pb.ImportCredentialsRequest(file=part)
                done += len(chunk)
                progress(done, files.total_bytes)

        response = await self._rpc.upload(
            "BackupService.ImportCredentials", requests(), pb.ImportCredentialsResponse
        )
        return response.operation
