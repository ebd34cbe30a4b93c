"""The plaintext of messages, as far as scripted phones need it."""

from dataclasses import dataclass

from google.protobuf.message import DecodeError

from .wire.protos import e2e

_BESIDE = ("messageContextInfo", "senderKeyDistributionMessage")


@dataclass(frozen=True, slots=True)
class Text:
    """What a message says."""

    text: str
    """Empty for anything that is not a text."""
    kind: str
    """The name of the message's main field, for instance `conversation`; empty without one."""
    destination: str = ""
    """The chat, if an own device reports what it has sent there."""
    sender_key: bytes = b""
    """What lets one read the sender's texts in a group, if it is handed out here."""
    sender_key_group: str = ""
    """Which group."""


def text_message(text: str) -> bytes:
    """A text to somebody."""
    data: bytes = e2e.Message(conversation=text).SerializeToString()
    return data


def sender_key_message(group: str, distribution: bytes, text: str = "") -> bytes:
    """A sender key for a member of a group; with the text too if it has asked for it again."""
    message = e2e.Message(conversation=text) if text else e2e.Message()
    message.senderKeyDistributionMessage.groupID = group
    message.senderKeyDistributionMessage.axolotlSenderKeyDistributionMessage = distribution
    data: bytes = message.SerializeToString()
    return data


def report_message(destination: str, text: str) -> bytes:
    """The same text for one's own other devices."""
    message = e2e.Message()
    message.deviceSentMessage.destinationJID = destination
    message.deviceSentMessage.message.conversation = text
    data: bytes = message.SerializeToString()
    return data


def read_message(data: bytes) -> Text:
    """What is in a decrypted message."""
    try:
        message = e2e.Message.FromString(data)
    except DecodeError:
        return Text("", "malformed")
    destination = ""
    key = message.senderKeyDistributionMessage
    if message.HasField("deviceSentMessage"):
        destination = message.deviceSentMessage.destinationJID
        message = message.deviceSentMessage.message
    text = message.conversation or message.extendedTextMessage.text
    kinds = [field.name for field, _ in message.ListFields() if field.name not in _BESIDE]
    return Text(
        text,
        kinds[0] if kinds else "",
        destination,
        key.axolotlSenderKeyDistributionMessage,
        key.groupID,
    )
