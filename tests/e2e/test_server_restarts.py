"""The server is killed or restarted: nothing is lost, nothing comes twice."""

import asyncio
import contextlib
import random

import grpc
import pytest
from roost.v1.event_service_pb2 import SubscribeEventsResponse

from tests.support.api import DEADLINE, Api, Follower, State

KILLS = 10
TEXTS = 200


@pytest.mark.parametrize("end", ["kill", "terminate"])
async def test_sessions_come_back_by_themselves(server, api, pair, end):
    """After either kind of end the next server reconnects what should run, without pairing."""
    running, _ = await pair()
    stopped, _ = await pair()
    await api.stop(stopped.name)
    await api.wait_for_state(stopped.name, State.STATE_STOPPED)
    await asyncio.to_thread(getattr(server, end))
    await asyncio.to_thread(server.start)
    async with Api.connect(server.address, server.key) as after:
        back = await after.wait_for_state(running.name, State.STATE_ACTIVE)
        assert back.account.jid == running.account.jid
        assert (await after.get(stopped.name)).state == State.STATE_STOPPED


@pytest.mark.parametrize("end", ["kill", "terminate"])
async def test_a_subscriber_goes_on_after_its_cursor(server, api, pair, new_contact, end):
    """Texts before, during and after a restart reach a resuming subscriber once, in order."""
    session, phone = await pair()
    bob = new_contact()
    follower = Follower(session.name).with_all_kinds()
    async with follower.following(api):
        await asyncio.to_thread(bob.send_text, phone.jid, "before")
        await follower.until(lambda seen: seen.texts() == ["before"])
    await asyncio.to_thread(bob.send_text, phone.jid, "between")
    await asyncio.to_thread(getattr(server, end))
    await asyncio.to_thread(bob.send_text, phone.jid, "during")
    await asyncio.to_thread(server.start)
    async with Api.connect(server.address, server.key) as after, follower.following(after):
        await asyncio.to_thread(bob.send_text, phone.jid, "after")
        await follower.until(lambda seen: len(seen.texts()) >= 4)
    assert follower.texts() == ["before", "between", "during", "after"]
    follower.assert_no_gap()


async def test_an_orderly_end_says_so_on_the_stream(server, api, pair):
    """SIGTERM: every stream ends OK after a CLOSING bookmark."""
    await pair()
    bookmarks = []

    async def read() -> None:
        async for response in api.subscribe():
            if response.HasField("bookmark"):
                bookmarks.append(response.bookmark.reason)

    async with asyncio.timeout(DEADLINE), asyncio.TaskGroup() as tasks:
        tasks.create_task(read())
        while not bookmarks:  # SNAPSHOT_COMPLETE
            await asyncio.sleep(0.01)
        await asyncio.to_thread(server.terminate)
    assert bookmarks[-1] == SubscribeEventsResponse.Bookmark.REASON_CLOSING


async def test_kill_9_at_random_moments_loses_nothing(server, pair, new_contact):
    """Ten kills of the server while texts arrive: each text once, in order, in the log."""
    session, phone = await pair()
    bob = new_contact()
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    moments = random.Random(seed)
    follower = Follower(session.name).with_all_kinds()
    bodies = [f"text {number:04}" for number in range(TEXTS)]
    sent = asyncio.Event()

    async def write() -> None:
        for body in bodies:
            await asyncio.to_thread(bob.send_text, phone.jid, body)
            await asyncio.sleep(moments.uniform(0, 0.1))
        sent.set()

    async def kill() -> None:
        for _ in range(KILLS):
            await asyncio.sleep(moments.uniform(0.05, 1.5))
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)

    async def follow() -> None:
        while len(follower.texts()) < TEXTS:
            with contextlib.suppress(grpc.aio.AioRpcError, OSError):
                async with Api.connect(server.address, server.key) as api:
                    await follower.read(api)
            await asyncio.sleep(0.05)

    async with Api.connect(server.address, server.key) as api, follower.following(api):
        pass  # takes the cursor before the first text
    async with asyncio.timeout(180), asyncio.TaskGroup() as tasks:
        tasks.create_task(write())
        tasks.create_task(kill())
        reading = tasks.create_task(follow())
        await sent.wait()
        while len(follower.texts()) < TEXTS:
            await asyncio.sleep(0.05)
        reading.cancel()
    assert follower.texts() == bodies
    follower.assert_no_gap()
