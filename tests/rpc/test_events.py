"""EventService over gRPC: snapshot, deltas, resume, and every way in which a stream ends."""

import asyncio
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo
from roost.v1 import event_pb2, session_pb2
from roost.v1 import event_service_pb2 as pb
from roost.v1 import session_service_pb2 as sessions_pb

from server.engine.base import MessageReceived, RawEvent, ReceiptReceived, ReceiptType
from tests.rpc import toy
from tests.rpc.conftest import failure, fields_of

Reason = pb.SubscribeEventsResponse.Bookmark.Reason
FORGETFUL = {"max_bytes": 1, "check_interval": timedelta(milliseconds=100)}
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def message(number, text="hi"):
    return MessageReceived(
        spool=0,
        chat="15550002222@s.whatsapp.net",
        message_id=f"M{number}",
        sender="15550002222@s.whatsapp.net",
        sender_lid="90000000000002@lid",
        from_me=False,
        group=False,
        push_name="Bob",
        send_time=NOW,
        text=text,
        raw=b"\x0a\x02hi",
    )


def subscribe(api, **fields):
    return api.events.SubscribeEvents(pb.SubscribeEventsRequest(**fields))


async def bookmark(stream, reason):
    """Reads to the next bookmark of a kind; gives it and what came before."""
    before = []
    async with asyncio.timeout(30):
        while True:
            response = await stream.read()
            if response.HasField("bookmark") and response.bookmark.reason == reason:
                return response, before
            before.append(response)


async def to_the_end(stream):
    """What is left of a stream that ends OK."""
    received = await toy.rest(stream)
    assert await stream.code() is grpc.StatusCode.OK
    return received


async def texts(stream, count):
    """The next `count` messages' ids, and the last cursor."""
    found, cursor = [], ""
    async with asyncio.timeout(30):
        while len(found) < count:
            response = await stream.read()
            cursor = response.cursor
            found += [
                each.message_received.message_id
                for each in response.events
                if each.HasField("message_received")
            ]
    return found, cursor


async def expired(api, cursor):
    """Waits until the log no longer has a cursor's place; gives the status that says so."""
    async with asyncio.timeout(30):
        while True:
            stream = subscribe(api, after_cursor=cursor)
            try:
                await stream.read()
            except grpc.aio.AioRpcError:
                return await failure(stream, "CURSOR_EXPIRED")
            stream.cancel()


async def test_a_snapshot_is_followed_by_what_happens_next(api):
    """All sessions, the barrier, then each change with the whole resource."""
    await api.create("a")
    await api.create("b")
    stream = subscribe(api, from_snapshot={})
    complete, before = await bookmark(stream, Reason.REASON_SNAPSHOT_COMPLETE)
    assert [each.snapshot.name for each in before] == ["sessions/a", "sessions/b"]
    assert before[0].snapshot == await api.get("a")
    assert complete.cursor
    made = await api.create("c", display_name="third")
    response = await stream.read()
    (event,) = response.events
    assert event.session == "sessions/c"
    assert event.sequence == 1
    assert event.receive_time.seconds > 0
    assert event.session_changed.session == made
    stream.cancel()


async def test_every_kind_of_event_arrives_typed(api):
    """Engine events only when asked for."""
    host = await api.pair()
    every = [1, 2, 3, 4, 5]
    stream = subscribe(api, from_now={}, kinds=every)
    usual = subscribe(api, from_now={}, heartbeat_interval=Duration(seconds=1))
    await bookmark(usual, Reason.REASON_IDLE)
    host.emit(message(1))
    host.emit(
        ReceiptReceived(
            spool=0,
            chat="15550002222@s.whatsapp.net",
            sender="15550002222@s.whatsapp.net",
            message_ids=("A", "B"),
            type=ReceiptType.READ,
            send_time=NOW,
        )
    )
    host.emit(RawEvent(spool=0, type="Blocklist", payload=b"\x01"))
    host.emit(message(2))
    found = []
    while len(found) < 4:
        found += (await stream.read()).events
    received = found[0].message_received
    assert (received.message_id, received.text, received.push_name) == ("M1", "hi", "Bob")
    assert received.send_time.ToDatetime(UTC) == NOW
    assert received.raw == b"\x0a\x02hi"
    receipt = found[1].receipt_received
    assert (list(receipt.message_ids), receipt.type) == (
        ["A", "B"],
        event_pb2.ReceiptReceived.TYPE_READ,
    )
    assert (found[2].engine_event.type, found[2].engine_event.payload) == ("Blocklist", b"\x01")
    assert [each.sequence for each in found] == list(
        range(found[0].sequence, found[0].sequence + 4)
    )
    plain = []
    while len(plain) < 3:
        plain += (await usual.read()).events
    assert [each.WhichOneof("payload") for each in plain] == [
        "message_received",
        "receipt_received",
        "message_received",
    ]
    stream.cancel()
    usual.cancel()


