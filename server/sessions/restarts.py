"""What to do when an engine has ended: pure, one table.

A session is tried again for ever when the cause may go away by itself, and never when trying would
do harm or a person is needed. Delays follow Home Assistant (2^n x 5 s, capped at n = 4, with
jitter), after a first retry that is nearly immediate; a stable minute starts the count over. An
engine that keeps crashing costs a login each time, which WhatsApp may hold against the account:
Nomad's window limits these to `attempts` in `window`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum, auto

from server.engine.base import Ended, EndReason

from .model import Condition, UserAction


class Cure(Enum):
    """What brings a session back."""

    RETRY = auto()  # another try, for ever
    RETRY_IN_WINDOW = auto()  # another try, a limited number of times in a while
    EXPIRY = auto()  # waiting as long as WhatsApp says
    PERSON = auto()  # StartSession, when somebody has seen to it
    PAIRING = auto()  # these credentials are revoked: PairSession


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """How one end is explained and cured."""

    reason: str
    message: str
    user_action: UserAction
    cure: Cure


def _row(reason: str, user_action: UserAction, cure: Cure, message: str) -> Row:
    return Row(reason=reason, message=message, user_action=user_action, cure=cure)


TABLE: dict[EndReason, Row] = {
    EndReason.STOPPED: _row(
        "ENGINE_CRASHED",
        UserAction.WAIT,
        Cure.RETRY_IN_WINDOW,
        "The engine process ended without being asked to; starting it again.",
    ),
    EndReason.CRASHED: _row(
        "ENGINE_CRASHED",
        UserAction.WAIT,
        Cure.RETRY_IN_WINDOW,
        "The engine process ended or hung; starting it again.",
    ),
    EndReason.CONNECT_FAILED: _row(
        "CONNECT_FAILED",
        UserAction.CHECK_NETWORK,
        Cure.RETRY,
        "WhatsApp could not be reached; trying again.",
    ),
    EndReason.TEMPORARY_BAN: _row(
        "ACCOUNT_TEMPORARILY_BANNED",
        UserAction.WAIT,
        Cure.EXPIRY,
        "WhatsApp banned the account for a while; connecting again when the ban is over.",
    ),
    EndReason.STREAM_REPLACED: _row(
        "STREAM_REPLACED",
        UserAction.STOP_OTHER_CONNECTION,
        Cure.PERSON,
        "Another connection uses these credentials; not reconnecting, which would replace it.",
    ),
    EndReason.CLIENT_OUTDATED: _row(
        "CLIENT_OUTDATED",
        UserAction.UPGRADE_SERVER,
        Cure.PERSON,
        "WhatsApp refuses this engine version; upgrade the server.",
    ),
    EndReason.LOGIN_REFUSED: _row(
        "LOGIN_REFUSED",
        UserAction.OPEN_PHONE,
        Cure.PERSON,
        "WhatsApp refused the login for a reason that retrying does not cure; see engine_code, "
        "and whether WhatsApp on the phone says why.",
    ),
    EndReason.STORE_DAMAGED: _row(
        "STORE_DAMAGED",
        UserAction.RESTORE_BACKUP,
        Cure.PERSON,
        "The credential store is missing or damaged; restore a backup.",
    ),
    EndReason.LOGGED_OUT: _row(
        "LOGGED_OUT",
        UserAction.PAIR_AGAIN,
        Cure.PAIRING,
        "The device was removed from the account; pair it again.",
    ),
    EndReason.ACCOUNT_LOCKED: _row(
        "ACCOUNT_LOCKED",
        UserAction.OPEN_PHONE,
        Cure.PAIRING,
        "The account is locked or its phone is gone; open WhatsApp on the phone, then pair again.",
    ),
    EndReason.ACCOUNT_BANNED: _row(
        "ACCOUNT_BANNED",
        UserAction.CONTACT_WHATSAPP,
        Cure.PAIRING,
        "WhatsApp banned the account; only its support can lift that. Then pair again.",
    ),
    EndReason.PAIRING_EXPIRED: _row(
        "PAIRING_EXPIRED",
        UserAction.PAIR_AGAIN,
        Cure.PERSON,
        "Nobody scanned the QR code or typed the pairing code in time.",
    ),
    EndReason.PAIRING_REJECTED: _row(
        "PAIRING_REJECTED",
        UserAction.PAIR_AGAIN,
        Cure.PERSON,
        "The phone or WhatsApp refused the pairing.",
    ),
    EndReason.LEASED: _row(
        "LEASE_LOST",
        UserAction.STOP_OTHER_CONNECTION,
        Cure.PERSON,
        "Another server runs this session, or has run it since; not connecting, because its keys "
        "here are behind. Stop it there, then restore its newest backup here.",
    ),
    EndReason.STORAGE_AWAY: _row(
        "STORAGE_UNAVAILABLE",
        UserAction.CHECK_NETWORK,
        Cure.RETRY,
        "The storage that tells whether another server runs this session does not answer; trying "
        "again.",
    ),
}

# Conditions whose cause a new server may have removed: one more try when it starts.
RETRIED_BY_A_NEW_SERVER = frozenset({"CLIENT_OUTDATED", "INTERNAL"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The numbers, in seconds."""

    first_delay: float = 0.5
    unit: float = 5.0
    doublings: int = 4
    jitter: float = 0.2
    stable_after: float = 60.0
    attempts: int = 8
    window: float = 1800.0
    ban_margin: float = 30.0  # bans are waited out a little longer than said
    ban_default: float = 3600.0  # when WhatsApp did not say how long


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What a session's engine went through, in monotonic seconds."""

    failures: int = 0  # since the last stable minute
    restarted_at: tuple[float, ...] = ()  # after crashes, within the window
    connected_at: float | None = None

    def connected(self, now: float) -> "History":
        """Logged in."""
        return replace(self, connected_at=now)

    def lost(self, now: float, policy: Policy) -> "History":
        """No longer logged in; a stable minute before that clears the failures."""
        stable = self.connected_at is not None and now - self.connected_at >= policy.stable_after
        return replace(self, connected_at=None, failures=0 if stable else self.failures)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """Start the engine again after a delay."""

    delay: timedelta
    condition: Condition
    history: History


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUp:
    """Do not start it by itself. `is_revoked`: the credentials are no longer accepted."""

    condition: Condition
    is_revoked: bool


