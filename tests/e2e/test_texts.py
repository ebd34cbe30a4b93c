"""Texts, receipts and neighbours, on the real engine."""

import asyncio
import os
import signal
import uuid

from roost.v1.event_pb2 import ReceiptReceived

from tests.support.api import DEADLINE, Follower, State, host_pid


async def test_texts_go_both_ways_with_receipts(api, pair, new_contact):
    """A text out reaches the contact, its receipt comes back; a text in becomes an event."""
    session, phone = await pair()
    bob = new_contact()
    async with Follower(session.name).following(api) as follower:
        sent_id = await api.send(session.name, f"+{bob.phone}", "hello Bob")
        (received,) = await asyncio.to_thread(bob.inbox, 1, timeout=DEADLINE)
        assert (received.text, received.id) == ("hello Bob", sent_id)
        await follower.until(Follower.receipts)
        reply_id = await asyncio.to_thread(bob.send_text, phone.jid, "hello Ann")
        await follower.until(Follower.messages)
    (receipt,) = follower.receipts()
    assert list(receipt.message_ids) == [sent_id]
    assert receipt.type in {ReceiptReceived.TYPE_DELIVERED, ReceiptReceived.TYPE_INACTIVE}
    (message,) = follower.messages()
    assert (message.text, message.message_id) == ("hello Ann", reply_id)
    assert message.chat == message.sender == bob.jid
    assert message.sender_lid.endswith("@lid")
    assert message.push_name == "Bob"
    assert not message.from_me
    assert not message.group


async def test_two_sessions_write_to_each_other(api, pair):
    """Both ends are real engines: text out of one is the event of the other, both ways."""
    (ann, ann_phone), (eve, eve_phone) = await pair(), await pair()
    async with (
        Follower(ann.name).following(api) as at_ann,
        Follower(eve.name).following(api) as at_eve,
    ):
        await api.send(ann.name, eve_phone.jid, "from Ann")
        await at_eve.until(lambda seen: seen.texts() == ["from Ann"])
        await api.send(eve.name, ann_phone.jid, "from Eve")
        await at_ann.until(lambda seen: seen.texts() == ["from Eve"])
        await at_ann.until(Follower.receipts)


async def test_a_repeated_request_sends_once(api, pair, new_contact):
    """The same request_id gets the same message id, and the contact one message."""
    session, _ = await pair()
    bob = new_contact()
    request_id = str(uuid.uuid4())
    first = await api.send(session.name, f"+{bob.phone}", "once", request_id)
    again = await api.send(session.name, f"+{bob.phone}", "once", request_id)
    assert first == again
    await api.send(session.name, f"+{bob.phone}", "last")
    received = await asyncio.to_thread(bob.inbox, 2, timeout=DEADLINE)
    assert [message.text for message in received] == ["once", "last"]


async def test_offline_messages_arrive_after_reconnect(api, pair, new_contact):
    """What was written while the session was stopped comes with the next start, in order."""
    session, phone = await pair()
    bob = new_contact()
    async with Follower(session.name).following(api) as follower:
        await api.stop(session.name)
        await api.wait_for_state(session.name, State.STATE_STOPPED)
        bodies = [f"while you were out {number}" for number in range(5)]
        for body in bodies:
            await asyncio.to_thread(bob.send_text, phone.jid, body)
        await api.start(session.name)
        await follower.until(lambda seen: len(seen.texts()) >= len(bodies))
        assert follower.texts() == bodies


async def test_a_killed_host_comes_back_and_its_neighbour_does_not_notice(
    api, pair, server, new_contact
):
    """SIGKILL of one engine host: that session reconnects, the other stays as it was."""
    (sick, sick_phone), (well, well_phone) = await pair(), await pair()
    bob = new_contact()
    well_pid = host_pid(server.data_dir, well.name)
    async with (
        Follower(sick.name).following(api) as at_sick,
        Follower(well.name).following(api) as at_well,
    ):
        os.kill(host_pid(server.data_dir, sick.name), signal.SIGKILL)
        await at_sick.until(lambda seen: seen.states()[-1:] == [State.STATE_ACTIVE])
        reasons = {
            e.session_changed.session.condition.reason
            for e in at_sick.events
            if e.HasField("session_changed")
        }
        assert "ENGINE_CRASHED" in reasons
        await asyncio.to_thread(bob.send_text, sick_phone.jid, "back?")
        await asyncio.to_thread(bob.send_text, well_phone.jid, "still there?")
        await at_sick.until(lambda seen: seen.texts() == ["back?"])
        await at_well.until(lambda seen: seen.texts() == ["still there?"])
        assert at_well.states() == []
    assert host_pid(server.data_dir, well.name) == well_pid
