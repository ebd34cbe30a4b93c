"""`roost.v1.EventService`."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from roost.v1 import event_service_pb2, event_service_pb2_grpc

from server.core.names import SessionName
from server.events.broker import Broker
from server.events.stored import DEFAULT_KINDS
from server.events.subscription import AfterCursor, FromNow, FromSnapshot, Subscription

from . import convert_events, validate
from .streams import closing
from .validate import Checks

DEFAULT_HEARTBEAT = timedelta(seconds=15)
HEARTBEATS = (timedelta(seconds=1), timedelta(seconds=60))
MOST_SESSIONS = 1000


class EventService(event_service_pb2_grpc.EventServiceServicer):
    """Hands out the log."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def SubscribeEvents(
        self, request: event_service_pb2.SubscribeEventsRequest, _context: Any
    ) -> AsyncIterator[event_service_pb2.SubscribeEventsResponse]:
        """Snapshot if wanted, then every event."""
        async with closing(self._broker.subscribe(subscription(request))) as items:
            async for item in items:
                yield convert_events.item(item)


def subscription(request: event_service_pb2.SubscribeEventsRequest) -> Subscription:
    """What the request asks for; raises FieldInvalid."""
    with Checks() as check:
        check(validate.at_most, MOST_SESSIONS, request.sessions, "sessions")
        sessions = [
            check(SessionName.parse, name, f"sessions[{index}]")
            for index, name in enumerate(request.sessions[:MOST_SESSIONS])
        ]
        kinds = [
            check(validate.enum_value, number, convert_events.KIND_OF, f"kinds[{index}]")
            for index, number in enumerate(request.kinds)
        ]
        heartbeat = check(
            validate.clamped,
            request.heartbeat_interval,
            "heartbeat_interval",
            default=DEFAULT_HEARTBEAT,
            within=HEARTBEATS,
        )
        start = check(validate.chosen, request, "start")
    starts: dict[str, FromSnapshot | FromNow | AfterCursor] = {
        "from_snapshot": FromSnapshot(),
        "from_now": FromNow(),
        "after_cursor": AfterCursor(request.after_cursor),
    }
    return Subscription(
        start=starts[start],
        sessions=frozenset(sessions),
        kinds=frozenset(kinds) or DEFAULT_KINDS,
        heartbeat=heartbeat,
    )