async def test_a_stream_tells_only_what_was_asked_for(api):
    """By session and by kind."""
    hosts = {name: await api.pair(name) for name in ("a", "b")}
    stream = subscribe(api, sessions=["sessions/b"], kinds=[2], from_snapshot={})
    _, before = await bookmark(stream, Reason.REASON_SNAPSHOT_COMPLETE)
    assert [each.snapshot.name for each in before] == ["sessions/b"]
    hosts["a"].emit(message(1))
    hosts["b"].emit(message(2))
    await api.sessions.StopSession(sessions_pb.StopSessionRequest(name="sessions/b"))
    assert (await texts(stream, 1))[0] == ["M2"]
    stream.cancel()


async def test_a_reader_that_reconnects_misses_and_repeats_nothing(api):
    """With the cursor of the last response it handled, whatever else happened meanwhile."""
    host = await api.pair()
    stream = subscribe(api, kinds=[2], from_now={}, heartbeat_interval=Duration(seconds=1))
    cursor = (await bookmark(stream, Reason.REASON_IDLE))[0].cursor
    seen = []
    for number in range(60):
        host.emit(message(number))
        if number % 7 == 0:
            found, cursor = await texts(stream, 1)
            seen += found
            while len(seen) <= number:
                found, cursor = await texts(stream, 1)
                seen += found
            stream.cancel()
            stream = subscribe(api, kinds=[2], after_cursor=cursor)
    found, _ = await texts(stream, 60 - len(seen))
    assert seen + found == [f"M{number}" for number in range(60)]
    stream.cancel()


async def test_a_cursor_works_across_a_restart_of_the_server(new_api):
    """The stream ends with a CLOSING bookmark and OK; the next server goes on from it."""
    async with asyncio.TaskGroup() as group, new_api() as first:
        host = await first.pair()
        stream = subscribe(first, kinds=[2], from_now={}, heartbeat_interval={"seconds": 1})
        await bookmark(stream, Reason.REASON_IDLE)
        host.emit(message(1))
        assert (await texts(stream, 1))[0] == ["M1"]
        closing = group.create_task(to_the_end(stream))
    *between, closed = closing.result()
    assert between == []
    assert closed.bookmark.reason == Reason.REASON_CLOSING
    async with new_api() as second:
        again = await second.engine.started("a")
        again.emit(message(2))
        stream = subscribe(second, kinds=[2], after_cursor=closed.cursor)
        assert (await texts(stream, 1))[0] == ["M2"]
        stream.cancel()


async def test_lists_give_a_cursor_to_follow_on_from(api):
    """List, then watch: nothing between is lost."""
    await api.create("a")
    listed = await api.sessions.ListSessions(sessions_pb.ListSessionsRequest())
    await api.create("b")
    stream = subscribe(api, after_cursor=listed.cursor)
    (event,) = (await stream.read()).events
    assert event.session == "sessions/b"
    stream.cancel()


async def test_a_quiet_stream_proves_that_it_lives(api):
    """An IDLE bookmark per interval; its cursor moves past what did not match."""
    await api.create("a")
    stream = subscribe(
        api, sessions=["sessions/zzz"], from_now={}, heartbeat_interval=Duration(nanos=1_000_000)
    )
    first, _ = await bookmark(stream, Reason.REASON_IDLE)
    await api.create("b")
    second, between = await bookmark(stream, Reason.REASON_IDLE)
    assert between == []
    assert second.cursor != first.cursor
    stream.cancel()


