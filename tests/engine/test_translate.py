"""neonize's messages as events: people by phone number, nothing secret, nothing lost."""

from typing import Any

import pytest
from roost.engine.v1 import frames_pb2 as frames

from server.engine import neonize, translate
from server.engine.base import ReceiptType
from server.engine.translate import Translator

neonize.prepare()
PB: Any = neonize.protos()


def jid(text: str = "") -> Any:
    user, _, server = text.partition("@")
    user, _, device = user.partition(":")
    return PB.JID(User=user, Server=server, RawAgent=0, Device=int(device or 0), Integrator=0)


def source(
    chat: str, sender: str, *, alt: str = "", to: str = "", from_me: bool = False
) -> dict[str, Any]:
    return {
        "Chat": jid(chat),
        "Sender": jid(sender),
        "IsFromMe": from_me,
        "IsGroup": chat.endswith("@g.us"),
        "SenderAlt": jid(alt),
        "RecipientAlt": jid(to),
        "BroadcastListOwner": jid(),
    }


def message(where: dict[str, Any], *, category: str = "", **content: Any) -> bytes:
    event = PB.Message(
        Info={
            "MessageSource": where,
            "ID": "3EB0",
            "ServerID": 0,
            "Type": "text",
            "Pushname": "Bob",
            "Timestamp": 1_700_000_000_999,
            "Category": category,
            "Multicast": False,
            "MediaType": "",
            "Edit": "",
        },
        Message=content,
        IsEphemeral=False,
        IsViewOnce=False,
        IsViewOnceV2=False,
        IsViewOnceV2Extension=False,
        IsDocumentWithCaption=False,
        IsLottieSticker=False,
        IsEdit=False,
        UnavailableRequestID="",
        RetryCount=0,
    )
    serialized: bytes = event.SerializeToString()
    return serialized


def translated(code: int, payload: bytes, **phones: str) -> frames.Event | None:
    known = {name.removeprefix("lid"): phone for name, phone in phones.items()}
    return Translator(PB, lambda lid: known.get(lid, "")).event(code, payload)


def received(where: dict[str, Any], **phones: str) -> frames.MessageReceived:
    event = translated(translate.MESSAGE, message(where, conversation="hi"), **phones)
    assert event is not None
    return event.message_received


def test_a_person_is_named_by_phone_number() -> None:
    found = received(source("99@lid", "99:4@lid", alt="15551@s.whatsapp.net"))
    assert (found.chat, found.sender) == ("15551@s.whatsapp.net", "15551@s.whatsapp.net")
    assert found.sender_lid == "99@lid"
    assert (found.send_time, found.text, found.push_name) == (1_700_000_000, "hi", "Bob")


def test_the_engine_is_asked_for_a_number_that_the_message_leaves_out() -> None:
    found = received(source("99@lid", "99:4@lid"), lid99="15551")
    assert (found.chat, found.sender) == ("15551@s.whatsapp.net", "15551@s.whatsapp.net")


def test_somebody_without_a_known_number_stays_a_lid() -> None:
    found = received(source("99@lid", "99:4@lid"))
    assert (found.chat, found.sender, found.sender_lid) == ("99@lid", "99@lid", "99@lid")


def test_the_lid_beside_a_phone_number_is_kept() -> None:
    found = received(source("15551@s.whatsapp.net", "15551:2@s.whatsapp.net", alt="99:2@lid"))
    assert (found.chat, found.sender_lid) == ("15551@s.whatsapp.net", "99@lid")


def test_an_own_message_is_in_the_recipients_chat() -> None:
    where = source(
        "99@lid", "11@lid", alt="15550@s.whatsapp.net", to="15551@s.whatsapp.net", from_me=True
    )
    found = received(where)
    assert (found.chat, found.sender) == ("15551@s.whatsapp.net", "15550@s.whatsapp.net")


def test_a_group_keeps_its_name() -> None:
    found = received(source("12-34@g.us", "99:1@lid", alt="15551@s.whatsapp.net"))
    assert (found.chat, found.sender, found.group) == ("12-34@g.us", "15551@s.whatsapp.net", True)


def test_keys_for_a_group_are_no_message() -> None:
    where = source("12-34@g.us", "99:1@lid")
    keys = {"groupID": "12-34@g.us"}
    assert translated(translate.MESSAGE, message(where, senderKeyDistributionMessage=keys)) is None
    both = message(where, senderKeyDistributionMessage=keys, conversation="and a text")
    event = translated(translate.MESSAGE, both)
    assert event is not None
    assert event.message_received.text == "and a text"


def test_what_own_devices_share_stays_inside() -> None:
    secret = {"protocolMessage": {"appStateSyncKeyShare": {"keys": [{"keyData": {}}]}}}
    where = source("11@lid", "11@lid", from_me=True)
    assert translated(translate.MESSAGE, message(where, category="peer", **secret)) is None


def test_a_long_text_and_other_contents() -> None:
    where = source("99@lid", "99:4@lid")
    event = translated(
        translate.MESSAGE, message(where, extendedTextMessage={"text": "with a link"})
    )
    assert event is not None
    assert event.message_received.text == "with a link"
    event = translated(translate.MESSAGE, message(where, imageMessage={"caption": "a picture"}))
    assert event is not None
    assert event.message_received.text == ""
    assert b"a picture" in event.message_received.raw


def test_a_message_that_cannot_be_understood_is_handed_on_raw() -> None:
    payload = message(source("99@lid", "99:4@lid"), conversation="hi")
    broken = payload.replace(b"Bob", b"\xff\xfe\xfd")  # not UTF-8, as some clients send
    event = translated(translate.MESSAGE, broken)
    assert event is not None
    assert event.raw_event.payload == broken


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("DELIVERED", ReceiptType.DELIVERED),
        ("READ", ReceiptType.READ),
        ("READ_SELF", ReceiptType.READ_SELF),
        ("PLAYED", ReceiptType.PLAYED),
        ("INACTIVE", ReceiptType.INACTIVE),
        ("SENDER", ReceiptType.SENDER),
        ("RETRY", ReceiptType.RETRY),
        ("SERVER_ERROR", ReceiptType.UNKNOWN),
        ("PEER_MSG", ReceiptType.UNKNOWN),
    ],
)
def test_receipts(kind: str, expected: ReceiptType) -> None:
    payload = PB.Receipt(
        MessageSource=source("99@lid", "99:4@lid", alt="15551@s.whatsapp.net"),
        MessageIDs=["A", "B"],
        Timestamp=1_700_000_000,
        Type=kind,
    ).SerializeToString()
    event = translated(translate.RECEIPT, payload)
    assert event is not None
    receipt = event.receipt_received
    assert (receipt.type, list(receipt.message_ids)) == (expected, ["A", "B"])
    assert (receipt.chat, receipt.sender) == ("15551@s.whatsapp.net", "15551@s.whatsapp.net")


def test_other_events_go_on_as_they_are() -> None:
    event = translated(27, b"\x08\x05")
    assert event is not None
    assert (event.raw_event.type, event.raw_event.payload) == ("OfflineSyncCompleted", b"\x08\x05")
    assert translated(13, b"") is None


def test_the_account() -> None:
    device = PB.Device(
        JID=jid("15550:7@s.whatsapp.net"),
        LID=jid("11:7@lid"),
        Platform="android",
        BussinessName="",
        PushName="Ann",
        Initialized=True,
    )
    assert translate.account(device) == frames.Account(
        jid="15550@s.whatsapp.net", lid="11@lid", push_name="Ann", device=7
    )
