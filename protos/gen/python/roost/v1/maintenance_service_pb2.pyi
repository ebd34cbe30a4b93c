from roost.v1 import operation_pb2 as _operation_pb2
from roost.v1 import trash_pb2 as _trash_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListTrashRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListTrashResponse(_message.Message):
    __slots__ = ("items", "next_page_token")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[_trash_pb2.TrashItem]
    next_page_token: str
    def __init__(self, items: _Optional[_Iterable[_Union[_trash_pb2.TrashItem, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class RestoreFromTrashRequest(_message.Message):
    __slots__ = ("name", "force")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    name: str
    force: bool
    def __init__(self, name: _Optional[str] = ..., force: _Optional[bool] = ...) -> None: ...

class RestoreFromTrashResponse(_message.Message):
    __slots__ = ("operation",)
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    operation: _operation_pb2.Operation
    def __init__(self, operation: _Optional[_Union[_operation_pb2.Operation, _Mapping]] = ...) -> None: ...

class PurgeTrashRequest(_message.Message):
    __slots__ = ("name", "confirm")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONFIRM_FIELD_NUMBER: _ClassVar[int]
    name: str
    confirm: str
    def __init__(self, name: _Optional[str] = ..., confirm: _Optional[str] = ...) -> None: ...

class PurgeTrashResponse(_message.Message):
    __slots__ = ("verdicts", "purged")
    class Verdict(_message.Message):
        __slots__ = ("item", "may_purge", "kept_because")
        ITEM_FIELD_NUMBER: _ClassVar[int]
        MAY_PURGE_FIELD_NUMBER: _ClassVar[int]
        KEPT_BECAUSE_FIELD_NUMBER: _ClassVar[int]
        item: _trash_pb2.TrashItem
        may_purge: bool
        kept_because: str
        def __init__(self, item: _Optional[_Union[_trash_pb2.TrashItem, _Mapping]] = ..., may_purge: _Optional[bool] = ..., kept_because: _Optional[str] = ...) -> None: ...
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    PURGED_FIELD_NUMBER: _ClassVar[int]
    verdicts: _containers.RepeatedCompositeFieldContainer[PurgeTrashResponse.Verdict]
    purged: bool
    def __init__(self, verdicts: _Optional[_Iterable[_Union[PurgeTrashResponse.Verdict, _Mapping]]] = ..., purged: _Optional[bool] = ...) -> None: ...
