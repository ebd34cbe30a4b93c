"""SessionService over gRPC."""

import asyncio
import uuid

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from roost.v1 import session_pb2
from roost.v1 import session_service_pb2 as pb

from server.engine.base import EndReason
from server.state import Database
from tests.rpc import toy
from tests.rpc.conftest import ACCOUNT, failure, fields_of

Session = session_pb2.Session
NAME = "sessions/a"


async def test_a_session_is_created_stopped_and_reads_back(api):
    """With its owner's fields; output-only ones are ignored."""
    made = await api.create(display_name="Ann", labels={"team": "x"}, state=Session.STATE_ACTIVE)
    assert (made.name, made.display_name, dict(made.labels)) == (NAME, "Ann", {"team": "x"})
    assert made.state == Session.STATE_STOPPED
    assert made.desired_state == Session.DESIRED_STATE_STOPPED
    assert made.etag
    assert made.create_time.seconds > 0
    assert not made.HasField("condition")
    assert not made.HasField("account")
    assert await api.get() == made


async def test_the_server_picks_an_id_when_none_is_given(api):
    """A different one each time."""
    names = {(await api.create("")).name for _ in range(3)}
    assert len(names) == 3


async def test_an_id_is_taken_once(api):
    """Also by a deleted session."""
    await api.create()
    request = pb.CreateSessionRequest(session_id="a")
    await failure(api.sessions.CreateSession(request), "SESSION_EXISTS")
    await api.sessions.DeleteSession(pb.DeleteSessionRequest(name=NAME))
    await failure(api.sessions.CreateSession(request), "SESSION_EXISTS")


@pytest.mark.parametrize("session_id", ["a", ""])
async def test_a_repeated_create_makes_one_session(api, session_id):
    """Also when the server picks the id."""
    request = pb.CreateSessionRequest(session_id=session_id, request_id=str(uuid.uuid4()))
    first = await api.sessions.CreateSession(request)
    assert await api.sessions.CreateSession(request) == first
    other = pb.CreateSessionRequest(session_id="b", request_id=request.request_id)
    await failure(api.sessions.CreateSession(other), "REQUEST_ID_REUSED")
    assert len((await api.sessions.ListSessions(pb.ListSessionsRequest())).sessions) == 1


async def test_all_bad_fields_of_a_create_are_named(api):
    """In one answer."""
    session = Session(display_name="a\nb", labels={"BAD": "x"}, proxy_url="ftp://x")
    request = pb.CreateSessionRequest(session_id="A", session=session, request_id="x")
    status = await failure(api.sessions.CreateSession(request), "FIELD_INVALID")
    assert fields_of(status) == [
        "session_id",
        "request_id",
        "session.display_name",
        "session.labels",
        "session.proxy_url",
    ]


async def test_a_proxys_password_does_not_read_back(api):
    """And its mask cannot be written by accident."""
    made = await api.create(proxy_url="http://user:planted@proxy:8080")
    assert made.proxy_url == "http://user:***@proxy:8080"
    request = pb.UpdateSessionRequest(session=made, update_mask=FieldMask(paths=["proxy_url"]))
    status = await failure(api.sessions.UpdateSession(request), "FIELD_INVALID")
    assert fields_of(status) == ["session.proxy_url"]


async def test_lists_are_paged_by_name(api):
    """Every session once, and a cursor to follow on from."""
    for session_id in ("c", "a", "b"):
        await api.create(session_id)
    request = pb.ListSessionsRequest(page_size=2)
    first = await api.sessions.ListSessions(request)
    assert [each.name for each in first.sessions] == ["sessions/a", "sessions/b"]
    assert first.cursor
    request.page_token = first.next_page_token
    second = await api.sessions.ListSessions(request)
    assert [each.name for each in second.sessions] == ["sessions/c"]
    assert not second.next_page_token
    request.show_deleted = True
    await failure(api.sessions.ListSessions(request), "PAGE_TOKEN_MISMATCH")
    bad = pb.ListSessionsRequest(states=[0, Session.STATE_ACTIVE, 99])
    status = await failure(api.sessions.ListSessions(bad), "FIELD_INVALID")
    assert fields_of(status) == ["states[0]", "states[2]"]


async def test_lists_are_filtered_by_state(api):
    """Deleted ones show only on request."""
    await api.pair("a")
    await api.create("b")
    await api.create("c")
    await api.sessions.DeleteSession(pb.DeleteSessionRequest(name="sessions/c"))

    async def names(**fields):
        found = await api.sessions.ListSessions(pb.ListSessionsRequest(**fields))
        return [each.name[-1] for each in found.sessions]

    assert await names() == ["a", "b"]
    assert await names(states=[Session.STATE_ACTIVE]) == ["a"]
    assert await names(states=[Session.STATE_DELETED]) == ["c"]
    assert await names(show_deleted=True) == ["a", "b", "c"]


