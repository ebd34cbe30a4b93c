"""Group chats through the API, on the real engine."""

import asyncio

import grpc
import pytest

from tests.support.api import DEADLINE, Follower, State, reason_of


async def test_texts_go_both_ways_in_a_group(sim, api, pair, new_contact):
    """A text out reaches every member; each text in is one event with chat and sender."""
    session, phone = await pair()
    bob, eve = new_contact("Bob"), new_contact("Eve")
    group = await asyncio.to_thread(sim.create_group, "Team", [bob, phone, eve])
    async with Follower(session.name).following(api) as follower:
        sent_id = await api.send(session.name, group.jid, "hello all")
        for contact in (bob, eve):
            (received,) = await asyncio.to_thread(contact.inbox, 1, timeout=DEADLINE)
            assert (received.text, received.id) == ("hello all", sent_id)
            assert (received.group, received.phone) == (group.jid, phone.phone)
        await follower.until(lambda seen: len(seen.receipts()) == 2)
        ids = [
            await asyncio.to_thread(contact.send_group_text, group, f"from {contact.name}")
            for contact in (bob, eve, bob)
        ]
        await follower.until(lambda seen: len(seen.messages()) >= len(ids))
        last_id = await asyncio.to_thread(bob.send_text, phone.jid, "in private")
        await follower.until(lambda seen: last_id in [m.message_id for m in seen.messages()])
    for receipt in follower.receipts():
        assert (receipt.chat, list(receipt.message_ids)) == (group.jid, [sent_id])
    assert {receipt.sender for receipt in follower.receipts()} == {bob.jid, eve.jid}
    *messages, private = follower.messages()
    # The engine hands the key and the text of a sender's first message out as two messages.
    assert [(m.message_id, m.text) for m in messages] == list(
        zip(ids, ["from Bob", "from Eve", "from Bob"], strict=True)
    )
    assert [m.sender for m in messages] == [bob.jid, eve.jid, bob.jid]
    assert [m.push_name for m in messages] == ["Bob", "Eve", "Bob"]
    for message in messages:
        assert message.chat == group.jid
        assert message.sender_lid.endswith("@lid")
        assert message.group
        assert not message.from_me
        assert not message.undecryptable
    assert (private.chat, private.group) == (bob.jid, False)


async def test_what_the_phone_writes_in_a_group_is_from_me(sim, api, pair, new_contact):
    """In an old group too, whose members are named by number."""
    session, phone = await pair()
    bob = new_contact()
    group = await asyncio.to_thread(
        lambda: sim.create_group("Old", [phone, bob], addressing_mode="pn")
    )
    async with Follower(session.name).following(api) as follower:
        await asyncio.to_thread(phone.send_group_text, group, "from the phone")
        await asyncio.to_thread(bob.send_group_text, group, "from Bob")
        await follower.until(lambda seen: len(seen.messages()) == 2)
    mine, other = follower.messages()
    assert (mine.text, mine.chat, mine.from_me) == ("from the phone", group.jid, True)
    assert (mine.sender, mine.sender_lid) == (phone.jid, phone.lid)
    assert (other.text, other.chat, other.from_me) == ("from Bob", group.jid, False)
    assert (other.sender, other.sender_lid) == (bob.jid, bob.lid)


async def test_a_group_the_account_is_not_in_is_refused(sim, api, pair, new_contact):
    """So is one that does not exist; the session goes on."""
    session, _ = await pair()
    bob, eve = new_contact(), new_contact()
    group = await asyncio.to_thread(sim.create_group, "Others", [bob, eve])
    for jid in (group.jid, "120363999999999999@g.us"):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await api.send(session.name, jid, "let me in")
        assert reason_of(error.value) == "RECIPIENT_NOT_FOUND"
        assert error.value.code() == grpc.StatusCode.NOT_FOUND
    assert (await api.get(session.name)).state == State.STATE_ACTIVE
