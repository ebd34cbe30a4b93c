from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ServerFrame(_message.Message):
    __slots__ = ("session_id", "acknowledge", "call", "stop", "ping")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGE_FIELD_NUMBER: _ClassVar[int]
    CALL_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    PING_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    acknowledge: Acknowledge
    call: Call
    stop: Stop
    ping: Ping
    def __init__(self, session_id: _Optional[str] = ..., acknowledge: _Optional[_Union[Acknowledge, _Mapping]] = ..., call: _Optional[_Union[Call, _Mapping]] = ..., stop: _Optional[_Union[Stop, _Mapping]] = ..., ping: _Optional[_Union[Ping, _Mapping]] = ...) -> None: ...

class HostFrame(_message.Message):
    __slots__ = ("session_id", "event", "reply", "pong", "ready", "ending")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    REPLY_FIELD_NUMBER: _ClassVar[int]
    PONG_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    ENDING_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    event: Event
    reply: Reply
    pong: Pong
    ready: Ready
    ending: Ending
    def __init__(self, session_id: _Optional[str] = ..., event: _Optional[_Union[Event, _Mapping]] = ..., reply: _Optional[_Union[Reply, _Mapping]] = ..., pong: _Optional[_Union[Pong, _Mapping]] = ..., ready: _Optional[_Union[Ready, _Mapping]] = ..., ending: _Optional[_Union[Ending, _Mapping]] = ...) -> None: ...

class Start(_message.Message):
    __slots__ = ("session_id", "store", "spool_dir", "lock_file", "spool_acked", "proxy_url", "simulator_root_key", "fresh", "paired_deadline_millis", "login_deadline_millis", "drain_quiet_millis", "silence_millis")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    SPOOL_DIR_FIELD_NUMBER: _ClassVar[int]
    LOCK_FILE_FIELD_NUMBER: _ClassVar[int]
    SPOOL_ACKED_FIELD_NUMBER: _ClassVar[int]
    PROXY_URL_FIELD_NUMBER: _ClassVar[int]
    SIMULATOR_ROOT_KEY_FIELD_NUMBER: _ClassVar[int]
    FRESH_FIELD_NUMBER: _ClassVar[int]
    PAIRED_DEADLINE_MILLIS_FIELD_NUMBER: _ClassVar[int]
    LOGIN_DEADLINE_MILLIS_FIELD_NUMBER: _ClassVar[int]
    DRAIN_QUIET_MILLIS_FIELD_NUMBER: _ClassVar[int]
    SILENCE_MILLIS_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    store: str
    spool_dir: str
    lock_file: str
    spool_acked: int
    proxy_url: str
    simulator_root_key: bytes
    fresh: bool
    paired_deadline_millis: int
    login_deadline_millis: int
    drain_quiet_millis: int
    silence_millis: int
    def __init__(self, session_id: _Optional[str] = ..., store: _Optional[str] = ..., spool_dir: _Optional[str] = ..., lock_file: _Optional[str] = ..., spool_acked: _Optional[int] = ..., proxy_url: _Optional[str] = ..., simulator_root_key: _Optional[bytes] = ..., fresh: _Optional[bool] = ..., paired_deadline_millis: _Optional[int] = ..., login_deadline_millis: _Optional[int] = ..., drain_quiet_millis: _Optional[int] = ..., silence_millis: _Optional[int] = ...) -> None: ...

class Acknowledge(_message.Message):
    __slots__ = ("spool",)
    SPOOL_FIELD_NUMBER: _ClassVar[int]
    spool: int
    def __init__(self, spool: _Optional[int] = ...) -> None: ...

class Call(_message.Message):
    __slots__ = ("id", "pair_phone", "send_text", "unlink")
    ID_FIELD_NUMBER: _ClassVar[int]
    PAIR_PHONE_FIELD_NUMBER: _ClassVar[int]
    SEND_TEXT_FIELD_NUMBER: _ClassVar[int]
    UNLINK_FIELD_NUMBER: _ClassVar[int]
    id: int
    pair_phone: PairPhone
    send_text: SendText
    unlink: Unlink
    def __init__(self, id: _Optional[int] = ..., pair_phone: _Optional[_Union[PairPhone, _Mapping]] = ..., send_text: _Optional[_Union[SendText, _Mapping]] = ..., unlink: _Optional[_Union[Unlink, _Mapping]] = ...) -> None: ...

class PairPhone(_message.Message):
    __slots__ = ("phone",)
    PHONE_FIELD_NUMBER: _ClassVar[int]
    phone: str
    def __init__(self, phone: _Optional[str] = ...) -> None: ...

