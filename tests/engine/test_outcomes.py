"""Every ending of the engine has its reason, and no text of the engine gets out."""

import pytest
from roost.engine.v1.frames_pb2 import Reply

from server.engine.base import EndReason
from server.engine.outcomes import (
    End,
    LoginLog,
    from_exit,
    from_login_failure,
    from_login_status,
    from_request_error,
    from_returned_error,
    from_send_error,
    store_trouble,
)

SECRET = "15551234567@s.whatsapp.net"


@pytest.mark.parametrize(
    ("status", "age", "expected"),
    [
        ("success", 3.0, None),
        ("err-scanned-without-multidevice", 3.0, None),
        ("timeout", 20.0, End(reason=EndReason.PAIRING_EXPIRED, code="timeout")),
        ("timeout", 3.0, End(reason=EndReason.CONNECT_FAILED, code="connection-lost")),
        ("timeout", None, End(reason=EndReason.CONNECT_FAILED, code="connection-lost")),
        ("err-client-outdated", None, End(reason=EndReason.CLIENT_OUTDATED, code="405")),
        ("error", 3.0, End(reason=EndReason.PAIRING_REJECTED, code="error")),
        ("passkey-request", 3.0, End(reason=EndReason.PAIRING_REJECTED, code="passkey-request")),
        ("err-unexpected-state", 3.0, End(reason=EndReason.LOGIN_REFUSED, code="unexpected-state")),
        ("something new", 3.0, End(reason=EndReason.LOGIN_REFUSED, code="unexpected-state")),
    ],
)
def test_login_status(status: str, age: float | None, expected: End | None) -> None:
    assert from_login_status(status, seconds_since_code=age, log=LoginLog()) == expected


def test_the_log_gives_what_the_status_leaves_out() -> None:
    log = LoginLog()
    log.read("Received stream end frame")
    assert from_login_status("timeout", seconds_since_code=1.0, log=log) == End(
        reason=EndReason.PAIRING_EXPIRED, code="timeout"
    )
    log.read('Temporary ban connect failure: <failure code="104" expire="3600" reason="402"/>')
    assert from_login_status("err-unexpected-state", seconds_since_code=1.0, log=log) == End(
        reason=EndReason.TEMPORARY_BAN, code="104", expire_seconds=3600
    )


@pytest.mark.parametrize(
    ("name", "reason", "code"),
    [
        ("LOGGED_OUT", EndReason.LOGGED_OUT, "401"),
        ("MAIN_DEVICE_GONE", EndReason.ACCOUNT_LOCKED, "403"),
        ("UNKNOWN_LOGOUT", EndReason.ACCOUNT_BANNED, "406"),
        ("CLIENT_OUTDATED", EndReason.CLIENT_OUTDATED, "405"),
        ("GENERIC", EndReason.LOGIN_REFUSED, "400"),
        ("BAD_USER_AGENT", EndReason.LOGIN_REFUSED, "409"),
        ("A_NEW_ONE", EndReason.LOGIN_REFUSED, ""),
    ],
)
def test_login_failure(name: str, reason: EndReason, code: str) -> None:
    assert from_login_failure(name) == End(reason=reason, code=code)


@pytest.mark.parametrize(
    ("text", "was_connected", "reason", "code"),
    [
        ("required field neonize.ConnectFailure.Reason not set", False, "login_refused", "418"),
        ("required field neonize.TemporaryBan.Code not set", False, "temporary_ban", "402"),
        ("required field neonize.Receipt.Type not set", True, "crashed", "event-loop:Receipt.Type"),
        ("failed to upgrade database: " + SECRET, False, "store_damaged", "engine-refused"),
        ("database disk image is malformed", True, "store_damaged", "engine-refused"),
        ("failed to dial whatsapp web websocket: got 503", False, "connect_failed", "http-503"),
        ("failed to WebSocket dial: connection refused", False, "connect_failed", "dial"),
        ("noise handshake failed: EOF " + SECRET, False, "connect_failed", "handshake"),
        ("websocket closed", True, "crashed", "engine-error"),
        ("anything with " + SECRET, False, "crashed", "engine-error"),
        ("", False, "crashed", "engine-returned"),
    ],
)
def test_returned_error(text: str, *, was_connected: bool, reason: str, code: str) -> None:
    log = LoginLog()
    log.read('Unknown connect failure: <failure location="sim" reason="418"/>')
    end = from_returned_error(text, was_connected=was_connected, log=log)
    assert (end.reason, end.code) == (reason, code)


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        (f"no LID found for {SECRET} from server", Reply.OUTCOME_NO_RECIPIENT),
        (
            "failed to get group members: that group does not exist: info query returned 404",
            Reply.OUTCOME_NO_RECIPIENT,
        ),
        (
            "failed to get group members: you're not participating in that group: info query",
            Reply.OUTCOME_NO_RECIPIENT,
        ),
        ("failed to get group members: info query timed out", Reply.OUTCOME_UNAVAILABLE),
        ("websocket not connected", Reply.OUTCOME_UNAVAILABLE),
        ("failed to get user info for 1 to fill LID cache: timed out", Reply.OUTCOME_UNAVAILABLE),
        ("websocket disconnected before info query returned response", Reply.OUTCOME_UNAVAILABLE),
        ("server returned error 479", Reply.OUTCOME_REFUSED),
        ("timed out waiting for message send response", Reply.OUTCOME_UNKNOWN),
        ("websocket disconnected before message send returned response", Reply.OUTCOME_UNKNOWN),
        ("something new", Reply.OUTCOME_UNKNOWN),
    ],
)
def test_send_error(text: str, outcome: Reply.Outcome) -> None:
    assert from_send_error(text) == outcome


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("phone number too short", Reply.OUTCOME_REFUSED),
        ("info query returned status 429: rate-overlimit", Reply.OUTCOME_REFUSED),
        ("info query timed out", Reply.OUTCOME_UNAVAILABLE),
        ("websocket not connected", Reply.OUTCOME_UNAVAILABLE),
    ],
)
def test_request_error(text: str, outcome: Reply.Outcome) -> None:
    assert from_request_error(text) == outcome


@pytest.mark.parametrize(
    ("exit_code", "name"),
    [(-9, "SIGKILL"), (-6, "SIGABRT"), (2, "exit-2"), (-99, "signal-99"), (None, "unknown-exit")],
)
def test_exit(exit_code: int | None, name: str) -> None:
    assert from_exit(exit_code) == name


def test_trouble_with_the_store_is_told_from_the_log():
    """In SQLite's words, and nothing else of the line."""
    line = "Failed to store session with 1555@s.whatsapp.net: database is locked"
    assert store_trouble(line) == "database is locked"
    assert store_trouble("Error decrypting message: no valid sessions") == ""
