"""The log's newest events in memory."""

from server.core.names import SessionName
from server.events.stored import EventFilter, EventKind, PageBuilder, StoredEvent
from server.events.tail import Tail, TailLimits
from tests.support.builders import make_message, make_raw
from tests.support.clock import START

ALL = EventFilter()


def event(position, session="a", body=None, size=10):
    return StoredEvent(
        position=position,
        session=SessionName(session),
        sequence=position,
        receive_time=START,
        body=body or make_message(position),
        size_bytes=size,
    )


def page(tail, after, wanted=ALL, limit=100, limit_bytes=1000):
    found = tail.page(after, wanted, PageBuilder(limit, limit_bytes))
    return found and ([one.position for one in found.events], found.position)


def test_a_page_holds_what_follows():
    """In order, up to the limit; the position says how far it looked."""
    tail = Tail(10, TailLimits())
    assert page(tail, 10) == ([], 10)
    tail.extend(event(position) for position in range(11, 16))
    assert page(tail, 10) == ([11, 12, 13, 14, 15], 15)
    assert page(tail, 13, limit=1) == ([14], 14)
    assert page(tail, 15) == ([], 15)


def test_what_is_no_longer_here_must_be_read_elsewhere():
    """A position before the tail gives no page rather than one with a hole."""
    tail = Tail(0, TailLimits(events=3))
    for position in range(1, 101):
        tail.extend([event(position)])
        assert tail.start == max(0, position - 3)
        assert page(tail, tail.start - 1) is None
        assert page(tail, tail.start) == (list(range(tail.start + 1, position + 1)), position)


def test_the_tail_is_bounded_in_bytes():
    """Large events push small ones out, and one larger than all leaves nothing behind."""
    tail = Tail(0, TailLimits(size_bytes=100))
    tail.extend(event(position) for position in range(1, 11))
    assert page(tail, 0) == (list(range(1, 11)), 10)
    tail.extend([event(11, size=95)])
    assert tail.start == 10
    tail.extend([event(12, size=101)])
    assert (tail.start, page(tail, 12)) == (12, ([], 12))


def test_a_page_is_bounded_in_bytes_beyond_its_first_event():
    """A response has a size limit, and the first event must pass whatever its size."""
    tail = Tail(0, TailLimits())
    tail.extend([event(1, size=5000), event(2, size=600), event(3, size=300), event(4, size=200)])
    assert page(tail, 0) == ([1], 1)
    assert page(tail, 1) == ([2, 3], 3)
    assert page(tail, 3) == ([4], 4)


def test_a_filter_skips_but_moves_on():
    """The position of a page covers what did not match."""
    tail = Tail(0, TailLimits())
    tail.extend([event(1), event(2, "b"), event(3, body=make_raw()), event(4, "b"), event(5)])
    only_b = EventFilter(sessions=frozenset({SessionName("b")}))
    assert page(tail, 0, only_b) == ([2, 4], 5)
    assert page(tail, 0, only_b, limit=1) == ([2], 3)
    assert page(tail, 0, EventFilter(kinds=frozenset({EventKind.ENGINE}))) == ([3], 5)
    assert page(tail, 0, EventFilter(sessions=frozenset({SessionName("x")}))) == ([], 5)
