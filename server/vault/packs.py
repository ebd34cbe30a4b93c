r"""Packs: the new pages of a backup in a few objects.

    pack  = "ROOSTp2\0" | term (16) | salt (32) | frame ... | index | trailer
    frame = AES-256-GCM of zstd of up to 64 pages; nonce: its number from 0
    index = AES-256-GCM of zstd of: number of frames, their sealed lengths, the ids of all pages;
            nonce: 2^32 - 1
    trailer = length of the sealed index, 4 bytes, big endian

Key by HKDF-SHA256 of the data key with the salt; the header and the pack's name in its repository
are authenticated with every frame. So a frame opens only in its own place.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .pages import ID_BYTES, PAGE_BYTES
from .sealing import (
    HEADER_BYTES,
    KEY_BYTES,
    NONCE_BYTES,
    SALT_BYTES,
    TAG_BYTES,
    DataKey,
    SealBroken,
    derive,
    fresh_header,
    header_term,
)

MAGIC = b"ROOSTp2\0"
FRAME_PAGES = 64
PACK_BYTES = 8 << 20  # a pack is closed when its frames reach this
LEVEL = 1  # 3 takes twice as long for nothing: most of a store are keys
INDEX_NUMBER = 2**32 - 1
TRAILER = struct.Struct(">I")


class PackBuilder:
    """Collects frames. `add` until `is_full`, then `finish`."""

    def __init__(self, key: DataKey, context: bytes) -> None:
        self._header = fresh_header(MAGIC, key)
        self._cipher = _cipher(key, self._header)
        self._aad = self._header + context
        self._compressor = zstandard.ZstdCompressor(level=LEVEL)
        self._frames: list[bytes] = []
        self._ids: list[bytes] = []
        self._size = len(self._header)

    @property
    def is_full(self) -> bool:
        """Whether it is time for the next pack."""
        return self._size >= PACK_BYTES

    def add(self, pages: Sequence[bytes], ids: Sequence[bytes]) -> None:
        """Appends up to FRAME_PAGES pages with their ids. Blocks."""
        packed = self._compressor.compress(b"".join(pages))
        number = len(self._frames)
        self._frames.append(self._cipher.encrypt(_nonce(number), packed, self._aad))
        self._ids.extend(ids)
        self._size += len(self._frames[-1])

    def finish(self) -> bytes:
        """The pack."""
        lengths = [len(frame) for frame in self._frames]
        table = struct.pack(f">I{len(lengths)}I", len(lengths), *lengths)
        index = self._cipher.encrypt(
            _nonce(INDEX_NUMBER), self._compressor.compress(table + b"".join(self._ids)), self._aad
        )
        return b"".join([self._header, *self._frames, index, TRAILER.pack(len(index))])


@dataclass(frozen=True, slots=True)
class Index:
    """What is in a pack: sealed length of each frame, and the id of each page."""

    lengths: tuple[int, ...]
    ids: tuple[bytes, ...]


class PackReader:
    """Opens one pack. Raises SealBroken for whatever is not as it was made. Blocks."""

    def __init__(self, data: bytes, key: DataKey, context: bytes) -> None:
        self._data = memoryview(data)
        self._header = _checked_header(data[:HEADER_BYTES], key)
        self._cipher = _cipher(key, self._header)
        self._aad = self._header + context
        self.index = _open_index(
            self._cipher, data[-index_bytes(data[-TRAILER.size :]) :], self._aad
        )
        if HEADER_BYTES + sum(self.index.lengths) + index_bytes(data[-TRAILER.size :]) != len(data):
            raise SealBroken

    def frames(self) -> Iterator[bytes]:
        """The pages, a frame at a time."""
        start, left = HEADER_BYTES, len(self.index.ids)
        for number, length in enumerate(self.index.lengths):
            sealed = self._data[start : start + length]
            size = min(left, FRAME_PAGES) * PAGE_BYTES
            yield _unpack(self._cipher, number, sealed, self._aad, size)
            start, left = start + length, left - FRAME_PAGES


def index_bytes(trailer: bytes) -> int:
    """Length of the index with its trailer, from the last four bytes of a pack."""
    if len(trailer) != TRAILER.size:
        raise SealBroken
    (length,) = TRAILER.unpack(trailer)
    return int(length) + TRAILER.size


def read_index(header: bytes, tail: bytes, key: DataKey, context: bytes) -> Index:
    """The index from the first HEADER_BYTES and the last `index_bytes` of a pack."""
    header = _checked_header(header, key)
    return _open_index(_cipher(key, header), tail, header + context)


def pack_term(header: bytes) -> str:
    """Which term's key opens a pack; raises SealBroken."""
    if len(header) < HEADER_BYTES or not header.startswith(MAGIC):
        raise SealBroken
    return header_term(header)


def _checked_header(header: bytes, key: DataKey) -> bytes:
    if pack_term(header) != key.term:
        raise SealBroken
    return header


def _open_index(cipher: AESGCM, tail: bytes, aad: bytes) -> Index:
    sealed = tail[: -TRAILER.size]
    if len(tail) < TAG_BYTES + TRAILER.size or index_bytes(tail[-TRAILER.size :]) != len(tail):
        raise SealBroken
    table = _unpack(cipher, INDEX_NUMBER, sealed, aad, None)
    (count,) = struct.unpack_from(">I", table)
    lengths = struct.unpack_from(f">{count}I", table, 4)
    ids = table[4 + 4 * count :]
    pages = len(ids) // ID_BYTES
    if len(ids) % ID_BYTES or not 0 < pages <= count * FRAME_PAGES:
        raise SealBroken
    return Index(lengths, tuple(ids[at : at + ID_BYTES] for at in range(0, len(ids), ID_BYTES)))


def _unpack(
    cipher: AESGCM, number: int, sealed: bytes | memoryview, aad: bytes, size: int | None
) -> bytes:
    try:
        packed = cipher.decrypt(_nonce(number), sealed, aad)
    except InvalidTag as error:
        raise SealBroken from error
    data = zstandard.ZstdDecompressor().decompress(packed)  # what we sealed: its size is in it
    if size is not None and len(data) != size:
        raise SealBroken
    return data


def _cipher(key: DataKey, header: bytes) -> AESGCM:
    return AESGCM(derive(key.secret, header[-SALT_BYTES:], b"roost vault v2 pack", KEY_BYTES))


def _nonce(number: int) -> bytes:
    return number.to_bytes(NONCE_BYTES, "big")
