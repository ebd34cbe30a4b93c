"""A subscription comes back by itself, behind what was handled."""

from contextlib import aclosing
from datetime import timedelta

import grpc
import pytest
from roost.v1.event_pb2 import Event
from roost.v1.event_service_pb2 import SubscribeEventsResponse
from roost.v1.session_pb2 import Session
from roost_client import FileCursor, RoostError

from tests.support.scripted import rich

METHOD = "EventService.SubscribeEvents"
Reason = SubscribeEventsResponse.Bookmark.Reason
EXPIRED = rich(grpc.StatusCode.OUT_OF_RANGE, "CURSOR_EXPIRED")


def events(cursor, *sequences):
    return SubscribeEventsResponse(
        cursor=cursor, events=[Event(session="sessions/a", sequence=n) for n in sequences]
    )


def snapshot(cursor, session="a", state=Session.STATE_ACTIVE):
    return SubscribeEventsResponse(
        cursor=cursor, snapshot=Session(name=f"sessions/{session}", state=state)
    )


def bookmark(cursor, reason):
    return SubscribeEventsResponse(
        cursor=cursor, bookmark=SubscribeEventsResponse.Bookmark(reason=reason)
    )


def changed(cursor, state, **condition):
    update = SubscribeEventsResponse(cursor=cursor)
    session = update.events.add(session="sessions/a").session_changed.session
    session.name, session.state = "sessions/a", state
    if condition:
        session.condition.reason = condition["reason"]
    return update


async def take(stream, count):
    found = []
    async with aclosing(stream):
        async for update in stream:
            found.append(update)
            if len(found) == count:
                break
    return found


@pytest.mark.parametrize(
    "end",
    [
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.UNKNOWN,
        rich(grpc.StatusCode.RESOURCE_EXHAUSTED, "SUBSCRIBER_TOO_SLOW"),
        rich(grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING"),
        bookmark("c2", Reason.REASON_CLOSING),
    ],
    ids=["unavailable", "unknown", "too slow", "draining", "closing"],
)
async def test_it_resumes_after_any_interruption(end, script, roost):
    """The new stream begins after the last handled cursor; the caller sees no seam."""
    script.answer(METHOD, events("c1", 1), events("c2", 2), end)
    script.answer(METHOD, events("c3", 3))
    script.hang.add(METHOD)
    extra = 1 if isinstance(end, SubscribeEventsResponse) else 0
    found = await take(roost.events.subscribe(start="now"), 3 + extra)
    assert [e.sequence for update in found for e in update.events] == [1, 2, 3]
    first, second = script.requests(METHOD)
    assert first.WhichOneof("start") == "from_now"
    assert second.after_cursor == "c2"


async def test_a_broken_snapshot_begins_again(script, roost):
    """Its cursor is no place to resume from: sessions after the break would never be sent."""
    script.answer(METHOD, snapshot("c9", "a"), grpc.StatusCode.UNAVAILABLE)
    complete = bookmark("c9", Reason.REASON_SNAPSHOT_COMPLETE)
    script.answer(METHOD, snapshot("c9", "a"), snapshot("c9", "b"), complete)
    script.answer(METHOD, events("c10", 1))
    await take(roost.events.subscribe(), 5)
    starts = [request.WhichOneof("start") for request in script.requests(METHOD)]
    assert starts == ["from_snapshot", "from_snapshot", "after_cursor"]


async def test_missed_events_are_not_passed_over_in_silence(script, roost):
    """CURSOR_EXPIRED is raised unless the caller chose to begin anew."""
    script.answer(METHOD, EXPIRED)
    with pytest.raises(RoostError) as error:
        await take(roost.events.subscribe(cursor="old"), 1)
    assert error.value.reason == "CURSOR_EXPIRED"


@pytest.mark.parametrize("policy", ["snapshot", "now"])
async def test_beginning_anew_is_a_choice(policy, script, roost):
    """`when_expired` says where."""
    script.answer(METHOD, EXPIRED)
    script.answer(METHOD, events("c1", 1))
    script.hang.add(METHOD)
    await take(roost.events.subscribe(cursor="old", when_expired=policy), 1)
    first, second = script.requests(METHOD)
    assert first.after_cursor == "old"
    assert second.WhichOneof("start") == f"from_{policy}"


@pytest.mark.parametrize(
    "end",
    [
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.UNIMPLEMENTED,
        rich(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"),
        rich(grpc.StatusCode.INTERNAL, "INTERNAL"),
    ],
    ids=["key", "old server", "request", "bug"],
)
async def test_what_will_not_get_better_is_raised(end, script, roost):
    """No endless loop on a wrong key or on a bug of the server."""
    script.answer(METHOD, end)
    with pytest.raises(RoostError):
        await take(roost.events.subscribe(), 1)
    assert len(script.calls) == 1


async def test_silence_is_a_broken_connection(script, roost):
    """Three heartbeats without a word: a new stream."""
    script.answer(METHOD, events("c1", 1))
    script.answer(METHOD, events("c2", 2))
    script.hang.add(METHOD)
    found = await take(roost.events.subscribe(heartbeat=timedelta(seconds=0.1)), 2)
    assert [update.cursor for update in found] == ["c1", "c2"]


async def test_patience_can_end(script, roost):
    """With `patience` an unreachable server is raised in the end."""
    script.answer(METHOD, grpc.StatusCode.UNAVAILABLE)
    with pytest.raises(RoostError) as error:
        await take(roost.events.subscribe(patience=timedelta(seconds=0.3)), 1)
    assert error.value.reason == "UNAVAILABLE"
    assert len(script.calls) > 1


async def test_a_cursor_file_keeps_the_place(script, roost, tmp_path):
    """The file holds the cursor of what was handled, and the next run begins there."""
    script.answer(METHOD, events("c1", 1), events("c2", 2), events("c3", 3))
    script.hang.add(METHOD)
    place = FileCursor(tmp_path / "place")
    await take(roost.events.subscribe(cursor=place), 3)
    assert place.load() == "c2"  # c3 was given out, but nothing says that it was handled
    await take(roost.events.subscribe(cursor=place), 1)
    first, second = script.requests(METHOD)
    assert first.WhichOneof("start") == "from_snapshot"
    assert second.after_cursor == "c2"
    assert [path.name for path in tmp_path.iterdir()] == ["place"]


async def test_waiting_for_a_state_returns_the_session(script, roost):
    """The snapshot counts, and so do the changes after it."""
    script.answer(
        METHOD,
        snapshot("c1", state=Session.STATE_CONNECTING),
        changed("c2", Session.STATE_ACTIVE),
    )
    session = await roost.sessions.wait_for("a")
    assert session.state == Session.STATE_ACTIVE
    (request,) = script.requests(METHOD)
    assert list(request.sessions) == ["sessions/a"]


async def test_waiting_ends_when_the_session_gave_up(script, roost):
    """With the condition's reason."""
    script.answer(METHOD, changed("c1", Session.STATE_FAILED, reason="STREAM_REPLACED"))
    with pytest.raises(RoostError) as error:
        await roost.sessions.wait_for("a")
    assert error.value.reason == "STREAM_REPLACED"


async def test_waiting_has_a_deadline(script, roost):
    """DEADLINE_EXCEEDED says what was waited for."""
    script.answer(METHOD, snapshot("c1", state=Session.STATE_CONNECTING))
    script.hang.add(METHOD)
    with pytest.raises(RoostError, match=r"STATE_ACTIVE within 0\.2 s"):
        await roost.sessions.wait_for("a", wait=timedelta(seconds=0.2))
