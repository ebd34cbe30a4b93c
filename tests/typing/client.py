"""Not run: checked by mypy, as a user's own program is."""

from collections.abc import AsyncGenerator, Iterator
from typing import assert_type

from roost.v1.backup_pb2 import RestorePlan
from roost.v1.event_service_pb2 import SubscribeEventsResponse
from roost.v1.operation_pb2 import Operation
from roost.v1.session_pb2 import Session
from roost.v1.session_service_pb2 import PairSessionResponse
from roost_client import AsyncClient, Client, FileCursor, RoostError


def blocking() -> None:
    """The blocking client has the types of the asyncio client, made of descriptors as it is."""
    with Client() as roost:
        assert_type(roost.sessions.create("a", labels={"k": "v"}), Session)
        assert_type(roost.sessions.list(states=["STATE_ACTIVE"]), Iterator[Session])
        assert_type(roost.sessions.pair("a", phone="+1"), Iterator[PairSessionResponse])
        assert_type(roost.backups.plan_restore("b", mode="exact"), RestorePlan)
        assert_type(roost.operations.wait(roost.backups.create("a")), Operation)
        for update in roost.events.subscribe(cursor=FileCursor("f")):
            assert_type(update, SubscribeEventsResponse)
        roost.sessions.create(1)  # type: ignore[arg-type]
        roost.sessions.creat("a")  # type: ignore[attr-defined]
        roost.sessions.get("a", nope=1)  # type: ignore[call-arg]
        roost.backups.plan_restore("b", mode="odd")  # type: ignore[arg-type]


async def asynchronous() -> None:
    """Coroutines and asynchronous generators."""
    async with AsyncClient() as roost:
        assert_type(await roost.sessions.wait_for("a"), Session)
        assert_type(roost.events.subscribe(), AsyncGenerator[SubscribeEventsResponse, None])
        try:
            await roost.messages.send_text("a", "+1", "hi")
        except RoostError as error:
            assert_type(error.metadata, dict[str, str])
