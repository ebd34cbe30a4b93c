"""An image as pages: what each page's id is, and where the pages of a backup are stored.

A page's id is a keyed hash of its bytes, so that equal pages are stored once and storage learns
nothing: without the session's data key nobody can tell whether a page is one he knows.
"""

import hashlib
import hmac
import mmap
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from .sealing import KEY_BYTES, DataKey, derive

PAGE_BYTES = 4096
ID_BYTES = 16
READ_BYTES = 256 * PAGE_BYTES


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page is: which pack, and the how-manieth page in it."""

    pack_id: str
    slot: int


class ImageInvalid(Exception):
    """The image is not a whole number of pages."""


def page_id(key: bytes, page: bytes | memoryview) -> bytes:
    """HMAC-SHA256, cut to 16 bytes."""
    return hmac.digest(key, page, "sha256")[:ID_BYTES]


def id_key(key: DataKey) -> bytes:
    """What page ids of this term are made with."""
    return derive(key.secret, b"", b"roost vault v2 page ids", KEY_BYTES)


def survey(image: Path, key: DataKey) -> tuple[list[bytes], str]:
    """Every page's id in order, and the SHA-256 (hex) of the whole. Blocks, about 2 ms per MB.

    Raises:
        ImageInvalid: it is empty or ends within a page.
    """
    secret, whole = id_key(key), hashlib.sha256()
    ids = []
    with _mapped(image) as data:
        for start in range(0, len(data), READ_BYTES):
            part = data[start : start + READ_BYTES]
            whole.update(part)
            ids += [page_id(secret, page) for page in _cut(part)]
    return ids, whole.hexdigest()


def read_pages(image: Path, numbers: Iterable[int]) -> Iterator[bytes]:
    """The pages of an image by number from 0; raises ImageInvalid."""
    with _mapped(image) as data:
        for number in numbers:
            start = number * PAGE_BYTES
            yield data[start : start + PAGE_BYTES]


@contextmanager
def _mapped(image: Path) -> Iterator[mmap.mmap]:
    with image.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if not size or size % PAGE_BYTES:
            raise ImageInvalid
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data


def _cut(data: bytes) -> Iterator[memoryview]:
    view = memoryview(data)
    for start in range(0, len(data), PAGE_BYTES):
        yield view[start : start + PAGE_BYTES]


def encode_map(places: Sequence[Place], packs: Sequence[str]) -> list[int]:
    """Where each page is, as runs of three numbers: length, position in `packs`, first slot."""
    position = {pack_id: number for number, pack_id in enumerate(packs)}
    starts = [
        0,
        *(
            number
            for number, (left, right) in enumerate(pairwise(places), start=1)
            if right.pack_id != left.pack_id or right.slot != left.slot + 1
        ),
        len(places),
    ]
    return [
        value
        for start, end in pairwise(starts)
        for value in (end - start, position[places[start].pack_id], places[start].slot)
    ]


class MapInvalid(Exception):
    """The numbers are no map of that many pages in these packs."""


def decode_map(runs: Sequence[int], packs: Sequence[str], count: int) -> list[Place]:
    """Undoes `encode_map`; raises MapInvalid unless it is a map of `count` pages."""
    if len(runs) % 3 or sum(runs[::3]) != count or any(number < 0 for number in runs):
        raise MapInvalid
    if any(number >= len(packs) for number in runs[1::3]):
        raise MapInvalid
    return [
        Place(packs[pack], slot)
        for length, pack, first in zip(runs[::3], runs[1::3], runs[2::3], strict=True)
        for slot in range(first, first + length)
    ]
