"""The engine port: what one running session can be asked, and what it reports.

No neonize, no processes and no protobuf here: `sessions/` knows only this file. The real engine is
`zygote_engine.ZygoteEngine`; `fake.FakeEngine` plays it in unit tests of the rooms above.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A linked account. JIDs without device part."""

    jid: str  # 15551234567@s.whatsapp.net
    lid: str  # 123456789012345@lid; empty if unknown
    push_name: str
    device: int = 0  # this companion's device number


class ReceiptType(StrEnum):
    """What a receipt says; `roost.v1.ReceiptReceived.Type` explains each."""

    UNKNOWN = "unknown"
    DELIVERED = "delivered"
    READ = "read"
    PLAYED = "played"
    INACTIVE = "inactive"
    READ_SELF = "read_self"
    RETRY = "retry"
    SENDER = "sender"


class EndReason(StrEnum):
    """Why an engine session will not come back by itself."""

    STOPPED = "stopped"  # asked to
    LOGGED_OUT = "logged_out"  # removed on the phone, or login failure 401
    ACCOUNT_LOCKED = "account_locked"  # login failure 403
    ACCOUNT_BANNED = "account_banned"  # login failure 406
    TEMPORARY_BAN = "temporary_ban"  # login failure 402; `expire_seconds` is set
    STREAM_REPLACED = "stream_replaced"  # another connection with the same credentials
    CLIENT_OUTDATED = "client_outdated"  # login failure 405, also while pairing
    LOGIN_REFUSED = "login_refused"  # any other login failure that retrying does not cure
    CONNECT_FAILED = "connect_failed"  # the first connection could not be made
    PAIRING_EXPIRED = "pairing_expired"  # all QR codes ran out
    PAIRING_REJECTED = "pairing_rejected"  # signatures or HMAC of the phone's answer are wrong
    STORE_DAMAGED = "store_damaged"  # missing, empty or corrupt store file
    CRASHED = "crashed"  # the process ended, hung, or its event loop died
    # Not of an engine: it was not allowed to start, or to go on.
    LEASED = "leased"  # another server has the session
    STORAGE_AWAY = "storage_away"  # it cannot be seen whether another server has it


# --- what happens, in order. Durable events carry `spool`: the position in the session's spool,
# --- growing by one, never reused; 0 on the others. A durable event is repeated by the next host
# --- of the session until it is acknowledged.


@dataclass(frozen=True, slots=True, kw_only=True)
class QrCode:
    """Show this; it replaces the one before."""

    payload: str
    lifetime: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """The phone accepted; the store now holds credentials. `Connected` follows."""

    account: Account


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """Logged in and receiving."""

    account: Account


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnected:
    """The socket was lost; the engine reconnects by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepAliveTimeout:
    """The server has not answered pings for a while."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepAliveRestored:
    """It answers again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFailed:
    """An unexplained stream error; the engine reconnects by itself."""

    engine_code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReceived:
    """A message; fields as in `roost.v1.MessageReceived`."""

    spool: int
    chat: str
    message_id: str
    sender: str
    sender_lid: str
    from_me: bool
    group: bool
    push_name: str
    send_time: datetime
    text: str
    raw: bytes
    undecryptable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptReceived:
    """A receipt; fields as in `roost.v1.ReceiptReceived`."""

    spool: int
    chat: str
    sender: str
    message_ids: tuple[str, ...]
    type: ReceiptType
    send_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RawEvent:
    """Any other event of the engine, verbatim."""

    spool: int
    type: str
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Always the last event: the process is gone and the store file is closed.

    `clean` is true when the process was seen to end by itself after an orderly disconnect, so that
    the store is provably at its last state.
    """

    reason: EndReason
    clean: bool
    engine_code: str = ""  # WhatsApp's code or the engine's event name
    expire_seconds: int = 0


DurableEvent = MessageReceived | ReceiptReceived | RawEvent
EngineEvent = (
    QrCode
    | Paired
    | Connected
    | Disconnected
    | KeepAliveTimeout
    | KeepAliveRestored
    | StreamFailed
    | DurableEvent
    | Ended
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartSpec:
    """How to start one session's engine."""

    session_id: str
    store: Path  # sessions/<id>/<store epoch>/store.db; created when absent and `fresh`
    spool_dir: Path  # sessions/<id>/spool
    fresh: bool  # True: an empty store is made for pairing. False: it must exist and hold a device
    connect_epoch: int  # grows by one with every start of this session, stored before the start
    spool_acked: int  # everything up to this spool position is in the log: repeat only what follows
    proxy_url: str  # the session's own proxy; empty: the server's setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """WhatsApp's server acknowledged a message."""

    message_id: str
    send_time: datetime


class EngineSession(Protocol):
    """One running session. All methods may be called concurrently from the server's loop.

    Each call raises `server.core.errors.EngineUnavailable` when the engine is gone or not
    connected. After `Ended` has been delivered every call does.
    """

    @property
    def pid(self) -> int:
        """The host process."""
        ...

    def events(self) -> AsyncIterator[EngineEvent]:
        """All events in order, `Ended` last. One reader only; memory for unread ones is bounded."""
        ...

    async def acknowledge(self, spool: int) -> None:
        """Everything up to `spool` is durable elsewhere; the spool may forget it."""
        ...

    async def request_pairing_code(self, phone: str) -> str:
        """Asks for a code to type on the phone (`XXXX-XXXX`); `phone` is digits only.

        Only after the first QrCode event. May be repeated. Raises PairingRejected if WhatsApp
        refuses the number.
        """
        ...

    async def send_text(self, *, recipient: str, text: str, secret: bytes) -> Sent:
        """Sends a text to a JID.

        The engine picks the message id, and neonize gives no way to choose it. `secret` is 32
        fresh random bytes of the caller (WhatsApp's messageSecret, it travels inside the message).
        The engine writes id and secret to the store before anything leaves, so a caller that
        remembered the secret can ask `find_sent` after any crash: nothing there means certainly
        not sent.

        Raises RecipientNotFound, EngineUnavailable (certainly not sent) or SendTimedOut (unknown;
        the session must be restarted: whatsmeow may hold its send lock for ever).
        """
        ...

    async def find_sent(self, secret: bytes) -> str | None:
        """The id of the message that was given this secret; None if certainly none was."""
        ...

    async def unlink(self) -> None:
        """Logs this device out on WhatsApp. The guard trigger keeps the keys; `Ended` follows."""
        ...

    async def stop(self, grace: timedelta) -> None:
        """Disconnects, lets queued events reach the spool, ends the process.

        Kills it after `grace`. Returns when the process is gone. Idempotent.
        """
        ...


class Engine(Protocol):
    """Starts sessions."""

    @property
    def version(self) -> str:
        """E.g. `neonize/0.5.2`."""
        ...

    async def start(self, spec: StartSpec) -> EngineSession:
        """Starts a host process for the session and returns once it exists.

        Waits for (and after a bound kills) a host of the same session that an earlier server left
        behind, so that two never run at once. Raises EngineUnavailable.
        """
        ...
