import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from roost.v1 import event_pb2 as _event_pb2
from roost.v1 import session_pb2 as _session_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SubscribeEventsRequest(_message.Message):
    __slots__ = ("sessions", "kinds", "from_snapshot", "from_now", "after_cursor", "heartbeat_interval")
    class FromSnapshot(_message.Message):
        __slots__ = ()
        def __init__(self) -> None: ...
    class FromNow(_message.Message):
        __slots__ = ()
        def __init__(self) -> None: ...
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    FROM_SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    FROM_NOW_FIELD_NUMBER: _ClassVar[int]
    AFTER_CURSOR_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    sessions: _containers.RepeatedScalarFieldContainer[str]
    kinds: _containers.RepeatedScalarFieldContainer[_event_pb2.EventKind]
    from_snapshot: SubscribeEventsRequest.FromSnapshot
    from_now: SubscribeEventsRequest.FromNow
    after_cursor: str
    heartbeat_interval: _duration_pb2.Duration
    def __init__(self, sessions: _Optional[_Iterable[str]] = ..., kinds: _Optional[_Iterable[_Union[_event_pb2.EventKind, str]]] = ..., from_snapshot: _Optional[_Union[SubscribeEventsRequest.FromSnapshot, _Mapping]] = ..., from_now: _Optional[_Union[SubscribeEventsRequest.FromNow, _Mapping]] = ..., after_cursor: _Optional[str] = ..., heartbeat_interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class SubscribeEventsResponse(_message.Message):
    __slots__ = ("cursor", "snapshot", "events", "bookmark")
    class Bookmark(_message.Message):
        __slots__ = ("reason",)
        class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
            __slots__ = ()
            REASON_UNSPECIFIED: _ClassVar[SubscribeEventsResponse.Bookmark.Reason]
            REASON_SNAPSHOT_COMPLETE: _ClassVar[SubscribeEventsResponse.Bookmark.Reason]
            REASON_IDLE: _ClassVar[SubscribeEventsResponse.Bookmark.Reason]
            REASON_CLOSING: _ClassVar[SubscribeEventsResponse.Bookmark.Reason]
        REASON_UNSPECIFIED: SubscribeEventsResponse.Bookmark.Reason
        REASON_SNAPSHOT_COMPLETE: SubscribeEventsResponse.Bookmark.Reason
        REASON_IDLE: SubscribeEventsResponse.Bookmark.Reason
        REASON_CLOSING: SubscribeEventsResponse.Bookmark.Reason
        REASON_FIELD_NUMBER: _ClassVar[int]
        reason: SubscribeEventsResponse.Bookmark.Reason
        def __init__(self, reason: _Optional[_Union[SubscribeEventsResponse.Bookmark.Reason, str]] = ...) -> None: ...
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    BOOKMARK_FIELD_NUMBER: _ClassVar[int]
    cursor: str
    snapshot: _session_pb2.Session
    events: _containers.RepeatedCompositeFieldContainer[_event_pb2.Event]
    bookmark: SubscribeEventsResponse.Bookmark
    def __init__(self, cursor: _Optional[str] = ..., snapshot: _Optional[_Union[_session_pb2.Session, _Mapping]] = ..., events: _Optional[_Iterable[_Union[_event_pb2.Event, _Mapping]]] = ..., bookmark: _Optional[_Union[SubscribeEventsResponse.Bookmark, _Mapping]] = ...) -> None: ...
