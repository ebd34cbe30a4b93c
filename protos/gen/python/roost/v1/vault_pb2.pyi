import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BackupPolicy(_message.Message):
    __slots__ = ("parent", "every", "debounce", "max_delay", "retention", "inherited")
    class Retention(_message.Message):
        __slots__ = ("keep_within", "keep_last", "hourly", "daily", "weekly", "monthly")
        KEEP_WITHIN_FIELD_NUMBER: _ClassVar[int]
        KEEP_LAST_FIELD_NUMBER: _ClassVar[int]
        HOURLY_FIELD_NUMBER: _ClassVar[int]
        DAILY_FIELD_NUMBER: _ClassVar[int]
        WEEKLY_FIELD_NUMBER: _ClassVar[int]
        MONTHLY_FIELD_NUMBER: _ClassVar[int]
        keep_within: _duration_pb2.Duration
        keep_last: int
        hourly: int
        daily: int
        weekly: int
        monthly: int
        def __init__(self, keep_within: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., keep_last: _Optional[int] = ..., hourly: _Optional[int] = ..., daily: _Optional[int] = ..., weekly: _Optional[int] = ..., monthly: _Optional[int] = ...) -> None: ...
    PARENT_FIELD_NUMBER: _ClassVar[int]
    EVERY_FIELD_NUMBER: _ClassVar[int]
    DEBOUNCE_FIELD_NUMBER: _ClassVar[int]
    MAX_DELAY_FIELD_NUMBER: _ClassVar[int]
    RETENTION_FIELD_NUMBER: _ClassVar[int]
    INHERITED_FIELD_NUMBER: _ClassVar[int]
    parent: str
    every: _duration_pb2.Duration
    debounce: _duration_pb2.Duration
    max_delay: _duration_pb2.Duration
    retention: BackupPolicy.Retention
    inherited: bool
    def __init__(self, parent: _Optional[str] = ..., every: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., debounce: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max_delay: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., retention: _Optional[_Union[BackupPolicy.Retention, _Mapping]] = ..., inherited: _Optional[bool] = ...) -> None: ...

