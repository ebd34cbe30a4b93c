"""What follows the end of an engine."""

from datetime import timedelta

import pytest
from roost.v1.error_reason_pb2 import ErrorReason
from roost.v1.session_pb2 import Condition as WireCondition

from server.engine.base import Ended, EndReason
from server.sessions import conditions
from server.sessions.model import Condition, UserAction
from server.sessions.restarts import (
    RETRIED_BY_A_NEW_SERVER,
    TABLE,
    Cure,
    GiveUp,
    History,
    Policy,
    Restart,
    decide,
)

POLICY = Policy()
R, U = EndReason, UserAction


def after(reason, history=None, now=1000.0, uniform=0.5, **ended):
    end = Ended(reason=reason, clean=False, **ended)
    return decide(history or History(), end, now, lambda: uniform, POLICY)


RESTARTED = [
    (R.CRASHED, "ENGINE_CRASHED", U.WAIT),
    (R.STOPPED, "ENGINE_CRASHED", U.WAIT),
    (R.CONNECT_FAILED, "CONNECT_FAILED", U.CHECK_NETWORK),
    (R.STORAGE_AWAY, "STORAGE_UNAVAILABLE", U.CHECK_NETWORK),
    (R.TEMPORARY_BAN, "ACCOUNT_TEMPORARILY_BANNED", U.WAIT),
]
GIVEN_UP = [
    (R.STREAM_REPLACED, "STREAM_REPLACED", U.STOP_OTHER_CONNECTION),
    (R.LEASED, "LEASE_LOST", U.STOP_OTHER_CONNECTION),
    (R.CLIENT_OUTDATED, "CLIENT_OUTDATED", U.UPGRADE_SERVER),
    (R.LOGIN_REFUSED, "LOGIN_REFUSED", U.OPEN_PHONE),
    (R.STORE_DAMAGED, "STORE_DAMAGED", U.RESTORE_BACKUP),
    (R.PAIRING_EXPIRED, "PAIRING_EXPIRED", U.PAIR_AGAIN),
    (R.PAIRING_REJECTED, "PAIRING_REJECTED", U.PAIR_AGAIN),
]
REVOKED = [
    (R.LOGGED_OUT, "LOGGED_OUT", U.PAIR_AGAIN),
    (R.ACCOUNT_LOCKED, "ACCOUNT_LOCKED", U.OPEN_PHONE),
    (R.ACCOUNT_BANNED, "ACCOUNT_BANNED", U.CONTACT_WHATSAPP),
]


def test_every_end_has_a_row_and_a_test():
    """A new way to end must be thought about."""
    assert set(TABLE) == set(EndReason)
    assert {row[0] for row in RESTARTED + GIVEN_UP + REVOKED} == set(EndReason)


@pytest.mark.parametrize(("reason", "condition", "action"), RESTARTED)
def test_what_may_cure_itself_is_tried_again(reason, condition, action):
    """With the reason and the engine's code for people to see."""
    decision = after(reason, engine_code="402")
    assert isinstance(decision, Restart)
    assert decision.condition.reason == condition
    assert decision.condition.user_action is action
    assert decision.condition.engine_code == "402"


@pytest.mark.parametrize(
    ("reason", "condition", "action", "is_revoked"),
    [(*row, False) for row in GIVEN_UP] + [(*row, True) for row in REVOKED],
)
def test_what_needs_a_person_is_not_tried_again(reason, condition, action, is_revoked):
    """With what the person can do."""
    decision = after(reason)
    assert isinstance(decision, GiveUp)
    assert decision.condition.reason == condition
    assert decision.condition.user_action is action
    assert decision.is_revoked is is_revoked


def test_every_condition_is_known_on_the_wire():
    """Reasons and user actions are enums in the contract."""
    reasons = {f"ERROR_REASON_{row.reason}" for row in TABLE.values()}
    reasons |= {
        f"ERROR_REASON_{value.reason}"
        for value in vars(conditions).values()
        if isinstance(value, Condition)
    }
    assert reasons <= set(ErrorReason.keys())
    actions = {f"USER_ACTION_{action.name}" for action in UserAction if action is not U.NONE}
    assert actions <= set(WireCondition.UserAction.keys())


def delays(reason, count, *, spacing=None, uniform=0.5):
    """The delays of so many ends in a row, each right after its restart."""
    history, now, found = History(), 0.0, []
    for _ in range(count):
        decision = after(reason, history, now, uniform)
        seconds = decision.delay.total_seconds()
        found.append(round(seconds, 3))
        history = decision.history
        now += seconds if spacing is None else spacing
    return found


def test_delays_double_up_to_a_bound():
    """Nearly at once, then 5, 10, 20, 40, 80 s, and 80 s for ever: networks come back."""
    assert delays(R.CONNECT_FAILED, 9) == [0.5, 5, 10, 20, 40, 80, 80, 80, 80]


@pytest.mark.parametrize(("uniform", "factor"), [(0.0, 0.8), (1.0, 1.2)])
def test_delays_have_jitter(uniform, factor):
    """20 % either way, so that sessions do not come back all at once."""
    expected = [round(delay * factor, 3) for delay in (0.5, 5, 10, 20, 40, 80, 80)]
    assert delays(R.CONNECT_FAILED, 7, uniform=uniform) == expected


def test_crashes_are_limited_in_a_window():
    """An engine that always crashes is restarted eight times in half an hour, not every 80 s."""
    found = delays(R.CRASHED, 40)
    assert found[:8] == [0.5, 5, 10, 20, 40, 80, 80, 80]
    restarts = [sum(found[: index + 1]) for index in range(len(found))]
    for ninth, first in zip(restarts[8:], restarts, strict=False):
        assert ninth - first >= POLICY.window - 0.1


@pytest.mark.parametrize(("seconds", "delay"), [(59.9, 10), (60, 0.5)])
def test_a_stable_minute_clears_the_past(seconds, delay):
    """Shorter connections do not."""
    history = History(failures=2).connected(0.0)
    decision = after(R.CRASHED, history, seconds)
    assert decision.delay == timedelta(seconds=delay)
    assert decision.history.connected_at is None


def test_a_connection_that_was_lost_no_longer_counts_as_stable():
    """Silence is not stability."""
    history = History(failures=2).connected(0.0).lost(30.0, POLICY)
    assert after(R.CRASHED, history, 500.0).delay == timedelta(seconds=10)
    history = History(failures=2).connected(0.0).lost(90.0, POLICY)
    assert after(R.CRASHED, history, 500.0).delay == timedelta(seconds=0.5)


@pytest.mark.parametrize(
    ("said", "uniform", "delay"), [(3600, 0.0, 3630), (3600, 1.0, 3660), (0, 0.0, 3630)]
)
def test_a_ban_is_waited_out(said, uniform, delay):
    """A little longer than WhatsApp says, an hour if it does not say; it counts as no failure."""
    decision = after(R.TEMPORARY_BAN, uniform=uniform, expire_seconds=said)
    assert decision.delay == timedelta(seconds=delay)
    assert decision.history == History()


def test_only_what_a_new_server_may_cure_is_tried_by_it():
    """Never what another connection or WhatsApp has decided."""
    cured = {row.reason for row in TABLE.values() if row.cure in {Cure.PERSON, Cure.PAIRING}}
    assert cured & RETRIED_BY_A_NEW_SERVER == {"CLIENT_OUTDATED"}
