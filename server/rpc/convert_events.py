"""What subscribers are told, as messages of `roost.v1`."""

from roost.v1 import event_pb2, event_service_pb2

from server.engine.base import MessageReceived, RawEvent, ReceiptReceived, ReceiptType
from server.events.stored import EventKind, StoredEvent
from server.events.subscription import Bookmark, BookmarkReason, Events, Item, Snapshot
from server.sessions.model import BackupChanged, SessionChanged

from . import convert, convert_backups
from .numbers import numbers

Response = event_service_pb2.SubscribeEventsResponse

KINDS = numbers(EventKind, event_pb2.EventKind, "EVENT_KIND")
KIND_OF: dict[int, EventKind] = {number: kind for kind, number in KINDS.items()}
REASONS = numbers(BookmarkReason, Response.Bookmark.Reason, "REASON")
RECEIPT_TYPES = numbers(
    ReceiptType, event_pb2.ReceiptReceived.Type, "TYPE", unspecified=ReceiptType.UNKNOWN
)


def item(value: Item) -> event_service_pb2.SubscribeEventsResponse:
    """One response of a subscription."""
    match value:
        case Events(events=events, cursor=cursor):
            return Response(cursor=cursor, events=[event(each) for each in events])
        case Snapshot(session=session, cursor=cursor):
            return Response(cursor=cursor, snapshot=convert.session(session))
        case Bookmark(reason=reason, cursor=cursor):
            return Response(cursor=cursor, bookmark=Response.Bookmark(reason=REASONS[reason]))


def event(value: StoredEvent) -> event_pb2.Event:
    """One event of the log."""
    common = event_pb2.Event(
        session=str(value.session), sequence=value.sequence, receive_time=value.receive_time
    )
    match value.body:
        case SessionChanged(session=session):
            common.session_changed.session.CopyFrom(convert.session(session))
        case MessageReceived() as body:
            common.message_received.CopyFrom(message(body))
        case ReceiptReceived() as body:
            common.receipt_received.CopyFrom(receipt(body))
        case BackupChanged(backup=backup):
            common.backup_changed.backup.CopyFrom(convert_backups.backup(backup))
        case RawEvent() as body:
            common.engine_event.type = body.type
            common.engine_event.payload = body.payload
    return common


def message(value: MessageReceived) -> event_pb2.MessageReceived:
    """A message that arrived."""
    return event_pb2.MessageReceived(
        chat=value.chat,
        message_id=value.message_id,
        sender=value.sender,
        sender_lid=value.sender_lid,
        from_me=value.from_me,
        group=value.group,
        push_name=value.push_name,
        send_time=value.send_time,
        text=value.text,
        raw=value.raw,
        undecryptable=value.undecryptable,
    )


def receipt(value: ReceiptReceived) -> event_pb2.ReceiptReceived:
    """A receipt for messages that were sent."""
    return event_pb2.ReceiptReceived(
        chat=value.chat,
        sender=value.sender,
        message_ids=value.message_ids,
        type=RECEIPT_TYPES[value.type],
        send_time=value.send_time,
    )
