"""The manifest: what a backup is, and where its pages are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import msgspec
import zstandard

from server.core.names import BackupName

from .model import BackupKind, BackupState
from .pages import MapInvalid, Place, decode_map

FORMAT_VERSION = 2


class ManifestInvalid(Exception):
    """The bytes are not a manifest of a format that this version knows."""


@dataclass(frozen=True, slots=True)
class PackRef:
    """A pack that a backup has pages in. `sha256` (hex) is of the stored object."""

    pack_id: str
    size_bytes: int
    sha256: str
    pages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """The backup before this one in the same location: `sha256` (hex) is of its sealed manifest."""

    backup_id: str
    sha256: str
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where the image is: everything about its stored form."""

    term: str
    packs: tuple[PackRef, ...]
    page_map: tuple[int, ...]
    page_count: int
    image_bytes: int
    image_sha256: str
    new_bytes: int

    def places(self) -> list[Place]:
        """Where each page is; raises MapInvalid."""
        return decode_map(self.page_map, [pack.pack_id for pack in self.packs], self.page_count)

    @property
    def size_bytes(self) -> int:
        """What all packs that it needs take in storage."""
        return sum(pack.size_bytes for pack in self.packs)


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
    # Its place in the history, and its stored form.
    seq: int
    parent: Parent | None
    layout: Layout = field(repr=False)
    # What the drill found.
    state: BackupState
    verify_time: datetime
    verify_level: int
    state_reason: str = ""
    device_fingerprint: str = ""
    jid_sha256: str = ""
    schema_version: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION

    def encode(self) -> bytes:
        """As compressed MessagePack."""
        return zstandard.ZstdCompressor(level=3).compress(_encode(self))

    @classmethod
    def decode(cls, data: bytes) -> "Manifest":
        """Undoes `encode`; fields of later versions are passed over.

        Raises:
            ManifestInvalid: not a manifest, or of a later format.
        """
        try:
            plain = zstandard.ZstdDecompressor().decompress(data)
            if _decode_version(plain).format_version > FORMAT_VERSION:
                raise ManifestInvalid("of a later format")
            manifest = _decode(plain)
            manifest.layout.places()
        except (msgspec.DecodeError, UnicodeDecodeError, zstandard.ZstdError, MapInvalid) as error:
            raise ManifestInvalid("not a manifest") from error
        return manifest


@dataclass(frozen=True, slots=True)
class _Version:
    format_version: int


_encode = msgspec.msgpack.Encoder().encode
_decode_version = msgspec.msgpack.Decoder(_Version).decode
_decode = msgspec.msgpack.Decoder(Manifest).decode