Decision = Restart | GiveUp


def decide(
    history: History, ended: Ended, now: float, uniform: Callable[[], float], policy: Policy
) -> Decision:
    """What follows an end that nobody asked for. `uniform` gives numbers from 0 to 1."""
    row = TABLE[ended.reason]
    condition = condition_of(ended)
    if row.cure in {Cure.PERSON, Cure.PAIRING}:
        return GiveUp(condition=condition, is_revoked=row.cure is Cure.PAIRING)
    history = history.lost(now, policy)
    if row.cure is Cure.EXPIRY:
        seconds = ended.expire_seconds or policy.ban_default
        seconds += policy.ban_margin * (1 + uniform())
        return Restart(delay=timedelta(seconds=seconds), condition=condition, history=history)
    history = replace(history, failures=history.failures + 1)
    delay = _backoff(history.failures, uniform(), policy)
    if row.cure is Cure.RETRY_IN_WINDOW:
        recent = [at for at in history.restarted_at if at > now - policy.window]
        if len(recent) >= policy.attempts:
            delay = max(delay, recent[-policy.attempts] + policy.window - now)
        restarted_at = (*recent, now + delay)[-policy.attempts :]
        history = replace(history, restarted_at=restarted_at)
    return Restart(delay=timedelta(seconds=delay), condition=condition, history=history)


def condition_of(ended: Ended) -> Condition:
    """How an end is explained."""
    row = TABLE[ended.reason]
    return Condition(
        reason=row.reason,
        message=row.message,
        user_action=row.user_action,
        engine_code=ended.engine_code,
    )


def _backoff(failures: int, uniform: float, policy: Policy) -> float:
    if failures <= 1:
        delay = policy.first_delay
    else:
        delay = policy.unit * 2.0 ** min(failures - 2, policy.doublings)
    return delay * (1 + policy.jitter * (2 * uniform - 1))
