"""What an ending of the engine means. Pure; no text of the engine is passed on, only its codes.

The engine tells its end in five ways: an event, a login status while pairing, an error text when
its blocking call returns, its log, or the death of the process. Source of the texts: whatsmeow's
`connectionevents.go`, `qrchan.go`, `client.go`, and neonize's generated messages, whose required
fields make the event loop fail on values that they have no name for.
"""

import re
import signal
from dataclasses import dataclass
from typing import Final

from roost.engine.v1 import frames_pb2 as frames

from .base import EndReason


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """Why a host ends, in the words of the port."""

    reason: EndReason
    code: str = ""
    expire_seconds: int = 0


# ConnectFailureReason of neonize, by name: WhatsApp's number, and what it means for a session.
_FAILURES: Final = {
    "GENERIC": ("400", EndReason.LOGIN_REFUSED),
    "LOGGED_OUT": ("401", EndReason.LOGGED_OUT),
    "TEMP_BANNED": ("402", EndReason.TEMPORARY_BAN),
    "MAIN_DEVICE_GONE": ("403", EndReason.ACCOUNT_LOCKED),
    "CLIENT_OUTDATED": ("405", EndReason.CLIENT_OUTDATED),
    "UNKNOWN_LOGOUT": ("406", EndReason.ACCOUNT_BANNED),
    "BAD_USER_AGENT": ("409", EndReason.LOGIN_REFUSED),
    "INTERNAL_SERVER_ERROR": ("500", EndReason.LOGIN_REFUSED),
    "EXPERIMENTAL": ("501", EndReason.LOGIN_REFUSED),
    "SERVICE_UNAVAILABLE": ("503", EndReason.LOGIN_REFUSED),
}
_STORE_TROUBLE: Final = re.compile(
    r"database disk image is malformed|file is not a database|unable to open database"
    r"|unsupported database schema|failed to upgrade database|no such (table|column)"
)
_REQUIRED_FIELD: Final = re.compile(r"required field (?:neonize|defproto)\.([A-Za-z_.]+) not set")
_HTTP_STATUS: Final = re.compile(r"\b([45]\d\d)\b")
_DIAL: Final = re.compile(r"failed to dial|websocket|handshake|proxyconnect|connection re|EOF")
_CODES_EXHAUSTED_SECONDS: Final = 19.0
_PAIRING_GOES_ON: Final = {"success", "err-scanned-without-multidevice"}
# WhatsApp asks some accounts for a passkey; neonize 0.5.2 has no way to give one.
_STATUSES: Final = {
    "err-client-outdated": End(reason=EndReason.CLIENT_OUTDATED, code="405"),
} | {
    status: End(reason=EndReason.PAIRING_REJECTED, code=status)
    for status in ("error", "passkey-request", "passkey-confirmation")
}


def from_login_failure(name: str) -> End:
    """What a `ConnectFailureReason` that arrived as an event means."""
    code, reason = _FAILURES.get(name, ("", EndReason.LOGIN_REFUSED))
    return End(reason=reason, code=code)


def from_login_status(
    status: str, *, seconds_since_code: float | None, log: "LoginLog"
) -> End | None:
    """What a login status of an unpaired engine means; None if pairing goes on.

    "timeout" is said both when the codes have run out and when the connection was lost. They have
    run out if WhatsApp ended the stream in order, or if the last code was shown to its end: codes
    are exchanged every 20 seconds.
    """
    if status in _PAIRING_GOES_ON:
        return None
    if status == "timeout":
        age = seconds_since_code or 0.0
        if log.has_stream_ended or age >= _CODES_EXHAUSTED_SECONDS:
            return End(reason=EndReason.PAIRING_EXPIRED, code=status)
        return End(reason=EndReason.CONNECT_FAILED, code="connection-lost")
    if status in _STATUSES:
        return _STATUSES[status]
    return (
        log.ban()
        if log.is_banned
        else End(reason=EndReason.LOGIN_REFUSED, code=log.reason or "unexpected-state")
    )


