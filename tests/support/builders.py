"""Sessions and events for tests, with everything but the point filled in."""

from dataclasses import replace
from typing import Any

from server.core.ids import random_id
from server.core.names import BackupName, SessionName, StorageLocationName
from server.engine.base import Account, MessageReceived, RawEvent, ReceiptReceived, ReceiptType
from server.sessions.model import DesiredState, Session, State
from server.vault.model import Backup, BackupKind, BackupState

from .clock import START

ANN = Account(
    jid="15550001111@s.whatsapp.net", lid="100000000000001@lid", push_name="Ann", device=1
)


def make_session(session_id: str = "a", **changes: Any) -> Session:
    """A stopped, unpaired session."""
    session = Session(
        name=SessionName.from_id(session_id),
        state=State.STOPPED,
        desired=DesiredState.STOPPED,
        etag=random_id(),
        create_time=START,
        state_change_time=START,
    )
    return replace(session, **changes)


def make_message(number: int = 1, **changes: Any) -> MessageReceived:
    """A text; `number` makes it one of its kind."""
    message = MessageReceived(
        spool=number,
        chat="15550002222@s.whatsapp.net",
        message_id=f"M{number}",
        sender="15550002222@s.whatsapp.net",
        sender_lid="",
        from_me=False,
        group=False,
        push_name="Bob",
        send_time=START,
        text=f"text {number}",
        raw=b"\x0a\x00",
    )
    return replace(message, **changes)


def make_receipt(number: int = 1) -> ReceiptReceived:
    """A receipt for one message."""
    return ReceiptReceived(
        spool=number,
        chat="15550002222@s.whatsapp.net",
        sender="15550002222@s.whatsapp.net",
        message_ids=(f"M{number}",),
        type=ReceiptType.READ,
        send_time=START,
    )


def make_raw(number: int = 1, payload: bytes = b"p") -> RawEvent:
    """An engine event without a typed form."""
    return RawEvent(spool=number, type="Presence", payload=payload)


def make_backup(number: int = 1, session_id: str = "a", **changes: Any) -> Backup:
    """A good hot backup."""
    backup = Backup(
        name=BackupName(SessionName.from_id(session_id), f"b{number}"),
        state=BackupState.ACTIVE,
        kind=BackupKind.HOT,
        storage_location=StorageLocationName("local"),
        size_bytes=1000,
        logical_bytes=4096,
        sha256="00" * 32,
        format_version=2,
        device_fingerprint="11" * 32,
        connect_epoch=1,
        schema_version="15|8",
        engine_version="fake/1",
        create_time=START,
        verify_time=START,
    )
    return replace(backup, **changes)
