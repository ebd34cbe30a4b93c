import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Session(_message.Message):
    __slots__ = ("name", "state", "desired_state", "condition", "account", "display_name", "labels", "etag", "create_time", "state_change_time", "next_attempt_time", "proxy_url", "delete_time", "purge_time")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[Session.State]
        STATE_STOPPED: _ClassVar[Session.State]
        STATE_CONNECTING: _ClassVar[Session.State]
        STATE_PAIRING: _ClassVar[Session.State]
        STATE_ACTIVE: _ClassVar[Session.State]
        STATE_BACKING_OFF: _ClassVar[Session.State]
        STATE_STOPPING: _ClassVar[Session.State]
        STATE_FAILED: _ClassVar[Session.State]
        STATE_UNLINKED: _ClassVar[Session.State]
        STATE_DELETED: _ClassVar[Session.State]
    STATE_UNSPECIFIED: Session.State
    STATE_STOPPED: Session.State
    STATE_CONNECTING: Session.State
    STATE_PAIRING: Session.State
    STATE_ACTIVE: Session.State
    STATE_BACKING_OFF: Session.State
    STATE_STOPPING: Session.State
    STATE_FAILED: Session.State
    STATE_UNLINKED: Session.State
    STATE_DELETED: Session.State
    class DesiredState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        DESIRED_STATE_UNSPECIFIED: _ClassVar[Session.DesiredState]
        DESIRED_STATE_STOPPED: _ClassVar[Session.DesiredState]
        DESIRED_STATE_RUNNING: _ClassVar[Session.DesiredState]
    DESIRED_STATE_UNSPECIFIED: Session.DesiredState
    DESIRED_STATE_STOPPED: Session.DesiredState
    DESIRED_STATE_RUNNING: Session.DesiredState
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DESIRED_STATE_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    STATE_CHANGE_TIME_FIELD_NUMBER: _ClassVar[int]
    NEXT_ATTEMPT_TIME_FIELD_NUMBER: _ClassVar[int]
    PROXY_URL_FIELD_NUMBER: _ClassVar[int]
    DELETE_TIME_FIELD_NUMBER: _ClassVar[int]
    PURGE_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: Session.State
    desired_state: Session.DesiredState
    condition: Condition
    account: Account
    display_name: str
    labels: _containers.ScalarMap[str, str]
    etag: str
    create_time: _timestamp_pb2.Timestamp
    state_change_time: _timestamp_pb2.Timestamp
    next_attempt_time: _timestamp_pb2.Timestamp
    proxy_url: str
    delete_time: _timestamp_pb2.Timestamp
    purge_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., state: _Optional[_Union[Session.State, str]] = ..., desired_state: _Optional[_Union[Session.DesiredState, str]] = ..., condition: _Optional[_Union[Condition, _Mapping]] = ..., account: _Optional[_Union[Account, _Mapping]] = ..., display_name: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., etag: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., state_change_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., next_attempt_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., proxy_url: _Optional[str] = ..., delete_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., purge_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Condition(_message.Message):
    __slots__ = ("reason", "message", "user_action", "engine_code")
    class UserAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        USER_ACTION_UNSPECIFIED: _ClassVar[Condition.UserAction]
        USER_ACTION_WAIT: _ClassVar[Condition.UserAction]
        USER_ACTION_PAIR_AGAIN: _ClassVar[Condition.UserAction]
        USER_ACTION_OPEN_PHONE: _ClassVar[Condition.UserAction]
        USER_ACTION_UPGRADE_SERVER: _ClassVar[Condition.UserAction]
        USER_ACTION_STOP_OTHER_CONNECTION: _ClassVar[Condition.UserAction]
        USER_ACTION_RESTORE_BACKUP: _ClassVar[Condition.UserAction]
        USER_ACTION_CONTACT_WHATSAPP: _ClassVar[Condition.UserAction]
        USER_ACTION_CHECK_NETWORK: _ClassVar[Condition.UserAction]
    USER_ACTION_UNSPECIFIED: Condition.UserAction
    USER_ACTION_WAIT: Condition.UserAction
    USER_ACTION_PAIR_AGAIN: Condition.UserAction
    USER_ACTION_OPEN_PHONE: Condition.UserAction
    USER_ACTION_UPGRADE_SERVER: Condition.UserAction
    USER_ACTION_STOP_OTHER_CONNECTION: Condition.UserAction
    USER_ACTION_RESTORE_BACKUP: Condition.UserAction
    USER_ACTION_CONTACT_WHATSAPP: Condition.UserAction
    USER_ACTION_CHECK_NETWORK: Condition.UserAction
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    USER_ACTION_FIELD_NUMBER: _ClassVar[int]
    ENGINE_CODE_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    user_action: Condition.UserAction
    engine_code: str
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ..., user_action: _Optional[_Union[Condition.UserAction, str]] = ..., engine_code: _Optional[str] = ...) -> None: ...

class Account(_message.Message):
    __slots__ = ("jid", "lid", "push_name")
    JID_FIELD_NUMBER: _ClassVar[int]
    LID_FIELD_NUMBER: _ClassVar[int]
    PUSH_NAME_FIELD_NUMBER: _ClassVar[int]
    jid: str
    lid: str
    push_name: str
    def __init__(self, jid: _Optional[str] = ..., lid: _Optional[str] = ..., push_name: _Optional[str] = ...) -> None: ...
