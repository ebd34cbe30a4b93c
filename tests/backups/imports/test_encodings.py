"""Bytes in every encoding that Baileys writes."""

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.backups.imports.encodings import (
    Torn,
    Unusable,
    as_bytes,
    as_int,
    as_object,
    as_private,
    as_public,
    as_sized,
    parse,
)
from tests.support.baileys import ENCODINGS, as_buffer, as_indexes, djb
from tests.support.stores import public

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(data=st.binary(min_size=1, max_size=80), encode=st.sampled_from(ENCODINGS))
def test_every_encoding_is_read(data, encode):
    """What goes in comes out, by whichever way."""
    assert as_bytes(encode(data)) == data


@given(data=st.binary(max_size=40))
def test_base64_may_be_of_either_alphabet_and_without_its_end(data):
    """As Node.js reads it."""
    assert as_bytes(base64.urlsafe_b64encode(data).decode().rstrip("=")) == data
    assert as_bytes(as_buffer(data)) == data


def test_a_buffer_in_a_buffer():
    """A database that stores JSON may wrap it once more."""
    assert as_bytes({"type": "Buffer", "data": as_indexes(b"abc")}) == b"abc"


@given(value=JSON)
def test_anything_else_is_refused_and_never_guessed(value):
    """Bytes or Unusable; nothing else."""
    with contextlib.suppress(Unusable):
        assert isinstance(as_bytes(value), bytes)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        7,
        "no base64!",
        {},
        {"type": "Buffer"},
        {"0": 1, "2": 3},
        {"0": 256},
        {"0": -1},
        [1, "2.5"],
        {"type": "Buffer", "data": {"type": "Buffer", "data": {"type": "Buffer", "data": "AA"}}},
    ],
)
def test_what_are_no_bytes(value):
    """Each is refused."""
    with pytest.raises(Unusable):
        as_bytes(value)


@given(key=st.binary(min_size=32, max_size=32), encode=st.sampled_from(ENCODINGS))
def test_public_keys_with_and_without_their_type(key, encode):
    """32 bytes either way."""
    assert as_public(encode(key)) == key
    assert as_public(encode(b"\x05" + key)) == key


def test_halves_of_a_key_must_belong_together():
    """A private key with another's public half is no key."""
    key = b"k" * 32
    assert as_private(as_buffer(key), as_buffer(public(key))) == key
    assert as_private(as_buffer(key), as_buffer(djb(key))) == key
    with pytest.raises(Unusable):
        as_private(as_buffer(key), as_buffer(public(b"o" * 32)))
    with pytest.raises(Unusable):
        as_public(as_buffer(b"\x04" + key))


def test_numbers():
    """Also as strings, in bounds only."""
    assert as_int("1790000000123", 2**63) == 1790000000123
    assert as_int(3.0, 10) == 3
    assert as_int(-1, 10, least=-1) == -1
    for value in ("", "x", None, True, 3.5, 10, -1, "-1"):
        with pytest.raises(Unusable):
            as_int(value, 10)


def test_sizes_objects_and_files():
    """The other small readers."""
    with pytest.raises(Unusable):
        as_sized(as_buffer(b"abc"), 4)
    assert as_object(as_buffer(b'{"a": 1}')) == {"a": 1}
    for value in (as_buffer(b"{"), as_buffer(b"[]"), 3, None):
        with pytest.raises(Unusable):
            as_object(value)
    assert parse(b"\xef\xbb\xbf{}") == {}
    for data in (b"", b"{", b"{}{}", b"\xff", b"[" * 100_000):
        with pytest.raises(Torn):
            parse(data)
