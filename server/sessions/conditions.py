"""Every reason a session can be in trouble for, with what a person can do: one table."""

from dataclasses import replace

from .model import Condition, UserAction


def _row(reason: str, action: UserAction, message: str) -> tuple[str, Condition]:
    return reason, Condition(reason=reason, message=message, user_action=action)


CONDITIONS: dict[str, Condition] = dict(
    (
        _row("CONNECTION_LOST", UserAction.WAIT, "The connection was lost; reconnecting."),
        _row(
            "CONNECT_FAILED",
            UserAction.CHECK_NETWORK,
            "WhatsApp could not be reached; trying again at next_attempt_time.",
        ),
        _row(
            "KEEPALIVE_TIMEOUT",
            UserAction.WAIT,
            "WhatsApp has stopped answering on this connection; reconnecting.",
        ),
        _row(
            "STREAM_ERROR",
            UserAction.WAIT,
            "WhatsApp ended the stream with an error it does not explain; reconnecting.",
        ),
        _row(
            "ENGINE_CRASHED",
            UserAction.WAIT,
            "The engine process ended or hung; it is started again.",
        ),
        _row(
            "STREAM_REPLACED",
            UserAction.STOP_OTHER_CONNECTION,
            "Another connection uses these credentials; this one stays down so as not to fight it.",
        ),
        _row(
            "LOGGED_OUT",
            UserAction.PAIR_AGAIN,
            "The phone or WhatsApp removed this device; its keys are in trash.",
        ),
        _row(
            "ACCOUNT_LOCKED",
            UserAction.OPEN_PHONE,
            "WhatsApp locked the account or its phone is gone (403); the keys are in trash.",
        ),
        _row(
            "ACCOUNT_BANNED",
            UserAction.CONTACT_WHATSAPP,
            "WhatsApp banned the account (406); the keys are in trash.",
        ),
        _row(
            "ACCOUNT_TEMPORARILY_BANNED",
            UserAction.WAIT,
            "WhatsApp banned the account for a time (402); connecting again when it is over.",
        ),
        _row(
            "CLIENT_OUTDATED",
            UserAction.UPGRADE_SERVER,
            "WhatsApp refuses this engine version (405).",
        ),
        _row(
            "LOGIN_REFUSED",
            UserAction.OPEN_PHONE,
            "WhatsApp refuses the login for a reason that trying again does not cure.",
        ),
        _row(
            "STORE_DAMAGED",
            UserAction.RESTORE_BACKUP,
            "The credential store is missing or damaged; nothing was written to it.",
        ),
        _row("UNLINKED_BY_USER", UserAction.PAIR_AGAIN, "UnlinkSession logged this device out."),
        _row(
            "PAIRING_EXPIRED",
            UserAction.PAIR_AGAIN,
            "Nobody scanned the QR code or typed the pairing code in time.",
        ),
        _row(
            "PAIRING_REJECTED", UserAction.PAIR_AGAIN, "The phone or WhatsApp refused the pairing."
        ),
        _row("INTERNAL", UserAction.NONE, "A bug in the server stopped this session; see its log."),
    )
)


def condition(reason: str, engine_code: str = "") -> Condition:
    """The condition for a reason; `engine_code` is WhatsApp's code or the engine's event name."""
    return replace(CONDITIONS[reason], engine_code=engine_code)
