import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.rpc import status_pb2 as _status_pb2
from roost.v1 import backup_pb2 as _backup_pb2
from roost.v1 import trash_pb2 as _trash_pb2
from roost.v1 import vault_pb2 as _vault_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Operation(_message.Message):
    __slots__ = ("name", "target", "done", "progress", "error", "backup", "restore", "verify", "imported", "recover", "check", "retention", "rotation", "untrashed", "create_time", "end_time")
    class Progress(_message.Message):
        __slots__ = ("phase", "bytes_done", "bytes_total")
        PHASE_FIELD_NUMBER: _ClassVar[int]
        BYTES_DONE_FIELD_NUMBER: _ClassVar[int]
        BYTES_TOTAL_FIELD_NUMBER: _ClassVar[int]
        phase: str
        bytes_done: int
        bytes_total: int
        def __init__(self, phase: _Optional[str] = ..., bytes_done: _Optional[int] = ..., bytes_total: _Optional[int] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    BACKUP_FIELD_NUMBER: _ClassVar[int]
    RESTORE_FIELD_NUMBER: _ClassVar[int]
    VERIFY_FIELD_NUMBER: _ClassVar[int]
    IMPORTED_FIELD_NUMBER: _ClassVar[int]
    RECOVER_FIELD_NUMBER: _ClassVar[int]
    CHECK_FIELD_NUMBER: _ClassVar[int]
    RETENTION_FIELD_NUMBER: _ClassVar[int]
    ROTATION_FIELD_NUMBER: _ClassVar[int]
    UNTRASHED_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    target: str
    done: bool
    progress: Operation.Progress
    error: _status_pb2.Status
    backup: _backup_pb2.Backup
    restore: _backup_pb2.RestoreResult
    verify: _backup_pb2.VerifyResult
    imported: _backup_pb2.ImportResult
    recover: _backup_pb2.RecoverResult
    check: _vault_pb2.VaultCheck
    retention: _vault_pb2.RetentionResult
    rotation: _vault_pb2.KeyRotation
    untrashed: _trash_pb2.TrashRestoreResult
    create_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., target: _Optional[str] = ..., done: _Optional[bool] = ..., progress: _Optional[_Union[Operation.Progress, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ..., backup: _Optional[_Union[_backup_pb2.Backup, _Mapping]] = ..., restore: _Optional[_Union[_backup_pb2.RestoreResult, _Mapping]] = ..., verify: _Optional[_Union[_backup_pb2.VerifyResult, _Mapping]] = ..., imported: _Optional[_Union[_backup_pb2.ImportResult, _Mapping]] = ..., recover: _Optional[_Union[_backup_pb2.RecoverResult, _Mapping]] = ..., check: _Optional[_Union[_vault_pb2.VaultCheck, _Mapping]] = ..., retention: _Optional[_Union[_vault_pb2.RetentionResult, _Mapping]] = ..., rotation: _Optional[_Union[_vault_pb2.KeyRotation, _Mapping]] = ..., untrashed: _Optional[_Union[_trash_pb2.TrashRestoreResult, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
