"""MessageService over gRPC."""

import asyncio
import uuid

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from roost.v1 import message_service_pb2 as pb
from roost.v1 import session_service_pb2 as sessions_pb

from server.core.errors import EngineUnavailable, RecipientNotFound, SendTimedOut
from tests.rpc import toy
from tests.rpc.conftest import failure, fields_of

NAME = "sessions/a"
BOB = "+15550002222"


def request(body="hi", recipient=BOB, request_id=""):
    return pb.SendMessageRequest(
        session=NAME, recipient=recipient, text={"body": body}, request_id=request_id
    )


async def test_a_text_is_sent_and_its_id_given_back(api):
    """To the JID that the number means."""
    host = await api.pair()
    sent = await api.messages.SendMessage(request())
    assert sent.message_id
    assert sent.send_time.seconds > 0
    assert [(each.recipient, each.text) for each in host.texts] == [
        ("15550002222@s.whatsapp.net", "hi")
    ]
    assert len(host.texts[0].secret) == 32


@pytest.mark.parametrize(
    "recipient", ["15550002222@s.whatsapp.net", "90000000000002@lid", "12036304123456@g.us"]
)
async def test_a_recipient_may_be_a_jid(api, recipient):
    """A person by number or LID, or a group."""
    host = await api.pair()
    await api.messages.SendMessage(request(recipient=recipient))
    assert host.texts[0].recipient == recipient


@pytest.mark.parametrize(
    ("bad", "fields"),
    [
        (pb.SendMessageRequest(), ["session", "recipient", "content"]),
        (request(recipient="5550002222"), ["recipient"]),
        (request(recipient="15550002222:3@s.whatsapp.net"), ["recipient"]),
        (request(recipient="x@example.org"), ["recipient"]),
        (request(body=""), ["text.body"]),
        (request(body="x" * 65_537), ["text.body"]),
        (request(body="é" * 32_769), ["text.body"]),
        (request(request_id="not-a-uuid"), ["request_id"]),
        (request(request_id="0f2ac8f0-53a5-1c3b-9f6b-5b6f0c2b1a11"), ["request_id"]),
    ],
)
async def test_bad_fields_are_named_and_nothing_is_sent(api, bad, fields):
    """The values are not repeated."""
    host = await api.pair()
    status = await failure(api.messages.SendMessage(bad), "FIELD_INVALID")
    assert fields_of(status) == fields
    assert not host.texts
    assert "5550002222" not in str(status)


async def test_the_longest_text_goes(api):
    """65536 bytes."""
    host = await api.pair()
    await api.messages.SendMessage(request(body="x" * 65_536))
    assert len(host.texts[0].text) == 65_536


async def test_a_request_beyond_the_transports_limit_is_refused(api):
    """4 MiB; gRPC itself answers."""
    call = api.messages.SendMessage(request(body="x" * (5 << 20)))
    with pytest.raises(grpc.aio.AioRpcError):
        await call
    assert await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_repeated_send_goes_out_once(api):
    """Also when the repeats come at the same time."""
    host = await api.pair()
    asked = request(request_id=str(uuid.uuid4()))
    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(_send(api, asked)) for _ in range(10)]
    assert len({call.result().message_id for call in calls}) == 1
    assert (await api.messages.SendMessage(asked)).message_id == calls[0].result().message_id
    assert len(host.texts) == 1
    other = request(body="other", request_id=asked.request_id)
    await failure(api.messages.SendMessage(other), "REQUEST_ID_REUSED")


async def _send(api, asked):
    return await api.messages.SendMessage(asked)


async def test_a_repeat_finds_its_answer_after_a_restart(new_api):
    """It is stored beside the sessions."""
    asked = request(request_id=str(uuid.uuid4()))
    async with new_api() as first:
        await first.pair()
        sent = await first.messages.SendMessage(asked)
    async with new_api() as second:
        host = await second.engine.started("a")
        assert await second.messages.SendMessage(asked) == sent
        assert not host.texts


async def test_a_client_that_gives_up_does_not_stop_its_send(api):
    """Its repeat gets the answer of the first try."""
    host = await api.pair()
    usual, go = host.on_send, asyncio.Event()

    async def slowly(text):
        await go.wait()
        return await usual(text)

    host.on_send = slowly
    asked = request(request_id=str(uuid.uuid4()))
    impatient = api.messages.SendMessage(asked, timeout=0.5)
    with pytest.raises(grpc.aio.AioRpcError):
        await impatient
    assert await impatient.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    go.set()
    assert (await api.messages.SendMessage(asked)).message_id
    assert len(host.texts) == 1


async def test_a_send_of_unknown_outcome_is_not_sent_again_by_its_repeat(api):
    """Once too few rather than twice; the message's id says what to look for."""
    host = await api.pair()

    async def silence(_text):
        raise SendTimedOut(session=NAME, message_id="3EB0")

    host.on_send = silence
    asked = request(request_id=str(uuid.uuid4()))
    await failure(api.messages.SendMessage(asked), "SEND_TIMED_OUT")
    again = await api.engine.started("a", 2)
    again.texts.extend(host.texts)  # the store that both hosts work on
    await api.in_state("ACTIVE")
    status = await failure(api.messages.SendMessage(asked), "SEND_TIMED_OUT")
    assert toy.unpacked(status, ErrorInfo)[0].metadata["messageId"]
    assert len(again.texts) == 1
    await api.messages.SendMessage(request())
    assert len(again.texts) == 2


@pytest.mark.parametrize(
    "error", [EngineUnavailable(session=NAME), RecipientNotFound(session=NAME)]
)
async def test_the_engines_refusals_reach_the_caller(api, error):
    """With their reasons."""
    host = await api.pair()

    async def refuse(_text):
        raise error

    host.on_send = refuse
    await failure(api.messages.SendMessage(request()), error.reason)


async def test_a_session_that_is_not_there_cannot_send(api):
    """Not known, not paired, not running."""
    await failure(api.messages.SendMessage(request()), "SESSION_NOT_FOUND")
    await api.create()
    await failure(api.messages.SendMessage(request()), "SESSION_NOT_PAIRED")
    await api.pair("b")
    await api.sessions.StopSession(sessions_pb.StopSessionRequest(name="sessions/b"))
    await api.in_state("STOPPED", "b")
    stopped = pb.SendMessageRequest(session="sessions/b", recipient=BOB, text={"body": "x"})
    await failure(api.messages.SendMessage(stopped), "SESSION_WRONG_STATE")
