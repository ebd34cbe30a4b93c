"""The committed sessions in memory."""

import pytest

from server.core.errors import SessionNotFound
from server.core.names import SessionName
from server.sessions.model import State
from server.sessions.registry import SessionRecord, SessionRegistry
from tests.support.builders import make_session


def filled(**states):
    registry = SessionRegistry()
    registry.apply(
        SessionRecord(session=make_session(session_id, state=state))
        for session_id, state in states.items()
    )
    return registry


def ids(sessions):
    return [session.name.session_id for session in sessions]


def test_sessions_are_listed_by_name_and_in_pages():
    """`after` is the last id of the page before."""
    registry = filled(c=State.STOPPED, a=State.ACTIVE, b=State.FAILED)
    assert ids(registry.list()) == ids(registry) == ["a", "b", "c"]
    assert ids(registry.list(limit=2)) == ["a", "b"]
    assert ids(registry.list(after="b", limit=2)) == ["c"]
    assert ids(registry.list(after="bb")) == ["c"]
    assert ids(registry.list(after="c")) == []


def test_a_list_can_be_limited_to_states():
    """The limit counts matching sessions only."""
    registry = filled(a=State.ACTIVE, b=State.STOPPED, c=State.ACTIVE)
    assert ids(registry.list(states=frozenset({State.ACTIVE}), limit=2)) == ["a", "c"]


def test_deleted_sessions_are_shown_on_request():
    """They exist until they are purged, but nobody trips over them."""
    registry = filled(a=State.DELETED, b=State.STOPPED)
    assert ids(registry.list()) == ["b"]
    assert ids(registry.list(show_deleted=True)) == ["a", "b"]
    assert ids(registry.list(states=frozenset({State.DELETED}))) == ["a"]
    assert registry.get(SessionName("a")).state is State.DELETED
    with pytest.raises(SessionNotFound):
        registry.get(SessionName("a"), show_deleted=False)


def test_an_unknown_session_is_not_found():
    """By its name."""
    registry = filled(a=State.STOPPED)
    assert SessionName("a") in registry
    assert SessionName("b") not in registry
    with pytest.raises(SessionNotFound) as error:
        registry.get(SessionName("b"))
    assert error.value.metadata() == {"name": "sessions/b"}


def test_the_last_change_is_what_is_shown():
    """Applying a session again replaces it, without a second entry."""
    registry = filled(a=State.STOPPED)
    registry.apply([SessionRecord(session=make_session("a", state=State.ACTIVE), sequence=7)])
    assert len(registry) == 1
    assert registry.get(SessionName("a")).state is State.ACTIVE
    assert registry.record(SessionName("a")).sequence == 7
