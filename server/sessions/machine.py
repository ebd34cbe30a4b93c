"""Which state follows which: pure, and the only place that says so."""

from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from .model import Session, State


class Trigger(StrEnum):
    """What can happen to a session."""

    START = "start"  # an engine is about to be started
    CHALLENGED = "challenged"  # there is something to scan or to type
    CONNECTED = "connected"  # logged in
    LOST = "lost"  # no connection; the engine is working on it
    STOP = "stop"  # somebody wants it down
    RETRY = "retry"  # the engine ended; another try later
    GIVE_UP = "give_up"  # the engine ended; a person is needed
    ENDED = "ended"  # the engine ended and nothing more is wanted
    REVOKED = "revoked"  # WhatsApp no longer accepts these credentials
    INSTALL = "install"  # restored credentials were put in place
    DELETE = "delete"
    UNDELETE = "undelete"


class IllegalTransition(RuntimeError):
    """A bug: nothing may cause this trigger in this state."""


_S = State
_RUNNING = (_S.CONNECTING, _S.PAIRING, _S.ACTIVE)
_DOWN = (_S.STOPPED, _S.BACKING_OFF, _S.FAILED, _S.UNLINKED)
_PRESENT = (*_RUNNING, *_DOWN, _S.STOPPING)


def _all(sources: tuple[State, ...], target: State) -> dict[State, State]:
    return dict.fromkeys(sources, target)


TRANSITIONS: dict[Trigger, dict[State, State]] = {
    Trigger.START: _all(_DOWN, _S.CONNECTING),
    Trigger.CHALLENGED: _all((_S.CONNECTING, _S.PAIRING), _S.PAIRING),
    Trigger.CONNECTED: _all(_RUNNING, _S.ACTIVE),
    Trigger.LOST: _all((_S.CONNECTING, _S.ACTIVE), _S.CONNECTING),
    Trigger.STOP: _all((*_RUNNING, _S.STOPPING), _S.STOPPING)
    | _all((_S.STOPPED, _S.BACKING_OFF, _S.FAILED), _S.STOPPED)
    | {_S.UNLINKED: _S.UNLINKED},
    Trigger.RETRY: _all((*_RUNNING, _S.STOPPING), _S.BACKING_OFF),
    Trigger.GIVE_UP: _all(_PRESENT, _S.FAILED),
    Trigger.ENDED: _all((*_RUNNING, _S.STOPPING, _S.BACKING_OFF), _S.STOPPED),
    Trigger.REVOKED: _all(_PRESENT, _S.UNLINKED),
    Trigger.INSTALL: _all((_S.STOPPED, _S.FAILED, _S.UNLINKED), _S.STOPPED),
    Trigger.DELETE: _all(_PRESENT, _S.DELETED),
    Trigger.UNDELETE: {_S.DELETED: _S.STOPPED},
}


def allowed(trigger: Trigger) -> tuple[State, ...]:
    """The states in which `trigger` may happen."""
    return tuple(TRANSITIONS[trigger])


def move(session: Session, trigger: Trigger, now: datetime, **changes: Any) -> Session:
    """The session after `trigger`, with other `changes` of its fields.

    Leaves the condition alone; `next_attempt_time` goes unless it is among the changes. Raises
    IllegalTransition.
    """
    target = TRANSITIONS[trigger].get(session.state)
    if target is None:
        message = f"{trigger} in state {session.state}"
        raise IllegalTransition(message)
    if target is not session.state:
        changes["state_change_time"] = now
    return replace(session, **{"next_attempt_time": None, **changes, "state": target})
