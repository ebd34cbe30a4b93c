r"""One backup in one encrypted file, for any place outside of a vault.

The file needs nothing but its passphrase::

    "ROOSTX1\n" | length of the header (4) | header: JSON | SHA-256 of all before (32)
    then frames: kind (1) | length (4) | AES-256-GCM ciphertext and tag

The header holds salt and cost of scrypt, and a value that tells a wrong passphrase from a damaged
file. The keys come from HKDF-SHA256 of what scrypt makes, the nonce is the frame's number, and the
header's hash, the kind and the number are authenticated: a frame that is changed, missing, repeated
or out of place does not open. Kinds: `M` what the copy is (the first frame), `D` at most a MiB of
the image, compressed, `E` the end with the image's hash. Without an `E` the file is cut short.

Lengths are big-endian. Everything here blocks, and holds one frame at a time.
"""

import hashlib
import hmac
import os
import secrets
import struct
import threading
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec
import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from server.core.errors import ExportCorrupt, PassphraseWrong
from server.core.names import BackupName

from .masterkeys.passphrase import Cost, derive
from .model import BackupKind
from .sealing import derive as expand

MAGIC = b"ROOSTX1\n"
FORMAT = 1
BLOCK_BYTES = 1 << 20
LONGEST_FRAME = BLOCK_BYTES + (64 << 10)
LONGEST_HEADER = 4096
SALT_BYTES = 16
KEY_BYTES = 32
CHECK_BYTES = 16
NONCE_BYTES = 12
DIGEST_BYTES = 32
META, DATA, END = b"M", b"D", b"E"
_LENGTH = struct.Struct(">I")
_FRAME = struct.Struct(">cI")
_ONE_AT_A_TIME = threading.Lock()  # a derivation takes a lot of memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Portable:
    """What an exported copy is: with the image, all that another server needs."""

    backup: BackupName
    kind: BackupKind
    create_time: datetime
    display_name: str
    labels: dict[str, str]
    proxy_url: str = field(repr=False)
    engine_version: str
    device_fingerprint: str
    image_bytes: int
    image_sha256: str


@dataclass(frozen=True, slots=True)
class _Header:
    """Not secret. Fields of later versions are passed over."""

    format: int
    kdf: str
    log_n: int
    r: int
    p: int
    salt: str
    check: str


class _Frames:
    """Seals frames, or opens them, one after the other."""

    def __init__(self, passphrase: str, salt: bytes, cost: Cost) -> None:
        with _ONE_AT_A_TIME:
            made = derive(passphrase, salt, cost)
        keys = expand(made, salt, b"roost export v1", KEY_BYTES + CHECK_BYTES)
        self._cipher = AESGCM(keys[:KEY_BYTES])
        self.check = keys[KEY_BYTES:].hex()
        self.context = b""
        self.number = 0

    def seal(self, kind: bytes, data: bytes) -> bytes:
        """The next frame."""
        sealed = self._cipher.encrypt(*self._next(kind, data))
        return _FRAME.pack(kind, len(sealed)) + sealed

    def open(self, kind: bytes, sealed: bytes) -> bytes:
        """What is in the next frame; raises InvalidTag."""
        return self._cipher.decrypt(*self._next(kind, sealed))

    def _next(self, kind: bytes, data: bytes) -> tuple[bytes, bytes, bytes]:
        number = self.number.to_bytes(NONCE_BYTES, "big")
        self.number += 1
        return number, data, self.context + kind + number


def export(
    image: Path, what: Portable, passphrase: str, cost: Cost | None = None
) -> Generator[bytes]:
    """The file, piece by piece; no piece is larger than a frame."""
    cost = cost or Cost()
    salt = secrets.token_bytes(SALT_BYTES)
    frames = _Frames(passphrase, salt, cost)
    header = msgspec.json.encode(
        _Header(FORMAT, "scrypt", cost.log_n, cost.r, cost.p, salt.hex(), frames.check)
    )
    start = MAGIC + _LENGTH.pack(len(header)) + header
    frames.context = hashlib.sha256(start).digest()
    yield start + frames.context
    yield frames.seal(META, msgspec.msgpack.encode(what))
    compress = zstandard.ZstdCompressor(level=3).compress
    with image.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield frames.seal(DATA, compress(block))
    yield frames.seal(END, what.image_sha256.encode("ascii"))