async def test_many_events_travel_together(api):
    """A reader that is behind gets batches, not one response per event."""
    host = await api.pair()
    start = await api.sessions.ListSessions(sessions_pb.ListSessionsRequest())
    for number in range(500):
        host.emit(message(number))
    await host.wait_acknowledged(host.spool)
    stream = subscribe(api, kinds=[2], after_cursor=start.cursor)
    responses, count = 0, 0
    while count < 500:
        response = await stream.read()
        assert len(response.events) <= 100
        responses += 1
        count += len(response.events)
    assert responses <= 10
    stream.cancel()


@pytest.mark.parametrize(
    ("fields", "bad"),
    [
        ({}, ["start"]),
        ({"after_cursor": ""}, ["after_cursor"]),
        ({"after_cursor": "x"}, ["after_cursor"]),
        ({"after_cursor": "é" * 1000}, ["after_cursor"]),
        ({"from_now": {}, "sessions": ["sessions/a", "x"]}, ["sessions[1]"]),
        ({"from_now": {}, "sessions": ["sessions/a"] * 1001}, ["sessions"]),
        ({"from_now": {}, "kinds": [0, 1, 77]}, ["kinds[0]", "kinds[2]"]),
        ({"from_now": {}, "heartbeat_interval": {"seconds": -1}}, ["heartbeat_interval"]),
        ({"kinds": [0], "sessions": ["x"]}, ["sessions[0]", "kinds[0]", "start"]),
    ],
)
async def test_a_bad_subscription_names_every_bad_field(api, fields, bad):
    """Through a stream, with details."""
    assert fields_of(await failure(subscribe(api, **fields), "FIELD_INVALID")) == bad


async def test_an_old_cursor_is_told_to_start_over(new_api):
    """CURSOR_EXPIRED names the oldest that works."""
    async with new_api(events=FORGETFUL) as api:
        host = await api.pair()
        start = await api.sessions.ListSessions(sessions_pb.ListSessionsRequest())
        host.emit(message(1))
        status = await expired(api, start.cursor)
        oldest = toy.unpacked(status, ErrorInfo)[0].metadata["oldestCursor"]
        again = subscribe(api, after_cursor=oldest, heartbeat_interval={"seconds": 1})
        await bookmark(again, Reason.REASON_IDLE)
        again.cancel()


async def test_a_reader_that_retention_has_passed_is_told_where_it_was(new_api):
    """SUBSCRIBER_TOO_SLOW; another reader is not disturbed."""
    small = {**FORGETFUL, "max_bytes": 2_000_000}
    async with new_api(events=small) as api:
        host = await api.pair()
        slow = subscribe(api, kinds=[2], from_now={}, heartbeat_interval={"seconds": 60})
        quick = subscribe(api, kinds=[2], from_now={}, heartbeat_interval={"seconds": 1})
        await bookmark(quick, Reason.REASON_IDLE)
        middle = ""
        for number in range(400):
            host.emit(message(number, text="x" * 20_000))
            _, cursor = await texts(quick, 1)
            middle = cursor if number == 250 else middle
        await expired(api, middle)
        status = await failure(slow, "SUBSCRIBER_TOO_SLOW")
        assert toy.unpacked(status, ErrorInfo)[0].metadata["lastCursor"]
        host.emit(message(400))
        assert (await texts(quick, 1))[0] == ["M400"]
        quick.cancel()


async def test_an_unknown_session_in_the_filter_is_no_error(api):
    """It may be created later."""
    stream = subscribe(
        api, sessions=["sessions/later"], from_now={}, heartbeat_interval=Duration(seconds=1)
    )
    await bookmark(stream, Reason.REASON_IDLE)
    await api.create("later")
    response = await stream.read()
    assert response.events[0].session_changed.session.state == session_pb2.Session.STATE_STOPPED
    stream.cancel()
