import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from roost.v1 import backup_pb2 as _backup_pb2
from roost.v1 import session_pb2 as _session_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EventKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_KIND_UNSPECIFIED: _ClassVar[EventKind]
    EVENT_KIND_SESSION: _ClassVar[EventKind]
    EVENT_KIND_MESSAGE: _ClassVar[EventKind]
    EVENT_KIND_ENGINE: _ClassVar[EventKind]
    EVENT_KIND_RECEIPT: _ClassVar[EventKind]
    EVENT_KIND_BACKUP: _ClassVar[EventKind]
EVENT_KIND_UNSPECIFIED: EventKind
EVENT_KIND_SESSION: EventKind
EVENT_KIND_MESSAGE: EventKind
EVENT_KIND_ENGINE: EventKind
EVENT_KIND_RECEIPT: EventKind
EVENT_KIND_BACKUP: EventKind

class Event(_message.Message):
    __slots__ = ("session", "sequence", "receive_time", "session_changed", "message_received", "receipt_received", "backup_changed", "engine_event")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    RECEIVE_TIME_FIELD_NUMBER: _ClassVar[int]
    SESSION_CHANGED_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_RECEIVED_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_RECEIVED_FIELD_NUMBER: _ClassVar[int]
    BACKUP_CHANGED_FIELD_NUMBER: _ClassVar[int]
    ENGINE_EVENT_FIELD_NUMBER: _ClassVar[int]
    session: str
    sequence: int
    receive_time: _timestamp_pb2.Timestamp
    session_changed: SessionChanged
    message_received: MessageReceived
    receipt_received: ReceiptReceived
    backup_changed: BackupChanged
    engine_event: EngineEvent
    def __init__(self, session: _Optional[str] = ..., sequence: _Optional[int] = ..., receive_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., session_changed: _Optional[_Union[SessionChanged, _Mapping]] = ..., message_received: _Optional[_Union[MessageReceived, _Mapping]] = ..., receipt_received: _Optional[_Union[ReceiptReceived, _Mapping]] = ..., backup_changed: _Optional[_Union[BackupChanged, _Mapping]] = ..., engine_event: _Optional[_Union[EngineEvent, _Mapping]] = ...) -> None: ...

class SessionChanged(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: _session_pb2.Session
    def __init__(self, session: _Optional[_Union[_session_pb2.Session, _Mapping]] = ...) -> None: ...

class BackupChanged(_message.Message):
    __slots__ = ("backup",)
    BACKUP_FIELD_NUMBER: _ClassVar[int]
    backup: _backup_pb2.Backup
    def __init__(self, backup: _Optional[_Union[_backup_pb2.Backup, _Mapping]] = ...) -> None: ...

class MessageReceived(_message.Message):
    __slots__ = ("chat", "message_id", "sender", "sender_lid", "from_me", "group", "push_name", "send_time", "text", "raw", "undecryptable")
    CHAT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_FIELD_NUMBER: _ClassVar[int]
    SENDER_LID_FIELD_NUMBER: _ClassVar[int]
    FROM_ME_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    PUSH_NAME_FIELD_NUMBER: _ClassVar[int]
    SEND_TIME_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    RAW_FIELD_NUMBER: _ClassVar[int]
    UNDECRYPTABLE_FIELD_NUMBER: _ClassVar[int]
    chat: str
    message_id: str
    sender: str
    sender_lid: str
    from_me: bool
    group: bool
    push_name: str
    send_time: _timestamp_pb2.Timestamp
    text: str
    raw: bytes
    undecryptable: bool
    def __init__(self, chat: _Optional[str] = ..., message_id: _Optional[str] = ..., sender: _Optional[str] = ..., sender_lid: _Optional[str] = ..., from_me: _Optional[bool] = ..., group: _Optional[bool] = ..., push_name: _Optional[str] = ..., send_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., text: _Optional[str] = ..., raw: _Optional[bytes] = ..., undecryptable: _Optional[bool] = ...) -> None: ...

class ReceiptReceived(_message.Message):
    __slots__ = ("chat", "sender", "message_ids", "type", "send_time")
    class Type(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        TYPE_UNSPECIFIED: _ClassVar[ReceiptReceived.Type]
        TYPE_DELIVERED: _ClassVar[ReceiptReceived.Type]
        TYPE_READ: _ClassVar[ReceiptReceived.Type]
        TYPE_PLAYED: _ClassVar[ReceiptReceived.Type]
        TYPE_INACTIVE: _ClassVar[ReceiptReceived.Type]
        TYPE_READ_SELF: _ClassVar[ReceiptReceived.Type]
        TYPE_RETRY: _ClassVar[ReceiptReceived.Type]
        TYPE_SENDER: _ClassVar[ReceiptReceived.Type]
    TYPE_UNSPECIFIED: ReceiptReceived.Type
    TYPE_DELIVERED: ReceiptReceived.Type
    TYPE_READ: ReceiptReceived.Type
    TYPE_PLAYED: ReceiptReceived.Type
    TYPE_INACTIVE: ReceiptReceived.Type
    TYPE_READ_SELF: ReceiptReceived.Type
    TYPE_RETRY: ReceiptReceived.Type
    TYPE_SENDER: ReceiptReceived.Type
    CHAT_FIELD_NUMBER: _ClassVar[int]
    SENDER_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_IDS_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    SEND_TIME_FIELD_NUMBER: _ClassVar[int]
    chat: str
    sender: str
    message_ids: _containers.RepeatedScalarFieldContainer[str]
    type: ReceiptReceived.Type
    send_time: _timestamp_pb2.Timestamp
    def __init__(self, chat: _Optional[str] = ..., sender: _Optional[str] = ..., message_ids: _Optional[_Iterable[str]] = ..., type: _Optional[_Union[ReceiptReceived.Type, str]] = ..., send_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class EngineEvent(_message.Message):
    __slots__ = ("type", "payload")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    type: str
    payload: bytes
    def __init__(self, type: _Optional[str] = ..., payload: _Optional[bytes] = ...) -> None: ...