class Importer:
    """Reads such a file as it comes, in pieces of any size, and writes its image to `target`.

    Nothing of the image counts before `finish`.
    """

    def __init__(self, target: Path, passphrase: str) -> None:
        self._passphrase = passphrase
        self._buffer = bytearray()
        self._frames: _Frames | None = None
        self._what: Portable | None = None
        self._hash = hashlib.sha256()
        self._size = 0
        self._is_over = False
        self._file = open(  # noqa: SIM115, PTH123  a descriptor, closed by `close`
            os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb"
        )

    def close(self) -> None:
        """Closes the image. Idempotent."""
        self._file.close()

    def feed(self, piece: bytes) -> None:
        """Takes the next piece of the file.

        Raises:
            ExportCorrupt: it is damaged, or no such file.
            PassphraseWrong: the passphrase is another one.
        """
        self._buffer += piece
        if self._frames is None and not self._read_header():
            return
        while self._read_frame():
            pass

    def finish(self) -> Portable:
        """What the image is. It is whole and durable now. Raises ExportCorrupt."""
        if self._frames is None and self._buffer[: len(MAGIC)] != MAGIC[: len(self._buffer)]:
            raise _not_ours()
        if not self._is_over or self._what is None:
            raise ExportCorrupt(problem="it ends too early")
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._what

    def _read_header(self) -> bool:
        """False: more is needed."""
        if not self._buffer.startswith(MAGIC[: len(self._buffer)]):
            raise _not_ours()
        start = len(MAGIC) + _LENGTH.size
        if len(self._buffer) < start:
            return False
        (length,) = _LENGTH.unpack_from(self._buffer, len(MAGIC))
        if length > LONGEST_HEADER:
            raise ExportCorrupt(problem="its header is damaged")
        end = start + length
        if len(self._buffer) < end + DIGEST_BYTES:
            return False
        digest = hashlib.sha256(self._buffer[:end]).digest()
        if digest != self._buffer[end : end + DIGEST_BYTES]:
            raise ExportCorrupt(problem="its header is damaged")
        header = _header(bytes(self._buffer[start:end]))
        del self._buffer[: end + DIGEST_BYTES]
        cost = Cost(header.log_n, header.r, header.p)
        if not cost.is_sane:
            raise ExportCorrupt(problem="its header asks for too much memory")
        self._frames = _Frames(self._passphrase, bytes.fromhex(header.salt), cost)
        if not hmac.compare_digest(self._frames.check, header.check):
            raise PassphraseWrong
        self._frames.context = digest
        return True

    def _read_frame(self) -> bool:
        """False: more is needed."""
        frames = self._frames
        assert frames is not None
        if self._is_over and self._buffer:
            raise ExportCorrupt(problem="something follows its end")
        if len(self._buffer) < _FRAME.size:
            return False
        kind, length = _FRAME.unpack_from(self._buffer)
        if length > LONGEST_FRAME:
            raise ExportCorrupt(problem=f"frame {frames.number} is damaged")
        if len(self._buffer) < _FRAME.size + length:
            return False
        sealed = bytes(self._buffer[_FRAME.size : _FRAME.size + length])
        del self._buffer[: _FRAME.size + length]
        number = frames.number
        try:
            self._take(kind, frames.open(kind, sealed), is_first=number == 0)
        except (InvalidTag, msgspec.DecodeError, zstandard.ZstdError, ValueError) as error:
            problem = f"frame {number} is damaged, missing or out of place"
            raise ExportCorrupt(problem=problem) from error
        return True

    def _take(self, kind: bytes, data: bytes, *, is_first: bool) -> None:
        if is_first != (kind == META):
            raise ValueError
        if kind == META:
            self._what = msgspec.msgpack.decode(data, type=Portable)
        elif kind == DATA:
            block = zstandard.ZstdDecompressor().decompress(data, max_output_size=BLOCK_BYTES)
            self._hash.update(block)
            self._size += len(block)
            self._file.write(block)
        elif kind == END:
            self._check_end(data)
        else:
            raise ValueError

    def _check_end(self, data: bytes) -> None:
        what, found = self._what, self._hash.hexdigest()
        assert what is not None
        if found != what.image_sha256 or data != found.encode() or self._size != what.image_bytes:
            raise ExportCorrupt(problem="the image is not the one that was exported")
        self._is_over = True


def _header(data: bytes) -> _Header:
    try:
        header = msgspec.json.decode(data, type=_Header)
        bytes.fromhex(header.salt)
    except (msgspec.DecodeError, ValueError) as error:
        raise ExportCorrupt(problem="its header is damaged") from error
    if header.format != FORMAT or header.kdf != "scrypt":
        raise ExportCorrupt(problem=f"its format {header.format} is of a later version")
    return header


def _not_ours() -> ExportCorrupt:
    return ExportCorrupt(problem="it is not a file that Roost exported")
