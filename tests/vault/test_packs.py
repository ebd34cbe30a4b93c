"""Packs: what goes in comes out, and nothing else does."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.vault.packs import (
    FRAME_PAGES,
    TRAILER,
    PackBuilder,
    PackReader,
    index_bytes,
    pack_term,
    read_index,
)
from server.vault.pages import PAGE_BYTES
from server.vault.sealing import HEADER_BYTES, DataKey, SealBroken

KEY = DataKey("ann", "0123456789abcdef", b"k" * 32)
CONTEXT = b"roost vault v2\0repository\0packs/ann/p"
IDS = [bytes([number]) * 16 for number in range(FRAME_PAGES + 3)]
PAGES = [os.urandom(PAGE_BYTES // 2) + bytes(PAGE_BYTES // 2) for _ in IDS]


def build(key=KEY, context=CONTEXT):
    builder = PackBuilder(key, context)
    for start in range(0, len(IDS), FRAME_PAGES):
        end = start + FRAME_PAGES
        builder.add(PAGES[start:end], IDS[start:end])
    return builder.finish()


PACK = build()


def test_round_trip():
    """Pages and ids in order; the index alone can be read from the two ends."""
    reader = PackReader(PACK, KEY, CONTEXT)
    assert b"".join(reader.frames()) == b"".join(PAGES)
    assert list(reader.index.ids) == IDS
    tail = PACK[-index_bytes(PACK[-TRAILER.size :]) :]
    assert read_index(PACK[:HEADER_BYTES], tail, KEY, CONTEXT) == reader.index
    assert pack_term(PACK) == KEY.term


def test_equal_pages_look_different_every_time():
    """Each pack has a salt of its own."""
    again = build()
    assert len(again) == len(PACK)
    assert not {PACK[at : at + 16] for at in range(HEADER_BYTES, 4096, 16)} & {
        again[at : at + 16] for at in range(HEADER_BYTES, 4096, 16)
    }


def read(data, key=KEY, context=CONTEXT):
    return [*PackReader(data, key, context).frames()]


@given(st.integers(0, len(PACK) * 8 - 1))
@settings(max_examples=300)
def test_any_flipped_bit_is_found(bit):
    """Wherever it is: header, frame, index or trailer."""
    damaged = bytearray(PACK)
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SealBroken):
        read(bytes(damaged))


@given(st.integers(0, len(PACK) - 1))
def test_any_cut_is_found(length):
    """So is a pack that is too long."""
    with pytest.raises(SealBroken):
        read(PACK[:length])
    with pytest.raises(SealBroken):
        read(PACK + PACK[:length] if length else PACK + b"\0")


@pytest.mark.parametrize(
    ("key", "context"),
    [
        (DataKey("ann", KEY.term, b"x" * 32), CONTEXT),
        (DataKey("ann", "fedcba9876543210", KEY.secret), CONTEXT),
        (KEY, CONTEXT + b"q"),
    ],
    ids=["another key", "another term", "another name"],
)
def test_a_pack_opens_in_its_own_place_only(key, context):
    """With its session's key, under its name, in its repository."""
    with pytest.raises(SealBroken):
        read(PACK, key, context)


def test_frames_cannot_change_places():
    """Nor can a frame be left out."""
    reader = PackReader(PACK, KEY, CONTEXT)
    first, second = reader.index.lengths
    start, middle = HEADER_BYTES, HEADER_BYTES + first
    end = middle + second
    swapped = PACK[:start] + PACK[middle:end] + PACK[start:middle] + PACK[end:]
    shorter = PACK[:start] + PACK[middle:]
    for changed in (swapped, shorter):
        with pytest.raises(SealBroken):
            read(changed)
