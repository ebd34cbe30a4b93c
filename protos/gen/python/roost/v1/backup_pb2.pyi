import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class VerifyLevel(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERIFY_LEVEL_UNSPECIFIED: _ClassVar[VerifyLevel]
    VERIFY_LEVEL_MANIFEST: _ClassVar[VerifyLevel]
    VERIFY_LEVEL_PACKS: _ClassVar[VerifyLevel]
    VERIFY_LEVEL_DATA: _ClassVar[VerifyLevel]
    VERIFY_LEVEL_DATABASE: _ClassVar[VerifyLevel]
    VERIFY_LEVEL_IDENTITY: _ClassVar[VerifyLevel]
    VERIFY_LEVEL_ENGINE: _ClassVar[VerifyLevel]

class RestoreMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RESTORE_MODE_UNSPECIFIED: _ClassVar[RestoreMode]
    RESTORE_MODE_AUTO: _ClassVar[RestoreMode]
    RESTORE_MODE_EXACT: _ClassVar[RestoreMode]
    RESTORE_MODE_REKEY: _ClassVar[RestoreMode]

class CredentialFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CREDENTIAL_FORMAT_UNSPECIFIED: _ClassVar[CredentialFormat]
    CREDENTIAL_FORMAT_BAILEYS_MULTI_FILE: _ClassVar[CredentialFormat]
    CREDENTIAL_FORMAT_BAILEYS_SINGLE_FILE: _ClassVar[CredentialFormat]
    CREDENTIAL_FORMAT_WHATSMEOW_SQLITE: _ClassVar[CredentialFormat]
VERIFY_LEVEL_UNSPECIFIED: VerifyLevel
VERIFY_LEVEL_MANIFEST: VerifyLevel
VERIFY_LEVEL_PACKS: VerifyLevel
VERIFY_LEVEL_DATA: VerifyLevel
VERIFY_LEVEL_DATABASE: VerifyLevel
VERIFY_LEVEL_IDENTITY: VerifyLevel
VERIFY_LEVEL_ENGINE: VerifyLevel
RESTORE_MODE_UNSPECIFIED: RestoreMode
RESTORE_MODE_AUTO: RestoreMode
RESTORE_MODE_EXACT: RestoreMode
RESTORE_MODE_REKEY: RestoreMode
CREDENTIAL_FORMAT_UNSPECIFIED: CredentialFormat
CREDENTIAL_FORMAT_BAILEYS_MULTI_FILE: CredentialFormat
CREDENTIAL_FORMAT_BAILEYS_SINGLE_FILE: CredentialFormat
CREDENTIAL_FORMAT_WHATSMEOW_SQLITE: CredentialFormat

class Backup(_message.Message):
    __slots__ = ("name", "state", "state_reason", "kind", "storage_location", "size_bytes", "logical_bytes", "sha256", "format_version", "device_fingerprint", "connect_epoch", "schema_version", "engine_version", "create_time", "verify_time", "verify_level", "parent", "sequence", "new_bytes", "pinned", "delete_time", "purge_time")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[Backup.State]
        STATE_CREATING: _ClassVar[Backup.State]
        STATE_ACTIVE: _ClassVar[Backup.State]
        STATE_SUSPECT: _ClassVar[Backup.State]
        STATE_REVOKED: _ClassVar[Backup.State]
    STATE_UNSPECIFIED: Backup.State
    STATE_CREATING: Backup.State
    STATE_ACTIVE: Backup.State
    STATE_SUSPECT: Backup.State
    STATE_REVOKED: Backup.State
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[Backup.Kind]
        KIND_HOT: _ClassVar[Backup.Kind]
        KIND_QUIESCED: _ClassVar[Backup.Kind]
        KIND_PAIRED: _ClassVar[Backup.Kind]
        KIND_PRE_RESTORE: _ClassVar[Backup.Kind]
        KIND_PRE_DELETE: _ClassVar[Backup.Kind]
        KIND_PRE_CLEANUP: _ClassVar[Backup.Kind]
        KIND_PRE_UPGRADE: _ClassVar[Backup.Kind]
        KIND_IMPORT: _ClassVar[Backup.Kind]
    KIND_UNSPECIFIED: Backup.Kind
    KIND_HOT: Backup.Kind
    KIND_QUIESCED: Backup.Kind
    KIND_PAIRED: Backup.Kind
    KIND_PRE_RESTORE: Backup.Kind
    KIND_PRE_DELETE: Backup.Kind
    KIND_PRE_CLEANUP: Backup.Kind
    KIND_PRE_UPGRADE: Backup.Kind
    KIND_IMPORT: Backup.Kind
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STATE_REASON_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    STORAGE_LOCATION_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    LOGICAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    FORMAT_VERSION_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    CONNECT_EPOCH_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_VERSION_FIELD_NUMBER: _ClassVar[int]
    ENGINE_VERSION_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    VERIFY_TIME_FIELD_NUMBER: _ClassVar[int]
    VERIFY_LEVEL_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    NEW_BYTES_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    DELETE_TIME_FIELD_NUMBER: _ClassVar[int]
    PURGE_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: Backup.State
    state_reason: str
    kind: Backup.Kind
    storage_location: str
    size_bytes: int
    logical_bytes: int
    sha256: str
    format_version: int
    device_fingerprint: str
    connect_epoch: int
    schema_version: str
    engine_version: str
    create_time: _timestamp_pb2.Timestamp
    verify_time: _timestamp_pb2.Timestamp
    verify_level: VerifyLevel
    parent: str
    sequence: int
    new_bytes: int
    pinned: bool
    delete_time: _timestamp_pb2.Timestamp
    purge_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., state: _Optional[_Union[Backup.State, str]] = ..., state_reason: _Optional[str] = ..., kind: _Optional[_Union[Backup.Kind, str]] = ..., storage_location: _Optional[str] = ..., size_bytes: _Optional[int] = ..., logical_bytes: _Optional[int] = ..., sha256: _Optional[str] = ..., format_version: _Optional[int] = ..., device_fingerprint: _Optional[str] = ..., connect_epoch: _Optional[int] = ..., schema_version: _Optional[str] = ..., engine_version: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., verify_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., verify_level: _Optional[_Union[VerifyLevel, str]] = ..., parent: _Optional[str] = ..., sequence: _Optional[int] = ..., new_bytes: _Optional[int] = ..., pinned: _Optional[bool] = ..., delete_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., purge_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class VerifyResult(_message.Message):
    __slots__ = ("backup", "steps")
    class Step(_message.Message):
        __slots__ = ("level", "passed", "problem", "elapsed")
        LEVEL_FIELD_NUMBER: _ClassVar[int]
        PASSED_FIELD_NUMBER: _ClassVar[int]
        PROBLEM_FIELD_NUMBER: _ClassVar[int]
        ELAPSED_FIELD_NUMBER: _ClassVar[int]
        level: VerifyLevel
        passed: bool
        problem: str
        elapsed: _duration_pb2.Duration
        def __init__(self, level: _Optional[_Union[VerifyLevel, str]] = ..., passed: _Optional[bool] = ..., problem: _Optional[str] = ..., elapsed: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
    BACKUP_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    backup: Backup
    steps: _containers.RepeatedCompositeFieldContainer[VerifyResult.Step]
    def __init__(self, backup: _Optional[_Union[Backup, _Mapping]] = ..., steps: _Optional[_Iterable[_Union[VerifyResult.Step, _Mapping]]] = ...) -> None: ...

class RestorePlan(_message.Message):
    __slots__ = ("backup", "target_session", "mode", "reasons", "losses", "replaces_credentials", "age", "start")
    BACKUP_FIELD_NUMBER: _ClassVar[int]
    TARGET_SESSION_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    LOSSES_FIELD_NUMBER: _ClassVar[int]
    REPLACES_CREDENTIALS_FIELD_NUMBER: _ClassVar[int]
    AGE_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    backup: str
    target_session: str
    mode: RestoreMode
    reasons: _containers.RepeatedScalarFieldContainer[str]
    losses: _containers.RepeatedScalarFieldContainer[str]
    replaces_credentials: bool
    age: _duration_pb2.Duration
    start: bool
    def __init__(self, backup: _Optional[str] = ..., target_session: _Optional[str] = ..., mode: _Optional[_Union[RestoreMode, str]] = ..., reasons: _Optional[_Iterable[str]] = ..., losses: _Optional[_Iterable[str]] = ..., replaces_credentials: _Optional[bool] = ..., age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., start: _Optional[bool] = ...) -> None: ...

class RestoreResult(_message.Message):
    __slots__ = ("plan", "trash", "started")
    PLAN_FIELD_NUMBER: _ClassVar[int]
    TRASH_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    plan: RestorePlan
    trash: str
    started: bool
    def __init__(self, plan: _Optional[_Union[RestorePlan, _Mapping]] = ..., trash: _Optional[str] = ..., started: _Optional[bool] = ...) -> None: ...

class ImportResult(_message.Message):
    __slots__ = ("session", "backup", "format", "mode", "reasons", "counts", "warnings", "trash")
    class CountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    SESSION_FIELD_NUMBER: _ClassVar[int]
    BACKUP_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    TRASH_FIELD_NUMBER: _ClassVar[int]
    session: str
    backup: Backup
    format: CredentialFormat
    mode: RestoreMode
    reasons: _containers.RepeatedScalarFieldContainer[str]
    counts: _containers.ScalarMap[str, int]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    trash: str
    def __init__(self, session: _Optional[str] = ..., backup: _Optional[_Union[Backup, _Mapping]] = ..., format: _Optional[_Union[CredentialFormat, str]] = ..., mode: _Optional[_Union[RestoreMode, str]] = ..., reasons: _Optional[_Iterable[str]] = ..., counts: _Optional[_Mapping[str, int]] = ..., warnings: _Optional[_Iterable[str]] = ..., trash: _Optional[str] = ...) -> None: ...

class RecoverResult(_message.Message):
    __slots__ = ("storage_location", "dry_run", "sessions")
    class Session(_message.Message):
        __slots__ = ("name", "outcome", "plan", "reason", "message")
        class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
            __slots__ = ()
            OUTCOME_UNSPECIFIED: _ClassVar[RecoverResult.Session.Outcome]
            OUTCOME_PLANNED: _ClassVar[RecoverResult.Session.Outcome]
            OUTCOME_RESTORED: _ClassVar[RecoverResult.Session.Outcome]
            OUTCOME_STARTED: _ClassVar[RecoverResult.Session.Outcome]
            OUTCOME_PRESENT: _ClassVar[RecoverResult.Session.Outcome]
            OUTCOME_SKIPPED: _ClassVar[RecoverResult.Session.Outcome]
            OUTCOME_FAILED: _ClassVar[RecoverResult.Session.Outcome]
        OUTCOME_UNSPECIFIED: RecoverResult.Session.Outcome
        OUTCOME_PLANNED: RecoverResult.Session.Outcome
        OUTCOME_RESTORED: RecoverResult.Session.Outcome
        OUTCOME_STARTED: RecoverResult.Session.Outcome
        OUTCOME_PRESENT: RecoverResult.Session.Outcome
        OUTCOME_SKIPPED: RecoverResult.Session.Outcome
        OUTCOME_FAILED: RecoverResult.Session.Outcome
        NAME_FIELD_NUMBER: _ClassVar[int]
        OUTCOME_FIELD_NUMBER: _ClassVar[int]
        PLAN_FIELD_NUMBER: _ClassVar[int]
        REASON_FIELD_NUMBER: _ClassVar[int]
        MESSAGE_FIELD_NUMBER: _ClassVar[int]
        name: str
        outcome: RecoverResult.Session.Outcome
        plan: RestorePlan
        reason: str
        message: str
        def __init__(self, name: _Optional[str] = ..., outcome: _Optional[_Union[RecoverResult.Session.Outcome, str]] = ..., plan: _Optional[_Union[RestorePlan, _Mapping]] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...
    STORAGE_LOCATION_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    storage_location: str
    dry_run: bool
    sessions: _containers.RepeatedCompositeFieldContainer[RecoverResult.Session]
    def __init__(self, storage_location: _Optional[str] = ..., dry_run: _Optional[bool] = ..., sessions: _Optional[_Iterable[_Union[RecoverResult.Session, _Mapping]]] = ...) -> None: ...

class StorageLocation(_message.Message):
    __slots__ = ("name", "scheme", "primary")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SCHEME_FIELD_NUMBER: _ClassVar[int]
    PRIMARY_FIELD_NUMBER: _ClassVar[int]
    name: str
    scheme: str
    primary: bool
    def __init__(self, name: _Optional[str] = ..., scheme: _Optional[str] = ..., primary: _Optional[bool] = ...) -> None: ...
