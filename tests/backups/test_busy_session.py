"""A session that is busy in both directions while it is backed up every second.

What the engine says of its store would show in `host.stderr`; a send that cannot store its step
fails, a received text whose step cannot be stored never arrives.

Texts that cross may cost whatsmeow a session, with or without backups; it then asks for them again,
so they may come twice, the first time without a text.
Source: https://github.com/tulir/whatsmeow/issues/1095
"""

import asyncio
import time
from collections import Counter

from server.backups.verify import drill
from server.engine.base import MessageReceived
from server.vault.model import BackupKind, BackupState
from tests.backups.test_real_sessions import (
    ANN,
    SECONDS,
    new_phone,
    new_server,
    simulator,
    texts_both_ways,
)

__all__ = ["new_phone", "new_server", "simulator"]  # fixtures
BUSY_SECONDS = 20.0


class Busy:
    """Texts that were sent, each with a name of its own."""

    def __init__(self, server, ann, bob):
        self.server, self.ann, self.bob = server, ann, bob
        self.until = time.monotonic() + BUSY_SECONDS
        self.to_bob, self.from_bob, self.backups = [], [], []

    async def send(self):
        while time.monotonic() < self.until:
            text = f"to bob {len(self.to_bob)}"
            await self.server.send(self.bob, text)
            self.to_bob.append(text)

    async def receive(self):
        while time.monotonic() < self.until:
            text = f"from bob {len(self.from_bob)}"
            await asyncio.to_thread(self.bob.send_text, self.ann.jid, text)
            self.from_bob.append(text)

    async def back_up(self):
        while time.monotonic() < self.until:
            self.backups.append(await self.server.backups.backup_now(ANN))
            await asyncio.sleep(1)


async def messages(server):
    """Everything that was received, in order."""
    found, position = [], 0
    while position < server.log.head:
        page = await server.log.read(position, limit=1000)
        found += [event.body for event in page.events if isinstance(event.body, MessageReceived)]
        position = page.position
    return found


async def test_backups_are_no_matter_to_the_engine(new_server, new_phone):
    """Every text arrives once, whole; every copy is good; the engine has no word of trouble."""
    ann, bob = await asyncio.to_thread(new_phone, "Ann"), await asyncio.to_thread(new_phone, "Bob")
    async with new_server("server").running() as server:
        await server.pair(ann)
        await texts_both_ways(server, ann, bob, "hello")  # see the module's text
        busy = Busy(server, ann, bob)
        async with asyncio.TaskGroup() as group:
            for work in (busy.send, busy.receive, busy.back_up):
                group.create_task(work())
        assert len(busy.to_bob) > 100
        assert len(busy.from_bob) > 100
        assert len(busy.backups) > BUSY_SECONDS / 4
        assert {each.state for each in busy.backups} == {BackupState.ACTIVE}
        assert {each.kind for each in busy.backups} == {BackupKind.HOT}
        for text in busy.from_bob[-3:]:
            await server.receives(text)
        received = await messages(server)
        texts = Counter(each.text for each in received if not each.undecryptable)
        assert texts == Counter(["hello from bob", *busy.from_bob])
        assert len(received) - texts.total() < 20
        inbox = await asyncio.to_thread(bob.inbox, len(busy.to_bob) + 1, timeout=SECONDS)
        assert [each.text for each in inbox] == ["hello to bob", *busy.to_bob]
        assert "store:" not in (server.data_dir / "sessions/ann/host.stderr").read_text()
        session = server.manager.get(ANN)
        assert (session.condition, session.connect_epoch) == (None, 1)
        await server.manager.stop(ANN)
        await server.manager.until(ANN, lambda each: each.clean_epoch == 1)
        assert drill(server.manager.store_path(ANN)).problems == ()
    assert await asyncio.to_thread(bob.failures) == []