async def test_an_update_changes_what_the_mask_names(api):
    """And nothing else; the etag changes."""
    made = await api.create(display_name="old", labels={"k": "v"})
    changed = Session(name=NAME, display_name="new", labels={"x": "y"}, etag=made.etag)
    request = pb.UpdateSessionRequest(
        session=changed, update_mask=FieldMask(paths=["display_name"])
    )
    updated = (await api.sessions.UpdateSession(request)).session
    assert (updated.display_name, dict(updated.labels)) == ("new", {"k": "v"})
    assert updated.etag != made.etag
    assert await api.get() == updated
    await failure(api.sessions.UpdateSession(request), "ETAG_MISMATCH")
    request.update_mask.paths[:] = ["state", "labels"]
    status = await failure(api.sessions.UpdateSession(request), "FIELD_INVALID")
    assert fields_of(status) == ["update_mask.paths"]


async def test_a_session_that_does_not_exist_is_not_found(api):
    """By every method that takes a name."""
    calls = [
        api.sessions.GetSession(pb.GetSessionRequest(name=NAME)),
        api.sessions.StartSession(pb.StartSessionRequest(name=NAME)),
        api.sessions.StopSession(pb.StopSessionRequest(name=NAME)),
        api.sessions.UnlinkSession(pb.UnlinkSessionRequest(name=NAME)),
        api.sessions.DeleteSession(pb.DeleteSessionRequest(name=NAME)),
        api.sessions.UndeleteSession(pb.UndeleteSessionRequest(name=NAME)),
        api.sessions.PairSession(pb.PairSessionRequest(name=NAME, qr={})),
        api.sessions.UpdateSession(
            pb.UpdateSessionRequest(session={"name": NAME}, update_mask={"paths": ["labels"]})
        ),
    ]
    for call in calls:
        await failure(call, "SESSION_NOT_FOUND")


async def test_a_bad_name_names_its_field(api):
    """By every method that takes one."""
    bad = "sessions/../x"
    calls = [
        api.sessions.GetSession(pb.GetSessionRequest(name=bad)),
        api.sessions.StartSession(pb.StartSessionRequest(name=bad)),
        api.sessions.StopSession(pb.StopSessionRequest(name=bad)),
        api.sessions.UnlinkSession(pb.UnlinkSessionRequest(name=bad)),
        api.sessions.DeleteSession(pb.DeleteSessionRequest(name=bad)),
        api.sessions.UndeleteSession(pb.UndeleteSessionRequest(name=bad)),
        api.sessions.PairSession(pb.PairSessionRequest(name=bad, qr={})),
    ]
    for call in calls:
        assert fields_of(await failure(call, "FIELD_INVALID")) == ["name"]


async def test_reading_a_session_touches_no_database(api, monkeypatch):
    """GetSession and ListSessions answer from memory."""
    await api.create()

    async def forbidden(*_args):
        raise AssertionError

    monkeypatch.setattr(Database, "read", forbidden)
    monkeypatch.setattr(Database, "write", forbidden)
    assert (await api.get()).name == NAME
    assert (await api.sessions.ListSessions(pb.ListSessionsRequest())).sessions


async def test_pairing_by_qr(api):
    """Challenges, then completion; the first backup is there when the stream says completed."""
    await api.create()
    steps = api.sessions.PairSession(pb.PairSessionRequest(name=NAME, qr={}))
    challenge = (await steps.read()).qr_code
    assert (challenge.payload, challenge.attempt) == ("2@planted,qr,payload", 1)
    assert challenge.expire_time.seconds > 0
    await api.scan()
    (completed,) = await toy.rest(steps)
    assert completed.completed.account.jid == ACCOUNT.jid
    session = await api.in_state("ACTIVE")
    assert session.account.lid == ACCOUNT.lid
    assert session.desired_state == Session.DESIRED_STATE_RUNNING
    await failure(
        api.sessions.PairSession(pb.PairSessionRequest(name=NAME, qr={})), "SESSION_ALREADY_PAIRED"
    )


async def test_pairing_by_code(api):
    """The engine gets the digits, the caller the code."""
    await api.create()
    request = pb.PairSessionRequest(name=NAME, phone={"phone_number": "+15550001111"})
    steps = api.sessions.PairSession(request)
    assert (await steps.read()).pairing_code.payload == "ABCD-2345"
    host = await api.engine.started("a")
    assert host.pairing_requests == ["15550001111"]
    steps.cancel()


async def test_pairing_needs_a_method_and_a_number(api):
    """Before anything is started."""
    await api.create()
    call = api.sessions.PairSession(pb.PairSessionRequest(name=NAME))
    assert fields_of(await failure(call, "FIELD_INVALID")) == ["method"]
    for number in ("", "5550001111", "+1555", "x"):
        request = pb.PairSessionRequest(name=NAME, phone={"phone_number": number})
        status = await failure(api.sessions.PairSession(request), "FIELD_INVALID")
        assert fields_of(status) == ["phone.phone_number"]
    assert not api.engine.sessions


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (EndReason.PAIRING_EXPIRED, "PAIRING_EXPIRED"),
        (EndReason.PAIRING_REJECTED, "PAIRING_REJECTED"),
        (EndReason.CLIENT_OUTDATED, "CLIENT_OUTDATED"),
    ],
)
async def test_pairing_ends_with_its_reason(api, end, reason):
    """As a status of the stream, not as a step."""
    await api.create()
    steps = api.sessions.PairSession(pb.PairSessionRequest(name=NAME, qr={}))
    await steps.read()
    (await api.engine.started("a")).end(end)
    await failure(steps, reason)


