"""The transition table."""

from datetime import timedelta

import pytest

from server.sessions.machine import TRANSITIONS, IllegalTransition, Trigger, allowed, move
from server.sessions.model import State
from tests.support.builders import make_session
from tests.support.clock import START

S, T = State, Trigger
# What each trigger makes of each state, in this order; "-" is a bug.
STATES = (
    S.STOPPED,
    S.CONNECTING,
    S.PAIRING,
    S.ACTIVE,
    S.BACKING_OFF,
    S.STOPPING,
    S.FAILED,
    S.UNLINKED,
    S.DELETED,
)
SHORT = {
    "-": None,
    "off": S.STOPPED,
    "con": S.CONNECTING,
    "pai": S.PAIRING,
    "act": S.ACTIVE,
    "bak": S.BACKING_OFF,
    "sto": S.STOPPING,
    "fai": S.FAILED,
    "unl": S.UNLINKED,
    "del": S.DELETED,
}
# fmt: off
TABLE = {
    #                off  con  pai  act  bak  sto  fai  unl  del
    T.START:      "  con  -    -    -    con  -    con  con  -  ",
    T.CHALLENGED: "  -    pai  pai  -    -    -    -    -    -  ",
    T.CONNECTED:  "  -    act  act  act  -    -    -    -    -  ",
    T.LOST:       "  -    con  -    con  -    -    -    -    -  ",
    T.STOP:       "  off  sto  sto  sto  off  sto  off  unl  -  ",
    T.RETRY:      "  -    bak  bak  bak  -    bak  -    -    -  ",
    T.GIVE_UP:    "  fai  fai  fai  fai  fai  fai  fai  fai  -  ",
    T.ENDED:      "  -    off  off  off  off  off  -    -    -  ",
    T.REVOKED:    "  unl  unl  unl  unl  unl  unl  unl  unl  -  ",
    T.INSTALL:    "  off  -    -    -    -    -    off  off  -  ",
    T.DELETE:     "  del  del  del  del  del  del  del  del  -  ",
    T.UNDELETE:   "  -    -    -    -    -    -    -    -    off",
}
# fmt: on
CELLS = [
    (trigger, state, SHORT[cell])
    for trigger, row in TABLE.items()
    for state, cell in zip(STATES, row.split(), strict=True)
]
LATER = START + timedelta(hours=1)


def test_the_table_is_about_every_state_and_trigger():
    """A new one must be thought about here."""
    assert set(STATES) == set(State)
    assert set(TABLE) == set(Trigger) == set(TRANSITIONS)


@pytest.mark.parametrize(("trigger", "state", "target"), CELLS)
def test_each_transition(trigger, state, target):
    """Allowed ones give the state that follows, all others are refused."""
    session = make_session(state=state)
    assert (state in allowed(trigger)) == (target is not None)
    if target is None:
        with pytest.raises(IllegalTransition, match=trigger):
            move(session, trigger, LATER)
    else:
        moved = move(session, trigger, LATER, display_name="x")
        assert (moved.state, moved.display_name) == (target, "x")
        assert moved.state_change_time == (START if target is state else LATER)


def test_the_time_of_the_next_attempt_belongs_to_one_state():
    """It goes with the next transition unless it is given."""
    waiting = move(make_session(state=S.ACTIVE), T.RETRY, START, next_attempt_time=LATER)
    assert waiting.next_attempt_time == LATER
    assert move(waiting, T.START, START).next_attempt_time is None
