"""The node encoding and the token dictionaries."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.wire.frames import FrameReader, frame
from simulator.wire.jid import Jid
from simulator.wire.nodes import Codec, MalformedNode, Node
from simulator.wire.tokens import TokensNotFound, load_tokens, read_tokens

_CODEC = Codec(load_tokens())
_TEXT = st.text(min_size=1, max_size=20) | st.sampled_from(load_tokens().single[1:])
_JID = st.builds(
    Jid,
    user=st.from_regex(r"[0-9]{5,15}", fullmatch=True),
    server=st.sampled_from(["s.whatsapp.net", "lid"]),
    device=st.integers(0, 99),
)
_NODE = st.recursive(
    st.builds(
        Node,
        tag=_TEXT,
        attrs=st.dictionaries(_TEXT, _TEXT | _JID, max_size=4),
        content=st.none() | st.binary(max_size=400),
    ),
    lambda inner: st.builds(Node, tag=_TEXT, content=st.lists(inner, max_size=4)),
    max_leaves=8,
)


@given(_NODE)
def test_what_is_encoded_is_decoded(node: Node):
    assert _CODEC.decode(_CODEC.encode(node)) == node


@given(st.binary(max_size=200))
def test_any_bytes_are_a_node_or_malformed(data: bytes):
    try:
        _CODEC.decode(data)
    except MalformedNode:
        return


def test_dictionaries_have_their_sizes_and_known_places():
    tokens = load_tokens()
    assert len(tokens.single) == 236
    assert [len(words) for words in tokens.double] == [256] * 4
    assert tokens.single[:3] == ("", "xmlstreamstart", "xmlstreamend")
    assert tokens.double[0][:3] == ("read-self", "active", "fbns")


def test_a_large_list_and_large_bytes():
    node = Node("list", {}, [Node("key", {}, b"x" * 300) for _ in range(812)])
    assert _CODEC.decode(_CODEC.encode(node)) == node
    large = Node("data", {}, b"x" * (1 << 20))
    assert _CODEC.decode(_CODEC.encode(large)) == large


def test_packed_numbers_and_foreign_addresses_are_read():
    nibbles = bytes([0, 248, 2, 252, 1, ord("n"), 255, 0x82, 0x12, 0x3F])
    assert _CODEC.decode(nibbles).data == b"123"
    hexes = bytes([0, 248, 2, 252, 1, ord("n"), 251, 0x01, 0xAB])
    assert _CODEC.decode(hexes).data == b"AB"


def test_a_library_of_another_kind_is_named_as_such(tmp_path: Path):
    path = tmp_path / "neonize.so"
    path.write_bytes(b"MZ" + bytes(100))
    with pytest.raises(TokensNotFound):
        read_tokens(path)


@given(st.lists(st.binary(max_size=50), max_size=6), st.integers(1, 7))
def test_frames_are_found_however_they_are_cut(parts: list[bytes], size: int):
    stream = b"".join(frame(part) for part in parts)
    reader = FrameReader()
    found = [
        whole
        for start in range(0, len(stream), size)
        for whole in reader.feed(stream[start : start + size])
    ]
    assert found == parts
