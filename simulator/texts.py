"""The plaintext of messages, as far as scripted phones need it."""

from dataclasses import dataclass

from google.protobuf.message import DecodeError

from .wire.protos import e2e


@dataclass(frozen=True, slots=True)
class Text:
    """What a message says."""

    text: str
    """Empty for anything that is not a text."""
    kind: str
    """The name of the message's main field, for instance `conversation`."""
    destination: str
    """The chat, if an own device reports what it has sent there."""


def text_message(text: str) -> bytes:
    """A text to somebody."""
    data: bytes = e2e.Message(conversation=text).SerializeToString()
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
        return Text("", "malformed", "")
    destination = ""
    if message.HasField("deviceSentMessage"):
        destination = message.deviceSentMessage.destinationJID
        message = message.deviceSentMessage.message
    text = message.conversation or message.extendedTextMessage.text
    kinds = [field.name for field, _ in message.ListFields() if field.name != "messageContextInfo"]
    return Text(text, kinds[0] if kinds else "", destination)
