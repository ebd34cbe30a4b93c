"""Child side: neonize's event messages as frames for the server.

People are named by phone number where WhatsApp tells it: inbound chats and senders are LIDs, with
the phone number beside them (`SenderAlt`, `RecipientAlt`) or in the engine's own map.
"""

from collections.abc import Callable
from typing import Any, Final

from roost.engine.v1 import frames_pb2 as frames

from .base import ReceiptType

# Numbers of neonize.events.EVENT_TO_INT.
DEVICE: Final = 0
PAIR_STATUS: Final = 2
CONNECTED: Final = 3
KEEP_ALIVE_TIMEOUT: Final = 4
KEEP_ALIVE_RESTORED: Final = 5
LOGGED_OUT: Final = 6
STREAM_REPLACED: Final = 7
TEMPORARY_BAN: Final = 8
CONNECT_FAILURE: Final = 9
CLIENT_OUTDATED: Final = 10
STREAM_ERROR: Final = 11
DISCONNECTED: Final = 12
MESSAGE: Final = 17
RECEIPT: Final = 18
UNDECRYPTABLE: Final = 44

# Handed on as they are. Left out: QR (1, we have the callback), HistorySync (13, megabytes), and
# those with required enumerations, which end neonize's event loop on a value it cannot name.
RAW: Final = {
    20: "Presence",
    21: "JoinedGroup",
    22: "GroupInfoEvent",
    23: "Picture",
    24: "IdentityChange",
    26: "OfflineSyncPreview",
    27: "OfflineSyncCompleted",
    36: "CallOffer",
    37: "CallAccept",
    38: "CallPreAccept",
    40: "CallOfferNotice",
    42: "CallTerminate",
}
SUBSCRIPTIONS: Final = bytes(
    (
        PAIR_STATUS,
        CONNECTED,
        KEEP_ALIVE_TIMEOUT,
        KEEP_ALIVE_RESTORED,
        LOGGED_OUT,
        STREAM_REPLACED,
        TEMPORARY_BAN,
        CONNECT_FAILURE,
        CLIENT_OUTDATED,
        STREAM_ERROR,
        DISCONNECTED,
        MESSAGE,
        RECEIPT,
        UNDECRYPTABLE,
        *RAW,
    )
)
_PHONE: Final = "s.whatsapp.net"
_LID: Final = "lid"
_RECEIPTS: Final = {
    "DELIVERED": ReceiptType.DELIVERED,
    "SENDER": ReceiptType.SENDER,
    "RETRY": ReceiptType.RETRY,
    "READ": ReceiptType.READ,
    "READ_SELF": ReceiptType.READ_SELF,
    "PLAYED": ReceiptType.PLAYED,
    "INACTIVE": ReceiptType.INACTIVE,
}
# Between an account's own devices: key shares, history. Nothing for an application, and secret.
_PEER_CATEGORY: Final = "peer"
_KEY_DISTRIBUTION_ONLY: Final = {"senderKeyDistributionMessage", "messageContextInfo"}


def account(device: Any) -> frames.Account:
    """The linked account, from neonize's `Device`."""
    return frames.Account(
        jid=_jid(device.JID),
        lid=_jid(device.LID) if device.LID.Server == _LID else "",
        push_name=device.PushName,
        device=device.JID.Device,
    )


class Translator:
    """Turns payloads of one session into durable events."""

    def __init__(self, protos: Any, phone_of_lid: Callable[[str], str]) -> None:
        """`protos` is `Neonize_pb2`; `phone_of_lid` asks the engine's map, "" if unknown."""
        self._protos = protos
        self._phone_of_lid = phone_of_lid

    def event(self, code: int, payload: bytes) -> frames.Event | None:
        """The event to keep, or None if there is nothing to tell.

        A message that cannot be understood is handed on raw rather than lost.
        """
        try:
            if code == MESSAGE:
                return self._message(self._protos.Message.FromString(payload))
            if code == UNDECRYPTABLE:
                info = self._protos.UndecryptableMessage.FromString(payload).Info
                return frames.Event(message_received=self._received(info, undecryptable=True))
            if code == RECEIPT:
                return self._receipt(self._protos.Receipt.FromString(payload))
        except (UnicodeDecodeError, ValueError):
            return frames.Event(raw_event=frames.RawEvent(type=f"Event{code}", payload=payload))
        if code in RAW:
            return frames.Event(raw_event=frames.RawEvent(type=RAW[code], payload=payload))
        return None

    def _message(self, event: Any) -> frames.Event | None:
        info, message = event.Info, event.Message
        if info.Category == _PEER_CATEGORY:
            return None
        fields = {field.name for field, _ in message.ListFields()}
        if info.MessageSource.IsGroup and fields and fields <= _KEY_DISTRIBUTION_ONLY:
            return None  # the message itself follows under the same id
        received = self._received(info)
        received.text = message.conversation or message.extendedTextMessage.text
        received.raw = message.SerializeToString()
        return frames.Event(message_received=received)

    def _received(self, info: Any, *, undecryptable: bool = False) -> frames.MessageReceived:
        source = info.MessageSource
        return frames.MessageReceived(
            chat=self._chat(source),
            message_id=info.ID,
            sender=self._person(source.Sender, source.SenderAlt),
            sender_lid=_lid_of(source.Sender, source.SenderAlt),
            from_me=source.IsFromMe,
            group=source.IsGroup,
            push_name=info.Pushname,
            send_time=info.Timestamp // 1000,
            undecryptable=undecryptable,
        )

    def _receipt(self, event: Any) -> frames.Event:
        source = event.MessageSource
        kind = self._protos.Receipt.ReceiptType.Name(event.Type)
        return frames.Event(
            receipt_received=frames.ReceiptReceived(
                chat=self._chat(source),
                sender=self._person(source.Sender, source.SenderAlt),
                message_ids=event.MessageIDs,
                type=_RECEIPTS.get(kind, ReceiptType.UNKNOWN),
                send_time=event.Timestamp,
            )
        )

    def _chat(self, source: Any) -> str:
        return self._person(
            source.Chat, source.RecipientAlt if source.IsFromMe else source.SenderAlt
        )

    def _person(self, jid: Any, other: Any) -> str:
        if jid.Server == _LID:
            if other.Server == _PHONE and other.User:
                return _jid(other)
            if phone := self._phone_of_lid(jid.User):
                return f"{phone}@{_PHONE}"
        return _jid(jid)


def _jid(jid: Any) -> str:
    return f"{jid.User}@{jid.Server}" if jid.User else str(jid.Server)


def _lid_of(*jids: Any) -> str:
    return next((_jid(jid) for jid in jids if jid.Server == _LID), "")
