from roost.v1 import operation_pb2 as _operation_pb2
from roost.v1 import vault_pb2 as _vault_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetVaultStatsRequest(_message.Message):
    __slots__ = ("storage_location",)
    STORAGE_LOCATION_FIELD_NUMBER: _ClassVar[int]
    storage_location: str
    def __init__(self, storage_location: _Optional[str] = ...) -> None: ...

class GetVaultStatsResponse(_message.Message):
    __slots__ = ("stats",)
    STATS_FIELD_NUMBER: _ClassVar[int]
    stats: _vault_pb2.VaultStats
    def __init__(self, stats: _Optional[_Union[_vault_pb2.VaultStats, _Mapping]] = ...) -> None: ...

class CheckVaultRequest(_message.Message):
    __slots__ = ("storage_location", "read_data")
    STORAGE_LOCATION_FIELD_NUMBER: _ClassVar[int]
    READ_DATA_FIELD_NUMBER: _ClassVar[int]
    storage_location: str
    read_data: bool
    def __init__(self, storage_location: _Optional[str] = ..., read_data: _Optional[bool] = ...) -> None: ...

class CheckVaultResponse(_message.Message):
    __slots__ = ("operation",)
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    operation: _operation_pb2.Operation
    def __init__(self, operation: _Optional[_Union[_operation_pb2.Operation, _Mapping]] = ...) -> None: ...

class PlanRetentionRequest(_message.Message):
    __slots__ = ("parent",)
    PARENT_FIELD_NUMBER: _ClassVar[int]
    parent: str
    def __init__(self, parent: _Optional[str] = ...) -> None: ...

class PlanRetentionResponse(_message.Message):
    __slots__ = ("result",)
    RESULT_FIELD_NUMBER: _ClassVar[int]
    result: _vault_pb2.RetentionResult
    def __init__(self, result: _Optional[_Union[_vault_pb2.RetentionResult, _Mapping]] = ...) -> None: ...

class ApplyRetentionRequest(_message.Message):
    __slots__ = ("parent",)
    PARENT_FIELD_NUMBER: _ClassVar[int]
    parent: str
    def __init__(self, parent: _Optional[str] = ...) -> None: ...

class ApplyRetentionResponse(_message.Message):
    __slots__ = ("operation",)
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    operation: _operation_pb2.Operation
    def __init__(self, operation: _Optional[_Union[_operation_pb2.Operation, _Mapping]] = ...) -> None: ...

class RecoverSessionsRequest(_message.Message):
    __slots__ = ("storage_location", "dry_run", "start", "take_over", "request_id")
    STORAGE_LOCATION_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    TAKE_OVER_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    storage_location: str
    dry_run: bool
    start: bool
    take_over: bool
    request_id: str
    def __init__(self, storage_location: _Optional[str] = ..., dry_run: _Optional[bool] = ..., start: _Optional[bool] = ..., take_over: _Optional[bool] = ..., request_id: _Optional[str] = ...) -> None: ...

class RecoverSessionsResponse(_message.Message):
    __slots__ = ("operation",)
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    operation: _operation_pb2.Operation
    def __init__(self, operation: _Optional[_Union[_operation_pb2.Operation, _Mapping]] = ...) -> None: ...

class RotateKeysRequest(_message.Message):
    __slots__ = ("parent", "request_id")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    parent: str
    request_id: str
    def __init__(self, parent: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class RotateKeysResponse(_message.Message):
    __slots__ = ("operation",)
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    operation: _operation_pb2.Operation
    def __init__(self, operation: _Optional[_Union[_operation_pb2.Operation, _Mapping]] = ...) -> None: ...

class RewrapKeysRequest(_message.Message):
    __slots__ = ("parent",)
    PARENT_FIELD_NUMBER: _ClassVar[int]
    parent: str
    def __init__(self, parent: _Optional[str] = ...) -> None: ...

class RewrapKeysResponse(_message.Message):
    __slots__ = ("operation",)
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    operation: _operation_pb2.Operation
    def __init__(self, operation: _Optional[_Union[_operation_pb2.Operation, _Mapping]] = ...) -> None: ...

class RetireMasterKeyRequest(_message.Message):
    __slots__ = ("master_key",)
    MASTER_KEY_FIELD_NUMBER: _ClassVar[int]
    master_key: str
    def __init__(self, master_key: _Optional[str] = ...) -> None: ...

class RetireMasterKeyResponse(_message.Message):
    __slots__ = ("operation",)
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    operation: _operation_pb2.Operation
    def __init__(self, operation: _Optional[_Union[_operation_pb2.Operation, _Mapping]] = ...) -> None: ...

class ListMasterKeysRequest(_message.Message):
    __slots__ = ("storage_location",)
    STORAGE_LOCATION_FIELD_NUMBER: _ClassVar[int]
    storage_location: str
    def __init__(self, storage_location: _Optional[str] = ...) -> None: ...

class ListMasterKeysResponse(_message.Message):
    __slots__ = ("master_keys", "data_keys")
    MASTER_KEYS_FIELD_NUMBER: _ClassVar[int]
    DATA_KEYS_FIELD_NUMBER: _ClassVar[int]
    master_keys: _containers.RepeatedCompositeFieldContainer[_vault_pb2.VaultStats.MasterKey]
    data_keys: int
    def __init__(self, master_keys: _Optional[_Iterable[_Union[_vault_pb2.VaultStats.MasterKey, _Mapping]]] = ..., data_keys: _Optional[int] = ...) -> None: ...
