"""Events: one subscription that outlives connections and servers."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Literal

from roost.v1 import event_service_pb2 as pb
from roost.v1.event_pb2 import EventKind

from .cursors import CursorStore
from .errors import RoostError
from .group import AsyncGroup
from .names import session_name
from .resume import is_interruption, resuming

Start = Literal["snapshot", "now"]
WhenExpired = Literal["raise", "snapshot", "now"]
MISSED = 3  # heartbeats without a word: the connection is dead


class AsyncEvents(AsyncGroup):
    """EventService."""

    async def subscribe(
        self,
        *,
        sessions: Iterable[str] = (),
        kinds: Sequence[EventKind | str] = (),
        start: Start = "snapshot",
        cursor: str | CursorStore = "",
        when_expired: WhenExpired = "raise",
        heartbeat: timedelta = timedelta(seconds=15),
        patience: timedelta | None = None,
    ) -> AsyncGenerator[pb.SubscribeEventsResponse, None]:
        """Yields snapshot sessions, events and bookmarks; comes back by itself after any break.

        An update counts as handled when the next one is asked for; after a break the stream goes on
        behind the last handled one, so every event is seen at least once and in order.

        Args:
            sessions: Only these; empty: all.
            kinds: Only these; empty: all but raw engine events.
            start: Where to begin without a cursor: the current sessions first, or only what comes.
            cursor: Where to go on: a cursor, or a store that is read now and written after every
                handled update (see `FileCursor`).
            when_expired: What to do when the server no longer has the events after the cursor:
                raise CURSOR_EXPIRED (events were missed), or begin anew.
            heartbeat: The server speaks at least this often; 1 to 60 s.
            patience: Raise when nothing could be heard for this long; None: never give up.
        """
        store = None if isinstance(cursor, str) else cursor
        request = pb.SubscribeEventsRequest(
            sessions=[session_name(session) for session in sessions],
            kinds=kinds,
            heartbeat_interval=heartbeat,
        )
        after = cursor if isinstance(cursor, str) else await asyncio.to_thread(cursor.load)
        _begin(request, start, after)

        def opened() -> AsyncGenerator[pb.SubscribeEventsResponse, None]:
            return self._rpc.stream(
                "EventService.SubscribeEvents",
                request,
                pb.SubscribeEventsResponse,
                silence=heartbeat * MISSED,
            )

        def survives(error: RoostError) -> bool:
            if error.reason == "CURSOR_EXPIRED" and when_expired != "raise":
                _begin(request, when_expired)
                return True
            return is_interruption(error)

        updates = resuming(opened, survives=survives, patience=patience)
        async with aclosing(updates):
            async for update in updates:
                yield update
                # Until the snapshot is complete a new stream must send it again from the start.
                if not update.HasField("snapshot"):
                    request.after_cursor = update.cursor
                    if store:
                        await asyncio.to_thread(store.save, update.cursor)


def _begin(request: pb.SubscribeEventsRequest, start: Start, cursor: str = "") -> None:
    if cursor:
        request.after_cursor = cursor
    elif start == "now":
        request.from_now.SetInParent()
    else:
        request.from_snapshot.SetInParent()
