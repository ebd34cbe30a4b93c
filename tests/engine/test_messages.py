"""Texts and receipts through the real engine, both ways."""

import asyncio
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from server.core.errors import EngineUnavailable, RecipientNotFound, SendTimedOut
from server.engine import store
from server.engine.base import (
    Connected,
    Disconnected,
    Ended,
    EndReason,
    MessageReceived,
    ReceiptReceived,
    ReceiptType,
)
from simulator import Phone, Simulator

from .conftest import GRACE, Sessions


async def test_a_text_arrives_under_phone_numbers(
    sessions: Sessions, new_phone: Callable[[], Phone]
) -> None:
    ann, bob = new_phone(), new_phone()
    watched = await sessions.paired(ann)
    message_id = await asyncio.to_thread(bob.send_text, ann, "hello, Ann")
    message = await watched.wait(MessageReceived)
    assert message.raw
    assert datetime.now(UTC) - message.send_time < timedelta(minutes=1)
    assert message == MessageReceived(
        spool=message.spool,
        chat=bob.jid,
        message_id=message_id,
        sender=bob.jid,
        sender_lid=bob.lid,
        from_me=False,
        group=False,
        push_name=bob.name,
        send_time=message.send_time,
        text="hello, Ann",
        raw=message.raw,
    )


async def test_what_the_owner_writes_on_the_phone_is_seen(
    sessions: Sessions, new_phone: Callable[[], Phone]
) -> None:
    ann, bob = new_phone(), new_phone()
    watched = await sessions.paired(ann)
    await asyncio.to_thread(ann.send_text, bob, "from the phone")
    message = await watched.wait(MessageReceived)
    assert (message.from_me, message.text) == (True, "from the phone")
    assert (message.chat, message.sender) == (bob.jid, ann.jid)


async def test_a_text_is_sent_and_receipts_come_back(
    sessions: Sessions, new_phone: Callable[[], Phone]
) -> None:
    ann, bob = new_phone(), new_phone()
    watched = await sessions.paired(ann)
    secret = secrets.token_bytes(32)
    sent = await watched.session.send_text(recipient=bob.jid, text="hello, Bob", secret=secret)
    assert abs(sent.send_time.timestamp() - time.time()) < 60
    (message,) = await asyncio.to_thread(bob.inbox, 1)
    assert (message.text, message.id) == ("hello, Bob", sent.message_id)
    assert store.find_sent(watched.spec.store, secret) == sent.message_id
    await asyncio.to_thread(bob.send_receipt, message, "read")
    receipt = await watched.wait(
        ReceiptReceived, where=lambda receipt: receipt.type is ReceiptType.READ
    )
    assert (receipt.chat, receipt.sender) == (bob.jid, bob.jid)
    assert receipt.message_ids == (sent.message_id,)


async def test_two_sessions_write_to_each_other(
    sessions: Sessions, new_phone: Callable[[], Phone]
) -> None:
    ann, bob = new_phone(), new_phone()
    one, two = await sessions.paired(ann, "one"), await sessions.paired(bob, "two")
    for number in range(5):
        await one.session.send_text(
            recipient=bob.jid, text=f"to Bob {number}", secret=secrets.token_bytes(32)
        )
        await two.session.send_text(
            recipient=ann.jid, text=f"to Ann {number}", secret=secrets.token_bytes(32)
        )
    await one.wait(MessageReceived, 5)
    await two.wait(MessageReceived, 5)
    assert one.texts() == [f"to Ann {number}" for number in range(5)]
    assert two.texts() == [f"to Bob {number}" for number in range(5)]


async def test_a_number_without_whatsapp_is_told_apart(
    sessions: Sessions, new_phone: Callable[[], Phone]
) -> None:
    watched = await sessions.paired(new_phone())
    with pytest.raises(RecipientNotFound):
        await watched.session.send_text(
            recipient="19990001111@s.whatsapp.net", text="?", secret=secrets.token_bytes(32)
        )


async def test_an_unanswered_send_times_out_with_the_id_in_the_store(
    sessions: Sessions, simulator: Simulator, new_phone: Callable[[], Phone]
) -> None:
    ann, bob = new_phone(), new_phone()
    watched = await sessions.paired(ann)
    await asyncio.to_thread(simulator.fault, ann, "send_ignored")
    secret = secrets.token_bytes(32)
    with pytest.raises(SendTimedOut):
        await watched.session.send_text(recipient=bob.jid, text="lost?", secret=secret)
    await watched.session.stop(GRACE)
    assert (await watched.ended()).reason is EndReason.STOPPED
    assert store.find_sent(watched.spec.store, secret)


async def test_a_refused_send_was_not_sent(
    sessions: Sessions, simulator: Simulator, new_phone: Callable[[], Phone]
) -> None:
    ann, bob = new_phone(), new_phone()
    watched = await sessions.paired(ann)
    await asyncio.to_thread(simulator.fault, ann, "send_refused")
    with pytest.raises(EngineUnavailable):
        await watched.session.send_text(
            recipient=bob.jid, text="no", secret=secrets.token_bytes(32)
        )
    await watched.session.send_text(recipient=bob.jid, text="yes", secret=secrets.token_bytes(32))
    (message,) = await asyncio.to_thread(bob.inbox, 1)
    assert message.text == "yes"


