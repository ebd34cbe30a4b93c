"""What follows when an engine has ended: a pure decision."""

from dataclasses import dataclass
from datetime import timedelta

from server.engine.base import Ended, EndReason

from .conditions import condition
from .model import Condition, State

FIRST_DELAY = timedelta(milliseconds=500)
STEP = timedelta(seconds=5)
DOUBLINGS = 4
JITTER = 0.2
STABLE = timedelta(minutes=1)  # ACTIVE for so long, and the count of failures starts over

# Ends that trying again can cure.
_TRANSIENT = {
    EndReason.CRASHED: "ENGINE_CRASHED",
    EndReason.CONNECT_FAILED: "CONNECT_FAILED",
}
# Ends that need a person. Keys of an UNLINKED session are of no use to connect any more.
_FINAL = {
    EndReason.LOGGED_OUT: (State.UNLINKED, "LOGGED_OUT"),
    EndReason.ACCOUNT_LOCKED: (State.UNLINKED, "ACCOUNT_LOCKED"),
    EndReason.ACCOUNT_BANNED: (State.UNLINKED, "ACCOUNT_BANNED"),
    EndReason.STREAM_REPLACED: (State.FAILED, "STREAM_REPLACED"),
    EndReason.CLIENT_OUTDATED: (State.FAILED, "CLIENT_OUTDATED"),
    EndReason.LOGIN_REFUSED: (State.FAILED, "LOGIN_REFUSED"),
    EndReason.STORE_DAMAGED: (State.FAILED, "STORE_DAMAGED"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """Start again after `delay`; the session is BACKING_OFF meanwhile."""

    delay: timedelta
    condition: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUp:
    """Stay down in `state` until a person acts."""

    state: State
    condition: Condition


def decide(ended: Ended, failures: int, chance: float) -> Restart | GiveUp:
    """What follows `ended` of a session that should run.

    Args:
        ended: How the engine ended; not STOPPED, which was asked for.
        failures: How many ends in a row came before, without `STABLE` time in between.
        chance: In [0, 1): spreads the delay by +-20 %, so that sessions do not come back at once.
    """
    if ended.reason is EndReason.TEMPORARY_BAN:
        wait = timedelta(seconds=ended.expire_seconds) + FIRST_DELAY
        cause = condition("ACCOUNT_TEMPORARILY_BANNED", ended.engine_code)
        return Restart(delay=wait, condition=cause)
    if ended.reason in _FINAL:
        state, reason = _FINAL[ended.reason]
        return GiveUp(state=state, condition=condition(reason, ended.engine_code))
    # PAIRING_* cannot happen to a paired session: like a crash, try again.
    reason = _TRANSIENT.get(ended.reason, "ENGINE_CRASHED")
    return Restart(delay=backoff(failures, chance), condition=condition(reason, ended.engine_code))


def backoff(failures: int, chance: float) -> timedelta:
    """Half a second at first, then 5 s doubled up to 80 s, each +-20 %."""
    delay = STEP * 2 ** min(failures - 1, DOUBLINGS) if failures else FIRST_DELAY
    return delay * (1 + JITTER * (2 * chance - 1))
