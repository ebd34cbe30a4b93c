"""Server side: frames of a host as the port's events."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from roost.engine.v1 import frames_pb2 as frames

from .base import (
    Account,
    Connected,
    Disconnected,
    EngineEvent,
    KeepAliveRestored,
    KeepAliveTimeout,
    MessageReceived,
    Paired,
    QrCode,
    RawEvent,
    ReceiptReceived,
    ReceiptType,
    StreamFailed,
)


def event(frame: frames.Event) -> EngineEvent:
    """The event in a frame. Raises ValueError for one that this server does not know."""
    kind = frame.WhichOneof("event")
    if kind is None:
        raise ValueError("an event of an unknown kind")
    return _CONVERTERS[kind](frame)


def _account(account: frames.Account) -> Account:
    return Account(
        jid=account.jid, lid=account.lid, push_name=account.push_name, device=account.device
    )


def _time(seconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)  # nonsense from outside must not end a session


def _message(frame: frames.Event) -> MessageReceived:
    message = frame.message_received
    return MessageReceived(
        spool=frame.spool,
        chat=message.chat,
        message_id=message.message_id,
        sender=message.sender,
        sender_lid=message.sender_lid,
        from_me=message.from_me,
        group=message.group,
        push_name=message.push_name,
        send_time=_time(message.send_time),
        text=message.text,
        raw=message.raw,
        undecryptable=message.undecryptable,
    )


def _receipt(frame: frames.Event) -> ReceiptReceived:
    receipt = frame.receipt_received
    return ReceiptReceived(
        spool=frame.spool,
        chat=receipt.chat,
        sender=receipt.sender,
        message_ids=tuple(receipt.message_ids),
        type=ReceiptType(receipt.type),
        send_time=_time(receipt.send_time),
    )


def _raw(frame: frames.Event) -> RawEvent:
    return RawEvent(spool=frame.spool, type=frame.raw_event.type, payload=frame.raw_event.payload)


def _qr_code(frame: frames.Event) -> QrCode:
    lifetime = timedelta(milliseconds=frame.qr_code.lifetime_millis)
    return QrCode(payload=frame.qr_code.payload, lifetime=lifetime)


_CONVERTERS: Final[Mapping[str, Callable[[frames.Event], EngineEvent]]] = {
    "qr_code": _qr_code,
    "paired": lambda frame: Paired(account=_account(frame.paired.account)),
    "connected": lambda frame: Connected(account=_account(frame.connected.account)),
    "disconnected": lambda _: Disconnected(),
    "keep_alive_timeout": lambda _: KeepAliveTimeout(),
    "keep_alive_restored": lambda _: KeepAliveRestored(),
    "stream_failed": lambda frame: StreamFailed(engine_code=frame.stream_failed.engine_code),
    "message_received": _message,
    "receipt_received": _receipt,
    "raw_event": _raw,
}
