"""Frames survive any cutting of the stream."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from roost.engine.v1 import frames_pb2

from server.engine.frames import FrameCorrupt, FrameReader, pack


@given(ids=st.lists(st.integers(0, 2**60), max_size=8), sizes=st.lists(st.integers(1, 9)))
def test_any_cutting_gives_the_same_frames(ids: list[int], sizes: list[int]) -> None:
    stream = b"".join(pack(frames_pb2.Ping(id=number)) for number in ids)
    reader, bodies = FrameReader(), []
    for size in [*sizes, len(stream)]:
        bodies += reader.feed(stream[:size])
        stream = stream[size:]
    assert [frames_pb2.Ping.FromString(body).id for body in bodies] == ids


def test_a_length_beyond_reason_is_refused() -> None:
    with pytest.raises(FrameCorrupt):
        list(FrameReader().feed(b"\xff\xff\xff\xff"))
