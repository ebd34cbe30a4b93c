"""Waiting for a session to get somewhere."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Iterator
from contextlib import aclosing
from datetime import timedelta

import grpc
from roost.v1.event_service_pb2 import SubscribeEventsResponse
from roost.v1.session_pb2 import Session

from .errors import RoostError

GAVE_UP = (Session.STATE_FAILED, Session.STATE_UNLINKED, Session.STATE_DELETED)


async def until(
    updates: AsyncGenerator[SubscribeEventsResponse, None],
    states: Collection[Session.State],
    wait: timedelta,
) -> Session:
    """The session once it is in one of `states`; `updates` are of that session alone."""
    try:
        async with asyncio.timeout(wait.total_seconds()), aclosing(updates):
            async for update in updates:
                for session in seen(update):
                    if session.state in states:
                        return session
                    if session.state in GAVE_UP:
                        raise gave_up(session)
    except TimeoutError as error:
        code = grpc.StatusCode.DEADLINE_EXCEEDED
        names = " or ".join(Session.State.Name(state) for state in states)
        raise RoostError(
            code=code, reason=code.name, message=f"not {names} within {wait.total_seconds():g} s"
        ) from error
    raise AssertionError  # a subscription never ends by itself


def seen(update: SubscribeEventsResponse) -> Iterator[Session]:
    """Every state of a session that an update shows."""
    if update.HasField("snapshot"):
        yield update.snapshot
    for event in update.events:
        if event.HasField("session_changed"):
            yield event.session_changed.session


def gave_up(session: Session) -> RoostError:
    """Why this session will not get there by itself."""
    state = Session.State.Name(session.state).removeprefix("STATE_")
    condition = session.condition
    return RoostError(
        code=grpc.StatusCode.FAILED_PRECONDITION,
        reason=condition.reason or "SESSION_WRONG_STATE",
        message=condition.message or f"{session.name} is {state}",
        metadata={"session": session.name, "state": state},
        is_from_roost=True,
    )
