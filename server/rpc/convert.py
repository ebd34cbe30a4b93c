"""Sessions as messages of `roost.v1`."""

from urllib.parse import urlsplit, urlunsplit

from roost.v1 import session_pb2, session_service_pb2

from server.engine.base import Account
from server.sessions.model import (
    Condition,
    DesiredState,
    Session,
    State,
    UserAction,
)

from .numbers import numbers
from .validate import PASSWORD_MASK

STATES = numbers(State, session_pb2.Session.State, "STATE")
STATE_OF: dict[int, State] = {number: state for state, number in STATES.items()}
DESIRED_STATES = numbers(DesiredState, session_pb2.Session.DesiredState, "DESIRED_STATE")
USER_ACTIONS = numbers(
    UserAction, session_pb2.Condition.UserAction, "USER_ACTION", unspecified=UserAction.NONE
)


def session(value: Session) -> session_pb2.Session:
    """The public view of a session."""
    return session_pb2.Session(
        name=str(value.name),
        state=STATES[value.state],
        desired_state=DESIRED_STATES[value.desired],
        condition=None if value.condition is None else condition(value.condition),
        account=None if value.account is None else account(value.account),
        display_name=value.display_name,
        labels=value.labels,
        etag=value.etag,
        create_time=value.create_time,
        state_change_time=value.state_change_time,
        next_attempt_time=value.next_attempt_time,
        proxy_url=masked_url(value.proxy_url),
        delete_time=value.delete_time,
        purge_time=value.purge_time,
    )


def condition(value: Condition) -> session_pb2.Condition:
    """Why a session is as it is."""
    return session_pb2.Condition(
        reason=value.reason,
        message=value.message,
        user_action=USER_ACTIONS[value.user_action],
        engine_code=value.engine_code,
    )


def account(value: Account) -> session_pb2.Account:
    """A linked account."""
    return session_pb2.Account(jid=value.jid, lid=value.lid, push_name=value.push_name)


def masked_url(url: str) -> str:
    """`url` with its password, if any, masked."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    who, _, where = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{who.partition(':')[0]}:{PASSWORD_MASK}@{where}"))


class SessionViews:
    """GetSession's responses, made once per change of a session and used again until the next."""

    def __init__(self, most: int = 4096) -> None:
        self._most = most
        self._made: dict[str, tuple[str, session_service_pb2.GetSessionResponse]] = {}

    def of(self, value: Session) -> session_service_pb2.GetSessionResponse:
        """The response for `value`; shared, so nobody may change it."""
        known = self._made.get(value.name.session_id)
        if known is not None and known[0] == value.etag:
            return known[1]
        if len(self._made) >= self._most:
            self._made.clear()
        view = session_service_pb2.GetSessionResponse(session=session(value))
        self._made[value.name.session_id] = (value.etag, view)
        return view