async def test_a_second_watcher_follows_the_same_attempt(api):
    """And one that leaves does not end it."""
    await api.create()
    request = pb.PairSessionRequest(name=NAME, qr={})
    first, second = (api.sessions.PairSession(request) for _ in range(2))
    assert (await first.read()) == (await second.read())
    first.cancel()
    await api.scan()
    assert [step.WhichOneof("step") for step in await toy.rest(second)] == ["completed"]
    assert len(api.engine.sessions) == 1


async def test_starting_and_stopping(api):
    """Both say what is wanted and return; the state follows."""
    await api.pair()
    stopping = pb.StopSessionRequest(name=NAME, grace_period=Duration(seconds=1))
    stopped = (await api.sessions.StopSession(stopping)).session
    assert stopped.desired_state == Session.DESIRED_STATE_STOPPED
    await api.in_state("STOPPED")
    started = (await api.sessions.StartSession(pb.StartSessionRequest(name=NAME))).session
    assert started.desired_state == Session.DESIRED_STATE_RUNNING
    await api.in_state("ACTIVE")
    for seconds in (-1, 61):
        stopping.grace_period.seconds = seconds
        status = await failure(api.sessions.StopSession(stopping), "FIELD_INVALID")
        assert fields_of(status) == ["grace_period"]


async def test_an_unpaired_session_does_not_start(api):
    """It has to be paired first."""
    await api.create()
    call = api.sessions.StartSession(pb.StartSessionRequest(name=NAME))
    await failure(call, "SESSION_NOT_PAIRED")
    unlink = api.sessions.UnlinkSession(pb.UnlinkSessionRequest(name=NAME))
    await failure(unlink, "SESSION_NOT_PAIRED")


async def test_a_condition_says_why_and_what_to_do(api):
    """A device that the phone removed."""
    host = await api.pair()
    host.end(EndReason.LOGGED_OUT, engine_code="401")
    session = await api.in_state("UNLINKED")
    assert session.condition.reason == "LOGGED_OUT"
    assert session.condition.user_action == session_pb2.Condition.USER_ACTION_PAIR_AGAIN
    assert session.condition.engine_code == "401"
    assert session.condition.message


async def test_deleting_and_bringing_back(api):
    """Nothing is gone before its purge time."""
    await api.pair()
    request = pb.DeleteSessionRequest(name=NAME, etag="other")
    await failure(api.sessions.DeleteSession(request), "ETAG_MISMATCH")
    request.etag = (await api.get()).etag
    deleted = (await api.sessions.DeleteSession(request)).session
    assert deleted.state == Session.STATE_DELETED
    assert deleted.purge_time.seconds > deleted.delete_time.seconds > 0
    start = api.sessions.StartSession(pb.StartSessionRequest(name=NAME))
    await failure(start, "SESSION_WRONG_STATE")
    back = (await api.sessions.UndeleteSession(pb.UndeleteSessionRequest(name=NAME))).session
    assert back.state == Session.STATE_STOPPED
    assert back.account.jid == ACCOUNT.jid
    await failure(
        api.sessions.UndeleteSession(pb.UndeleteSessionRequest(name=NAME)), "SESSION_WRONG_STATE"
    )


async def test_unlinking(api):
    """The device is gone on WhatsApp, the session stays."""
    await api.pair()
    session = (await api.sessions.UnlinkSession(pb.UnlinkSessionRequest(name=NAME))).session
    assert session.state == Session.STATE_UNLINKED
    assert session.condition.reason == "UNLINKED_BY_USER"


async def test_sessions_that_should_run_do_so_after_a_restart(new_api):
    """The wish is stored before the call returns."""
    async with new_api() as first:
        await first.pair("a")
        await first.pair("b")
        await first.sessions.StopSession(pb.StopSessionRequest(name="sessions/b"))
        await first.in_state("STOPPED", "b")
    async with new_api() as second:
        await second.in_state("ACTIVE", "a")
        assert (await second.get("b")).state == Session.STATE_STOPPED
        assert [host.spec.session_id for host in second.engine.sessions] == ["a"]


async def test_a_pairing_hears_that_the_server_stops(new_api):
    """Not a broken connection."""
    async with asyncio.timeout(20), asyncio.TaskGroup() as group, new_api() as api:
        await api.create()
        steps = api.sessions.PairSession(pb.PairSessionRequest(name=NAME, qr={}))
        await steps.read()
        group.create_task(failure(steps, "SERVER_DRAINING"))


async def test_a_host_that_ends_is_started_again(api):
    """Backing off shows when the next try is."""
    host = await api.pair()
    host.end(EndReason.CRASHED)
    again = await api.engine.started("a", 2)
    assert not again.spec.fresh
    await api.in_state("ACTIVE")
