import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from roost.v1 import backup_pb2 as _backup_pb2
from roost.v1 import operation_pb2 as _operation_pb2
from roost.v1 import vault_pb2 as _vault_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CreateBackupRequest(_message.Message):
    __slots__ = ("parent", "storage_location", "request_id")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    STORAGE_LOCATION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    parent: str
    storage_location: str
    request_id: str
    def __init__(self, parent: _Optional[str] = ..., storage_location: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class CreateBackupResponse(_message.Message):
    __slots__ = ("operation",)
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    operation: _operation_pb2.Operation
    def __init__(self, operation: _Optional[_Union[_operation_pb2.Operation, _Mapping]] = ...) -> None: ...

class GetBackupRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetBackupResponse(_message.Message):
    __slots__ = ("backup",)
    BACKUP_FIELD_NUMBER: _ClassVar[int]
    backup: _backup_pb2.Backup
    def __init__(self, backup: _Optional[_Union[_backup_pb2.Backup, _Mapping]] = ...) -> None: ...

class ListBackupsRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token", "show_deleted")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SHOW_DELETED_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    show_deleted: bool
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., show_deleted: _Optional[bool] = ...) -> None: ...

class ListBackupsResponse(_message.Message):
    __slots__ = ("backups", "next_page_token")
    BACKUPS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    backups: _containers.RepeatedCompositeFieldContainer[_backup_pb2.Backup]
    next_page_token: str
    def __init__(self, backups: _Optional[_Iterable[_Union[_backup_pb2.Backup, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class RestoreBackupRequest(_message.Message):
    __slots__ = ("name", "target_session", "force", "request_id", "mode", "dry_run", "start", "take_over", "before_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TARGET_SESSION_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    TAKE_OVER_FIELD_NUMBER: _ClassVar[int]
    BEFORE_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    target_session: str
    force: bool
    request_id: str
    mode: _backup_pb2.RestoreMode
    dry_run: bool
    start: bool
    take_over: bool
    before_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., target_session: _Optional[str] = ..., force: _Optional[bool] = ..., request_id: _Optional[str] = ..., mode: _Optional[_Union[_backup_pb2.RestoreMode, str]] = ..., dry_run: _Optional[bool] = ..., start: _Optional[bool] = ..., take_over: _Optional[bool] = ..., before_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class RestoreBackupResponse(_message.Message):
    __slots__ = ("operation", "plan")
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    operation: _operation_pb2.Operation
    plan: _backup_pb2.RestorePlan
    def __init__(self, operation: _Optional[_Union[_operation_pb2.Operation, _Mapping]] = ..., plan: _Optional[_Union[_backup_pb2.RestorePlan, _Mapping]] = ...) -> None: ...

class DeleteBackupRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteBackupResponse(_message.Message):
    __slots__ = ("backup",)
    BACKUP_FIELD_NUMBER: _ClassVar[int]
    backup: _backup_pb2.Backup
    def __init__(self, backup: _Optional[_Union[_backup_pb2.Backup, _Mapping]] = ...) -> None: ...

class UndeleteBackupRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class UndeleteBackupResponse(_message.Message):
    __slots__ = ("backup",)
    BACKUP_FIELD_NUMBER: _ClassVar[int]
    backup: _backup_pb2.Backup
    def __init__(self, backup: _Optional[_Union[_backup_pb2.Backup, _Mapping]] = ...) -> None: ...

class PinBackupRequest(_message.Message):
    __slots__ = ("name", "pinned")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    name: str
    pinned: bool
    def __init__(self, name: _Optional[str] = ..., pinned: _Optional[bool] = ...) -> None: ...

class PinBackupResponse(_message.Message):
    __slots__ = ("backup",)
    BACKUP_FIELD_NUMBER: _ClassVar[int]
    backup: _backup_pb2.Backup
    def __init__(self, backup: _Optional[_Union[_backup_pb2.Backup, _Mapping]] = ...) -> None: ...

class VerifyBackupRequest(_message.Message):
    __slots__ = ("name", "level")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    name: str
    level: _backup_pb2.VerifyLevel
    def __init__(self, name: _Optional[str] = ..., level: _Optional[_Union[_backup_pb2.VerifyLevel, str]] = ...) -> None: ...

class VerifyBackupResponse(_message.Message):
    __slots__ = ("operation",)
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    operation: _operation_pb2.Operation
    def __init__(self, operation: _Optional[_Union[_operation_pb2.Operation, _Mapping]] = ...) -> None: ...

class ExportBackupRequest(_message.Message):
    __slots__ = ("name", "passphrase")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PASSPHRASE_FIELD_NUMBER: _ClassVar[int]
    name: str
    passphrase: str
    def __init__(self, name: _Optional[str] = ..., passphrase: _Optional[str] = ...) -> None: ...

class ExportBackupResponse(_message.Message):
    __slots__ = ("header", "chunk")
    class Header(_message.Message):
        __slots__ = ("backup", "file_name")
        BACKUP_FIELD_NUMBER: _ClassVar[int]
        FILE_NAME_FIELD_NUMBER: _ClassVar[int]
        backup: _backup_pb2.Backup
        file_name: str
        def __init__(self, backup: _Optional[_Union[_backup_pb2.Backup, _Mapping]] = ..., file_name: _Optional[str] = ...) -> None: ...
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    header: ExportBackupResponse.Header
    chunk: bytes
    def __init__(self, header: _Optional[_Union[ExportBackupResponse.Header, _Mapping]] = ..., chunk: _Optional[bytes] = ...) -> None: ...

class ImportBackupRequest(_message.Message):
    __slots__ = ("header", "chunk")
    class Header(_message.Message):
        __slots__ = ("parent", "passphrase", "storage_location")
        PARENT_FIELD_NUMBER: _ClassVar[int]
        PASSPHRASE_FIELD_NUMBER: _ClassVar[int]
        STORAGE_LOCATION_FIELD_NUMBER: _ClassVar[int]
        parent: str
        passphrase: str
        storage_location: str
        def __init__(self, parent: _Optional[str] = ..., passphrase: _Optional[str] = ..., storage_location: _Optional[str] = ...) -> None: ...
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    header: ImportBackupRequest.Header
    chunk: bytes
    def __init__(self, header: _Optional[_Union[ImportBackupRequest.Header, _Mapping]] = ..., chunk: _Optional[bytes] = ...) -> None: ...

class ImportBackupResponse(_message.Message):
    __slots__ = ("backup",)
    BACKUP_FIELD_NUMBER: _ClassVar[int]
    backup: _backup_pb2.Backup
    def __init__(self, backup: _Optional[_Union[_backup_pb2.Backup, _Mapping]] = ...) -> None: ...

class ImportCredentialsRequest(_message.Message):
    __slots__ = ("header", "file")
    class Header(_message.Message):
        __slots__ = ("session", "format", "mode", "source_stopped", "device", "force", "display_name", "labels", "proxy_url")
        class LabelsEntry(_message.Message):
            __slots__ = ("key", "value")
            KEY_FIELD_NUMBER: _ClassVar[int]
            VALUE_FIELD_NUMBER: _ClassVar[int]
            key: str
            value: str
            def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
        SESSION_FIELD_NUMBER: _ClassVar[int]
        FORMAT_FIELD_NUMBER: _ClassVar[int]
        MODE_FIELD_NUMBER: _ClassVar[int]
        SOURCE_STOPPED_FIELD_NUMBER: _ClassVar[int]
        DEVICE_FIELD_NUMBER: _ClassVar[int]
        FORCE_FIELD_NUMBER: _ClassVar[int]
        DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
        LABELS_FIELD_NUMBER: _ClassVar[int]
        PROXY_URL_FIELD_NUMBER: _ClassVar[int]
        session: str
        format: _backup_pb2.CredentialFormat
        mode: _backup_pb2.RestoreMode
        source_stopped: bool
        device: str
        force: bool
        display_name: str
        labels: _containers.ScalarMap[str, str]
        proxy_url: str
        def __init__(self, session: _Optional[str] = ..., format: _Optional[_Union[_backup_pb2.CredentialFormat, str]] = ..., mode: _Optional[_Union[_backup_pb2.RestoreMode, str]] = ..., source_stopped: _Optional[bool] = ..., device: _Optional[str] = ..., force: _Optional[bool] = ..., display_name: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., proxy_url: _Optional[str] = ...) -> None: ...
    class File(_message.Message):
        __slots__ = ("name", "modify_time", "data")
        NAME_FIELD_NUMBER: _ClassVar[int]
        MODIFY_TIME_FIELD_NUMBER: _ClassVar[int]
        DATA_FIELD_NUMBER: _ClassVar[int]
        name: str
        modify_time: _timestamp_pb2.Timestamp
        data: bytes
        def __init__(self, name: _Optional[str] = ..., modify_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., data: _Optional[bytes] = ...) -> None: ...
    HEADER_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    header: ImportCredentialsRequest.Header
    file: ImportCredentialsRequest.File
    def __init__(self, header: _Optional[_Union[ImportCredentialsRequest.Header, _Mapping]] = ..., file: _Optional[_Union[ImportCredentialsRequest.File, _Mapping]] = ...) -> None: ...

class ImportCredentialsResponse(_message.Message):
    __slots__ = ("operation",)
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    operation: _operation_pb2.Operation
    def __init__(self, operation: _Optional[_Union[_operation_pb2.Operation, _Mapping]] = ...) -> None: ...

class GetBackupPolicyRequest(_message.Message):
    __slots__ = ("parent",)
    PARENT_FIELD_NUMBER: _ClassVar[int]
    parent: str
    def __init__(self, parent: _Optional[str] = ...) -> None: ...

class GetBackupPolicyResponse(_message.Message):
    __slots__ = ("policy",)
    POLICY_FIELD_NUMBER: _ClassVar[int]
    policy: _vault_pb2.BackupPolicy
    def __init__(self, policy: _Optional[_Union[_vault_pb2.BackupPolicy, _Mapping]] = ...) -> None: ...

class SetBackupPolicyRequest(_message.Message):
    __slots__ = ("policy", "reset")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    RESET_FIELD_NUMBER: _ClassVar[int]
    policy: _vault_pb2.BackupPolicy
    reset: bool
    def __init__(self, policy: _Optional[_Union[_vault_pb2.BackupPolicy, _Mapping]] = ..., reset: _Optional[bool] = ...) -> None: ...

class SetBackupPolicyResponse(_message.Message):
    __slots__ = ("policy",)
    POLICY_FIELD_NUMBER: _ClassVar[int]
    policy: _vault_pb2.BackupPolicy
    def __init__(self, policy: _Optional[_Union[_vault_pb2.BackupPolicy, _Mapping]] = ...) -> None: ...

class ListStorageLocationsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListStorageLocationsResponse(_message.Message):
    __slots__ = ("storage_locations", "next_page_token")
    STORAGE_LOCATIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    storage_locations: _containers.RepeatedCompositeFieldContainer[_backup_pb2.StorageLocation]
    next_page_token: str
    def __init__(self, storage_locations: _Optional[_Iterable[_Union[_backup_pb2.StorageLocation, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