class RetentionPlan(_message.Message):
    __slots__ = ("items",)
    class Item(_message.Message):
        __slots__ = ("backup", "keep", "reasons", "create_time")
        BACKUP_FIELD_NUMBER: _ClassVar[int]
        KEEP_FIELD_NUMBER: _ClassVar[int]
        REASONS_FIELD_NUMBER: _ClassVar[int]
        CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
        backup: str
        keep: bool
        reasons: _containers.RepeatedScalarFieldContainer[str]
        create_time: _timestamp_pb2.Timestamp
        def __init__(self, backup: _Optional[str] = ..., keep: _Optional[bool] = ..., reasons: _Optional[_Iterable[str]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[RetentionPlan.Item]
    def __init__(self, items: _Optional[_Iterable[_Union[RetentionPlan.Item, _Mapping]]] = ...) -> None: ...

class RetentionResult(_message.Message):
    __slots__ = ("plan", "trashed", "purged", "collected_objects", "collected_bytes", "notes")
    PLAN_FIELD_NUMBER: _ClassVar[int]
    TRASHED_FIELD_NUMBER: _ClassVar[int]
    PURGED_FIELD_NUMBER: _ClassVar[int]
    COLLECTED_OBJECTS_FIELD_NUMBER: _ClassVar[int]
    COLLECTED_BYTES_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    plan: RetentionPlan
    trashed: int
    purged: int
    collected_objects: int
    collected_bytes: int
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, plan: _Optional[_Union[RetentionPlan, _Mapping]] = ..., trashed: _Optional[int] = ..., purged: _Optional[int] = ..., collected_objects: _Optional[int] = ..., collected_bytes: _Optional[int] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class VaultProblem(_message.Message):
    __slots__ = ("object", "kind", "detail")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    object: str
    kind: str
    detail: str
    def __init__(self, object: _Optional[str] = ..., kind: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class VaultCheck(_message.Message):
    __slots__ = ("storage_location", "read_data", "objects", "bytes", "problems", "sessions")
    class Session(_message.Message):
        __slots__ = ("name", "backups", "newest_good")
        NAME_FIELD_NUMBER: _ClassVar[int]
        BACKUPS_FIELD_NUMBER: _ClassVar[int]
        NEWEST_GOOD_FIELD_NUMBER: _ClassVar[int]
        name: str
        backups: int
        newest_good: str
        def __init__(self, name: _Optional[str] = ..., backups: _Optional[int] = ..., newest_good: _Optional[str] = ...) -> None: ...
    STORAGE_LOCATION_FIELD_NUMBER: _ClassVar[int]
    READ_DATA_FIELD_NUMBER: _ClassVar[int]
    OBJECTS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    storage_location: str
    read_data: bool
    objects: int
    bytes: int
    problems: _containers.RepeatedCompositeFieldContainer[VaultProblem]
    sessions: _containers.RepeatedCompositeFieldContainer[VaultCheck.Session]
    def __init__(self, storage_location: _Optional[str] = ..., read_data: _Optional[bool] = ..., objects: _Optional[int] = ..., bytes: _Optional[int] = ..., problems: _Optional[_Iterable[_Union[VaultProblem, _Mapping]]] = ..., sessions: _Optional[_Iterable[_Union[VaultCheck.Session, _Mapping]]] = ...) -> None: ...

class KeyRotation(_message.Message):
    __slots__ = ("rotated", "wraps_added", "wraps_present", "unreadable", "wraps_repaired", "wraps_delayed", "wraps_removed")
    ROTATED_FIELD_NUMBER: _ClassVar[int]
    WRAPS_ADDED_FIELD_NUMBER: _ClassVar[int]
    WRAPS_PRESENT_FIELD_NUMBER: _ClassVar[int]
    UNREADABLE_FIELD_NUMBER: _ClassVar[int]
    WRAPS_REPAIRED_FIELD_NUMBER: _ClassVar[int]
    WRAPS_DELAYED_FIELD_NUMBER: _ClassVar[int]
    WRAPS_REMOVED_FIELD_NUMBER: _ClassVar[int]
    rotated: int
    wraps_added: int
    wraps_present: int
    unreadable: _containers.RepeatedScalarFieldContainer[str]
    wraps_repaired: int
    wraps_delayed: int
    wraps_removed: int
    def __init__(self, rotated: _Optional[int] = ..., wraps_added: _Optional[int] = ..., wraps_present: _Optional[int] = ..., unreadable: _Optional[_Iterable[str]] = ..., wraps_repaired: _Optional[int] = ..., wraps_delayed: _Optional[int] = ..., wraps_removed: _Optional[int] = ...) -> None: ...

class VaultStats(_message.Message):
    __slots__ = ("storage_location", "repository_id", "format_version", "objects", "stored_bytes", "logical_bytes", "master_keys", "sessions")
    class MasterKey(_message.Message):
        __slots__ = ("id", "kind", "wraps")
        ID_FIELD_NUMBER: _ClassVar[int]
        KIND_FIELD_NUMBER: _ClassVar[int]
        WRAPS_FIELD_NUMBER: _ClassVar[int]
        id: str
        kind: str
        wraps: int
        def __init__(self, id: _Optional[str] = ..., kind: _Optional[str] = ..., wraps: _Optional[int] = ...) -> None: ...
    class Session(_message.Message):
        __slots__ = ("name", "backups", "trashed", "stored_bytes", "logical_bytes", "garbage_bytes", "terms", "newest", "newest_time", "newest_good", "newest_good_time")
        NAME_FIELD_NUMBER: _ClassVar[int]
        BACKUPS_FIELD_NUMBER: _ClassVar[int]
        TRASHED_FIELD_NUMBER: _ClassVar[int]
        STORED_BYTES_FIELD_NUMBER: _ClassVar[int]
        LOGICAL_BYTES_FIELD_NUMBER: _ClassVar[int]
        GARBAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
        TERMS_FIELD_NUMBER: _ClassVar[int]
        NEWEST_FIELD_NUMBER: _ClassVar[int]
        NEWEST_TIME_FIELD_NUMBER: _ClassVar[int]
        NEWEST_GOOD_FIELD_NUMBER: _ClassVar[int]
        NEWEST_GOOD_TIME_FIELD_NUMBER: _ClassVar[int]
        name: str
        backups: int
        trashed: int
        stored_bytes: int
        logical_bytes: int
        garbage_bytes: int
        terms: int
        newest: str
        newest_time: _timestamp_pb2.Timestamp
        newest_good: str
        newest_good_time: _timestamp_pb2.Timestamp
        def __init__(self, name: _Optional[str] = ..., backups: _Optional[int] = ..., trashed: _Optional[int] = ..., stored_bytes: _Optional[int] = ..., logical_bytes: _Optional[int] = ..., garbage_bytes: _Optional[int] = ..., terms: _Optional[int] = ..., newest: _Optional[str] = ..., newest_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., newest_good: _Optional[str] = ..., newest_good_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
    STORAGE_LOCATION_FIELD_NUMBER: _ClassVar[int]
    REPOSITORY_ID_FIELD_NUMBER: _ClassVar[int]
    FORMAT_VERSION_FIELD_NUMBER: _ClassVar[int]
    OBJECTS_FIELD_NUMBER: _ClassVar[int]
    STORED_BYTES_FIELD_NUMBER: _ClassVar[int]
    LOGICAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    MASTER_KEYS_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    storage_location: str
    repository_id: str
    format_version: int
    objects: int
    stored_bytes: int
    logical_bytes: int
    master_keys: _containers.RepeatedCompositeFieldContainer[VaultStats.MasterKey]
    sessions: _containers.RepeatedCompositeFieldContainer[VaultStats.Session]
    def __init__(self, storage_location: _Optional[str] = ..., repository_id: _Optional[str] = ..., format_version: _Optional[int] = ..., objects: _Optional[int] = ..., stored_bytes: _Optional[int] = ..., logical_bytes: _Optional[int] = ..., master_keys: _Optional[_Iterable[_Union[VaultStats.MasterKey, _Mapping]]] = ..., sessions: _Optional[_Iterable[_Union[VaultStats.Session, _Mapping]]] = ...) -> None: ...