async def test_sends_that_die_with_the_host_are_settled_by_the_store(
    sessions: Sessions, simulator: Simulator, new_phone: Callable[[], Phone]
) -> None:
    ann, bob = new_phone(), new_phone()
    watched = await sessions.paired(ann)
    await asyncio.to_thread(simulator.fault, ann, "send_ignored")
    outcomes: list[BaseException] = []
    secret = secrets.token_bytes(32)

    async def send(text: str) -> None:
        try:
            await watched.session.send_text(
                recipient=bob.jid, text=text, secret=secret if text == "first" else bytes(32)
            )
        except (SendTimedOut, EngineUnavailable) as error:
            outcomes.append(error)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(send("first"))
        while not store.find_sent(watched.spec.store, secret):
            await asyncio.sleep(0.02)
        tasks.create_task(send("second"))  # waits behind the first, and never leaves
        await asyncio.sleep(0)
        await watched.session.stop(timedelta(0))
    unknown, unsent = sorted(outcomes, key=lambda one: isinstance(one, EngineUnavailable))
    assert isinstance(unknown, SendTimedOut)
    assert unknown.message_id == store.find_sent(watched.spec.store, secret)
    assert isinstance(unsent, EngineUnavailable)


async def test_messages_of_an_offline_time_come_with_the_next_connection(
    sessions: Sessions, new_phone: Callable[[], Phone]
) -> None:
    ann, bob = new_phone(), new_phone()
    watched = await sessions.paired(ann)
    await asyncio.to_thread(bob.send_text, ann, "before")
    await watched.wait(MessageReceived)
    await watched.session.stop(GRACE)
    for number in range(3):
        await asyncio.to_thread(bob.send_text, ann, f"meanwhile {number}")
    again = await sessions.again(watched)
    await again.wait(MessageReceived, 3)
    assert again.texts() == [f"meanwhile {number}" for number in range(3)]
    assert min(again.durable()) == max(watched.durable()) + 1


async def test_a_lost_socket_loses_no_message(
    sessions: Sessions, simulator: Simulator, new_phone: Callable[[], Phone]
) -> None:
    ann, bob = new_phone(), new_phone()
    watched = await sessions.paired(ann)
    for number in range(6):
        await asyncio.to_thread(bob.send_text, ann, f"text {number}")
        if number % 2:
            await asyncio.to_thread(simulator.fault, ann, "reset")
            await watched.wait(Disconnected, number // 2 + 1)
            await watched.wait(Connected, number // 2 + 2)
    await watched.wait(MessageReceived, 6)
    assert watched.texts() == [f"text {number}" for number in range(6)]


async def test_unlinking_removes_the_device_and_keeps_the_keys(
    sessions: Sessions, new_phone: Callable[[], Phone]
) -> None:
    ann = new_phone()
    watched = await sessions.paired(ann)
    await watched.session.unlink()
    ended = await watched.ended()
    assert (ended.reason, ended.clean) == (EndReason.LOGGED_OUT, True)
    assert await asyncio.to_thread(ann.devices) == []
    assert store.is_store_sound(watched.spec.store)
    with pytest.raises(EngineUnavailable):
        await watched.session.unlink()


async def test_nothing_works_without_a_connection(
    sessions: Sessions, simulator: Simulator, new_phone: Callable[[], Phone]
) -> None:
    ann, bob = new_phone(), new_phone()
    watched = await sessions.paired(ann)
    await asyncio.to_thread(simulator.fault, None, "http_status", status=503, times=None)
    await asyncio.to_thread(simulator.fault, ann, "reset")
    await watched.wait(Disconnected)
    secret = secrets.token_bytes(32)
    with pytest.raises(EngineUnavailable):
        await watched.session.send_text(recipient=bob.jid, text="?", secret=secret)
    with pytest.raises(EngineUnavailable):
        await watched.session.unlink()
    assert store.find_sent(watched.spec.store, secret) is None
    await asyncio.to_thread(simulator.clear_faults)
    await watched.session.stop(GRACE)
    assert await watched.ended() == Ended(reason=EndReason.STOPPED, clean=True)


async def test_connections_that_break_while_texts_arrive_double_and_lose_nothing(
    sessions: Sessions, simulator: Simulator, new_phone: Callable[[], Phone]
) -> None:
    ann, bob = new_phone(), new_phone()
    watched = await sessions.paired(ann)
    texts = [f"text {number}" for number in range(40)]

    async def write() -> None:
        for text in texts:
            await asyncio.to_thread(bob.send_text, ann, text)

    async with asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(write())
        while not writing.done():
            await asyncio.to_thread(simulator.fault, ann, "reset")
            await asyncio.sleep(0.05)  # the moments do not matter, only that there are many
    await watched.wait(MessageReceived, len(texts))
    await watched.session.stop(GRACE)
    await watched.ended()
    assert sorted(watched.texts()) == sorted(texts)
