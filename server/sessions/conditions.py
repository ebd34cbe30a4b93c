"""Conditions that do not come from the end of an engine (those are in `restarts`)."""

from dataclasses import replace

from .model import Condition, UserAction

CONNECTION_LOST = Condition(
    reason="CONNECTION_LOST",
    message="The connection to WhatsApp was lost; reconnecting.",
    user_action=UserAction.WAIT,
    engine_code="Disconnected",
)
KEEPALIVE_TIMEOUT = Condition(
    reason="KEEPALIVE_TIMEOUT",
    message="WhatsApp's servers stopped answering; reconnecting.",
    user_action=UserAction.WAIT,
    engine_code="KeepAliveTimeout",
)
STREAM_ERROR = Condition(
    reason="STREAM_ERROR",
    message="WhatsApp ended the stream with an error it does not explain; reconnecting.",
    user_action=UserAction.WAIT,
)
UNLINKED_BY_USER = Condition(
    reason="UNLINKED_BY_USER",
    message="UnlinkSession removed this device from the account.",
    user_action=UserAction.PAIR_AGAIN,
)
UNLINKED_HERE_ONLY = replace(
    UNLINKED_BY_USER,
    message="Unlinked on this server, which could not tell WhatsApp: remove the device on the "
    "phone, in Linked devices, if it is still there.",
)
SERVER_DRAINING = Condition(
    reason="SERVER_DRAINING",
    message="The server is shutting down; the session starts again with the next one.",
    user_action=UserAction.WAIT,
)
INTERNAL = Condition(
    reason="INTERNAL",
    message="A bug stopped this session; see the server's log. StartSession tries again.",
    user_action=UserAction.NONE,
)


FIRST_BACKUP_FAILED = "The session runs, but its first backup failed; trying again."


def is_about_backups(condition: Condition | None) -> bool:
    """Whether it says nothing of the session itself: any other condition is more important."""
    return condition is not None and (
        condition.reason in {"BACKUP_SUSPECT", "BACKUP_FAILING"}
        or condition.message == FIRST_BACKUP_FAILED
    )


def stream_error(engine_code: str) -> Condition:
    """STREAM_ERROR with WhatsApp's code."""
    return replace(STREAM_ERROR, engine_code=engine_code)


def backup_suspect(problem: str) -> Condition:
    """The newest copy is not good; the good ones before it stay."""
    return Condition(
        reason="BACKUP_SUSPECT",
        message=f"The newest backup did not pass its checks: {problem}. Older good ones are kept.",
        user_action=UserAction.NONE,
    )


def backup_failing(reason: str) -> Condition:
    """No copy could be made for a while; it is tried again."""
    return Condition(
        reason="BACKUP_FAILING",
        message=f"Backups have failed several times in a row ({reason}); trying again.",
        user_action=UserAction.WAIT,
    )


def first_backup_failed(reason: str) -> Condition:
    """The session runs; what failed is the backup that follows a pairing."""
    return Condition(
        reason=reason,
        message=FIRST_BACKUP_FAILED,
        user_action=UserAction.WAIT,
    )


def pairing_failed(condition: Condition) -> Condition:
    """The end of an engine, where it ended a pairing: nothing is tried again by itself."""
    if condition.user_action is UserAction.WAIT:
        condition = replace(condition, user_action=UserAction.PAIR_AGAIN)
    if condition.reason.startswith("PAIRING_"):
        return condition
    return replace(condition, message="The pairing could not be completed; see the reason.")