def from_returned_error(text: str, *, was_connected: bool, log: "LoginLog") -> End:
    """What it means that the engine's blocking call returned by itself, with this error text."""
    if required := _REQUIRED_FIELD.search(text):
        field = required[1]
        if field.startswith("ConnectFailure."):
            return End(reason=EndReason.LOGIN_REFUSED, code=log.reason or "unknown")
        if field.startswith("TemporaryBan."):
            return log.ban()
        # An event with a value that neonize has no name for: its loop is dead, the socket is not.
        return End(reason=EndReason.CRASHED, code=f"event-loop:{field}")
    if _STORE_TROUBLE.search(text):
        return End(reason=EndReason.STORE_DAMAGED, code="engine-refused")
    if not was_connected and _DIAL.search(text):
        status = _HTTP_STATUS.search(text)
        kind = "handshake" if "noise handshake" in text else "dial"
        return End(reason=EndReason.CONNECT_FAILED, code=f"http-{status[1]}" if status else kind)
    return End(reason=EndReason.CRASHED, code="engine-error" if text else "engine-returned")


# What SQLite says when a store cannot be used as it should be.
_STORE_TROUBLES: Final = (
    "database is locked",
    "database table is locked",
    "database schema is locked",
    "disk I/O error",
    "database disk image is malformed",
    "attempt to write a readonly database",
    "database or disk is full",
    "unable to open database file",
)


def store_trouble(line: str) -> str:
    """What a line of whatsmeow's log says of a store in trouble; empty: nothing."""
    return next((trouble for trouble in _STORE_TROUBLES if trouble in line), "")


class LoginLog:
    """Takes from whatsmeow's log what neonize's events leave out."""

    _REASON: Final = re.compile(r'\breason="?(\d+)')
    _CODE: Final = re.compile(r'\bcode="?(\d+)')
    _EXPIRE: Final = re.compile(r'\bexpire="?(\d+)')

    def __init__(self) -> None:
        self.reason = ""
        self.is_banned = False
        self.has_stream_ended = False
        self._ban_code = ""
        self._ban_seconds = 0

    def read(self, line: str) -> None:
        """Looks at one line; keeps digits only."""
        if line.startswith("Unknown connect failure") and (found := self._REASON.search(line)):
            self.reason = found[1][:6]
        elif line.startswith("Temporary ban connect failure"):
            self.is_banned = True
            if found := self._CODE.search(line):
                self._ban_code = found[1][:6]
            if found := self._EXPIRE.search(line):
                self._ban_seconds = int(found[1][:10])
        elif line.startswith("Received stream end frame"):
            self.has_stream_ended = True

    def ban(self) -> End:
        """The temporary ban that was read."""
        return End(
            reason=EndReason.TEMPORARY_BAN,
            code=self._ban_code or "402",
            expire_seconds=self._ban_seconds,
        )


def from_exit(exit_code: int | None) -> str:
    """Names the end of a process that did not say why: the signal, or its exit code."""
    if exit_code is None:
        return "unknown-exit"
    if exit_code >= 0:
        return f"exit-{exit_code}"
    try:
        return signal.Signals(-exit_code).name
    except ValueError:
        return f"signal-{-exit_code}"


_NO_RECIPIENT: Final = re.compile(
    r"no LID found for|that group does not exist|not participating in that group"
)
# Everything that whatsmeow asks for before a message leaves.
_BEFORE_SENDING: Final = re.compile(
    r"websocket not connected|client is nil|doesn't contain a device JID"
    r"|failed to get (LID|user info|device list|group members)|info query|can't encrypt"
)
_REFUSED_BY_SERVER: Final = re.compile(r"server returned error")
_UNANSWERED: Final = re.compile(
    r"websocket|client is nil|timed out|context (canceled|deadline)|disconnected"
)


def from_send_error(text: str) -> frames.Reply.Outcome:
    """What became of a text that the engine reported as failed."""
    if _NO_RECIPIENT.search(text):
        return frames.Reply.OUTCOME_NO_RECIPIENT
    if _REFUSED_BY_SERVER.search(text):
        return frames.Reply.OUTCOME_REFUSED
    if _BEFORE_SENDING.search(text):
        return frames.Reply.OUTCOME_UNAVAILABLE
    return frames.Reply.OUTCOME_UNKNOWN


def from_request_error(text: str) -> frames.Reply.Outcome:
    """What became of a request for a code, or to log out."""
    if _UNANSWERED.search(text):
        return frames.Reply.OUTCOME_UNAVAILABLE
    return frames.Reply.OUTCOME_REFUSED
