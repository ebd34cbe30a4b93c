"""The manifest: what is known of a backup without reading its image."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from server.core.names import BackupName, StorageLocationName
from server.vault.model import Backup, BackupKind, BackupState

FORMAT_VERSION = 1


class ManifestInvalid(Exception):
    """The bytes are not a manifest of a format that this version knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Written last and never changed: a backup without one does not exist.

    The session's settings are in it, so that a server that knows nothing can bring it back.
    """

    name: BackupName
    kind: BackupKind
    create_time: datetime
    # The session as it was recorded when the copy was taken.
    session_create_time: datetime
    connect_epoch: int
    is_clean: bool
    display_name: str
    labels: Mapping[str, str]
    proxy_url: str = field(repr=False)
    engine_version: str
    # The image and its sealed form.
    logical_bytes: int
    logical_sha256: str
    size_bytes: int = 0
    sha256: str = ""
    key_id: str = ""
    # What the drill found.
    state: BackupState = BackupState.CREATING
    state_reason: str = ""
    verify_time: datetime | None = None
    device_fingerprint: str = ""
    jid_sha256: str = ""
    schema_version: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION

    def encode(self) -> bytes:
        """As JSON."""
        return msgspec.json.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> "Manifest":
        """Reads JSON; fields of later versions are passed over.

        Raises:
            ManifestInvalid: not a manifest, or of a later format.
        """
        try:
            if _decode_version(data).format_version > FORMAT_VERSION:
                raise ManifestInvalid("a later format")
            return _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ManifestInvalid("not a manifest") from error

    def backup(self, location: StorageLocationName) -> Backup:
        """As the API shows it."""
        return Backup(
            name=self.name,
            state=self.state,
            state_reason=self.state_reason,
            kind=self.kind,
            storage_location=location,
            size_bytes=self.size_bytes,
            logical_bytes=self.logical_bytes,
            sha256=self.sha256,
            format_version=self.format_version,
            device_fingerprint=self.device_fingerprint,
            connect_epoch=self.connect_epoch,
            schema_version=self.schema_version,
            engine_version=self.engine_version,
            create_time=self.create_time,
            verify_time=self.verify_time,
        )


@dataclass(frozen=True, slots=True)
class _Version:
    format_version: int


_decode_version = msgspec.json.Decoder(_Version).decode
_decode = msgspec.json.Decoder(Manifest).decode