class SendText(_message.Message):
    __slots__ = ("recipient", "text", "secret")
    RECIPIENT_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    recipient: str
    text: str
    secret: bytes
    def __init__(self, recipient: _Optional[str] = ..., text: _Optional[str] = ..., secret: _Optional[bytes] = ...) -> None: ...

class Unlink(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Reply(_message.Message):
    __slots__ = ("id", "outcome", "pairing_code", "message_id", "send_time")
    class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        OUTCOME_UNSPECIFIED: _ClassVar[Reply.Outcome]
        OUTCOME_OK: _ClassVar[Reply.Outcome]
        OUTCOME_UNAVAILABLE: _ClassVar[Reply.Outcome]
        OUTCOME_UNKNOWN: _ClassVar[Reply.Outcome]
        OUTCOME_NO_RECIPIENT: _ClassVar[Reply.Outcome]
        OUTCOME_REFUSED: _ClassVar[Reply.Outcome]
    OUTCOME_UNSPECIFIED: Reply.Outcome
    OUTCOME_OK: Reply.Outcome
    OUTCOME_UNAVAILABLE: Reply.Outcome
    OUTCOME_UNKNOWN: Reply.Outcome
    OUTCOME_NO_RECIPIENT: Reply.Outcome
    OUTCOME_REFUSED: Reply.Outcome
    ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    PAIRING_CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    SEND_TIME_FIELD_NUMBER: _ClassVar[int]
    id: int
    outcome: Reply.Outcome
    pairing_code: str
    message_id: str
    send_time: int
    def __init__(self, id: _Optional[int] = ..., outcome: _Optional[_Union[Reply.Outcome, str]] = ..., pairing_code: _Optional[str] = ..., message_id: _Optional[str] = ..., send_time: _Optional[int] = ...) -> None: ...

class Stop(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Ping(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: int
    def __init__(self, id: _Optional[int] = ...) -> None: ...

class Pong(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: int
    def __init__(self, id: _Optional[int] = ...) -> None: ...

class Ready(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Ending(_message.Message):
    __slots__ = ("reason", "drained", "engine_code", "expire_seconds")
    REASON_FIELD_NUMBER: _ClassVar[int]
    DRAINED_FIELD_NUMBER: _ClassVar[int]
    ENGINE_CODE_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    reason: str
    drained: bool
    engine_code: str
    expire_seconds: int
    def __init__(self, reason: _Optional[str] = ..., drained: _Optional[bool] = ..., engine_code: _Optional[str] = ..., expire_seconds: _Optional[int] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("spool", "qr_code", "paired", "connected", "disconnected", "keep_alive_timeout", "keep_alive_restored", "stream_failed", "message_received", "receipt_received", "raw_event")
    SPOOL_FIELD_NUMBER: _ClassVar[int]
    QR_CODE_FIELD_NUMBER: _ClassVar[int]
    PAIRED_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_FIELD_NUMBER: _ClassVar[int]
    DISCONNECTED_FIELD_NUMBER: _ClassVar[int]
    KEEP_ALIVE_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    KEEP_ALIVE_RESTORED_FIELD_NUMBER: _ClassVar[int]
    STREAM_FAILED_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_RECEIVED_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_RECEIVED_FIELD_NUMBER: _ClassVar[int]
    RAW_EVENT_FIELD_NUMBER: _ClassVar[int]
    spool: int
    qr_code: QrCode
    paired: Paired
    connected: Connected
    disconnected: Disconnected
    keep_alive_timeout: KeepAliveTimeout
    keep_alive_restored: KeepAliveRestored
    stream_failed: StreamFailed
    message_received: MessageReceived
    receipt_received: ReceiptReceived
    raw_event: RawEvent
    def __init__(self, spool: _Optional[int] = ..., qr_code: _Optional[_Union[QrCode, _Mapping]] = ..., paired: _Optional[_Union[Paired, _Mapping]] = ..., connected: _Optional[_Union[Connected, _Mapping]] = ..., disconnected: _Optional[_Union[Disconnected, _Mapping]] = ..., keep_alive_timeout: _Optional[_Union[KeepAliveTimeout, _Mapping]] = ..., keep_alive_restored: _Optional[_Union[KeepAliveRestored, _Mapping]] = ..., stream_failed: _Optional[_Union[StreamFailed, _Mapping]] = ..., message_received: _Optional[_Union[MessageReceived, _Mapping]] = ..., receipt_received: _Optional[_Union[ReceiptReceived, _Mapping]] = ..., raw_event: _Optional[_Union[RawEvent, _Mapping]] = ...) -> None: ...

class Account(_message.Message):
    __slots__ = ("jid", "lid", "push_name", "device")
    JID_FIELD_NUMBER: _ClassVar[int]
    LID_FIELD_NUMBER: _ClassVar[int]
    PUSH_NAME_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    jid: str
    lid: str
    push_name: str
    device: int
    def __init__(self, jid: _Optional[str] = ..., lid: _Optional[str] = ..., push_name: _Optional[str] = ..., device: _Optional[int] = ...) -> None: ...

class QrCode(_message.Message):
    __slots__ = ("payload", "lifetime_millis")
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    LIFETIME_MILLIS_FIELD_NUMBER: _ClassVar[int]
    payload: str
    lifetime_millis: int
    def __init__(self, payload: _Optional[str] = ..., lifetime_millis: _Optional[int] = ...) -> None: ...

class Paired(_message.Message):
    __slots__ = ("account",)
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    account: Account
    def __init__(self, account: _Optional[_Union[Account, _Mapping]] = ...) -> None: ...

class Connected(_message.Message):
    __slots__ = ("account",)
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    account: Account
    def __init__(self, account: _Optional[_Union[Account, _Mapping]] = ...) -> None: ...

class Disconnected(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class KeepAliveTimeout(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class KeepAliveRestored(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StreamFailed(_message.Message):
    __slots__ = ("engine_code",)
    ENGINE_CODE_FIELD_NUMBER: _ClassVar[int]
    engine_code: str
    def __init__(self, engine_code: _Optional[str] = ...) -> None: ...

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
    send_time: int
    text: str
    raw: bytes
    undecryptable: bool
    def __init__(self, chat: _Optional[str] = ..., message_id: _Optional[str] = ..., sender: _Optional[str] = ..., sender_lid: _Optional[str] = ..., from_me: _Optional[bool] = ..., group: _Optional[bool] = ..., push_name: _Optional[str] = ..., send_time: _Optional[int] = ..., text: _Optional[str] = ..., raw: _Optional[bytes] = ..., undecryptable: _Optional[bool] = ...) -> None: ...

class ReceiptReceived(_message.Message):
    __slots__ = ("chat", "sender", "message_ids", "type", "send_time")
    CHAT_FIELD_NUMBER: _ClassVar[int]
    SENDER_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_IDS_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    SEND_TIME_FIELD_NUMBER: _ClassVar[int]
    chat: str
    sender: str
    message_ids: _containers.RepeatedScalarFieldContainer[str]
    type: str
    send_time: int
    def __init__(self, chat: _Optional[str] = ..., sender: _Optional[str] = ..., message_ids: _Optional[_Iterable[str]] = ..., type: _Optional[str] = ..., send_time: _Optional[int] = ...) -> None: ...

class RawEvent(_message.Message):
    __slots__ = ("type", "payload")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    type: str
    payload: bytes
    def __init__(self, type: _Optional[str] = ..., payload: _Optional[bytes] = ...) -> None: ...

class ZygoteRequest(_message.Message):
    __slots__ = ("id", "start")
    ID_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    id: int
    start: Start
    def __init__(self, id: _Optional[int] = ..., start: _Optional[_Union[Start, _Mapping]] = ...) -> None: ...

class ZygoteReport(_message.Message):
    __slots__ = ("ready", "host_forked", "host_exited")
    READY_FIELD_NUMBER: _ClassVar[int]
    HOST_FORKED_FIELD_NUMBER: _ClassVar[int]
    HOST_EXITED_FIELD_NUMBER: _ClassVar[int]
    ready: ZygoteReady
    host_forked: HostForked
    host_exited: HostExited
    def __init__(self, ready: _Optional[_Union[ZygoteReady, _Mapping]] = ..., host_forked: _Optional[_Union[HostForked, _Mapping]] = ..., host_exited: _Optional[_Union[HostExited, _Mapping]] = ...) -> None: ...

class ZygoteReady(_message.Message):
    __slots__ = ("engine_version",)
    ENGINE_VERSION_FIELD_NUMBER: _ClassVar[int]
    engine_version: str
    def __init__(self, engine_version: _Optional[str] = ...) -> None: ...

class HostForked(_message.Message):
    __slots__ = ("id", "pid", "failure")
    ID_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    id: int
    pid: int
    failure: str
    def __init__(self, id: _Optional[int] = ..., pid: _Optional[int] = ..., failure: _Optional[str] = ...) -> None: ...

class HostExited(_message.Message):
    __slots__ = ("pid", "exit_code")
    PID_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    pid: int
    exit_code: int
    def __init__(self, pid: _Optional[int] = ..., exit_code: _Optional[int] = ...) -> None: ...
