"""No text is lost over a restore, whatever the age of the backup; putting an old file back loses.

Two sessions live the same life: they chat, a backup is made and their store is copied by hand,
they chat on, stop, and go back in time: one by RestoreBackup, the other by its old file. What was
written meanwhile waits for them, and then all write to all again. Contacts are as strict as
WhatsApp's clients: a text in a key that was used before they drop, and confirm all the same. One
of them is the real engine.
"""

import asyncio
import contextlib
import functools
import itertools
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

import pytest
from roost.v1.backup_pb2 import RestoreMode
from roost.v1.event_pb2 import ReceiptReceived
from roost.v1.session_pb2 import Session

from simulator import Group, Phone
from tests.support.api import DEADLINE, Api, Follower, State
from tests.support.server import ServerProcess

TEXTS_AFTER = 4  # in every chat, by everybody who writes in it
PATIENCE = 5  # texts of who waits for each to be read
Restore = Callable[["Chats", "Copies"], Awaitable[None]]


class Contact(Protocol):
    """Somebody to chat with."""

    phone: Phone
    confirms: ClassVar[int]
    """The kind of receipt with which it confirms a text, read or dropped."""

    async def write(self, to: str, text: str) -> None: ...

    async def inbox(self) -> set[str]:
        """The texts it has read; none that it has confirmed are still on their way."""
        ...


@dataclass(frozen=True)
class Scripted:
    """A phone of the simulator."""

    phone: Phone
    confirms: ClassVar[int] = ReceiptReceived.TYPE_DELIVERED

    async def write(self, to: str, text: str) -> None:
        await asyncio.to_thread(self.phone.send_text, to, text)

    async def inbox(self) -> set[str]:
        return {message.text for message in await asyncio.to_thread(self.phone.inbox)}


@dataclass(frozen=True)
class Engine:
    """The real engine: a session of its own, never restored.

    It writes one text after the other, and waits for each: asked for several at once, it encrypts
    two with one key and loses one (tulir/whatsmeow#1095), restore or not.
    """

    phone: Phone
    api: Api
    session: str
    follower: Follower
    herald: Phone
    fences: itertools.count = field(default_factory=itertools.count)
    confirms: ClassVar[int] = ReceiptReceived.TYPE_INACTIVE

    async def write(self, to: str, text: str) -> None:
        await self.api.send(self.session, to, text)

    async def inbox(self) -> set[str]:
        fence = f"fence {next(self.fences)}"  # the engine reads one text after the other
        await asyncio.to_thread(self.herald.send_text, self.phone, fence)
        await self.follower.until(lambda seen: fence in seen.texts())
        return set(self.follower.texts())


@dataclass(frozen=True)
class Copies:
    """What there is of a session at one moment."""

    backup: str
    file: Path


class Heard:
    """What a session has shown so far; looks at each event once."""

    def __init__(self, follower: Follower) -> None:
        self.texts: list[str] = []
        self.confirmed: set[tuple[str, int, str]] = set()
        """Who has confirmed how which message: address, kind, id."""
        self._follower = follower
        self._read = 0

    def update(self) -> None:
        """Looks at what is new."""
        for event in self._follower.events[self._read :]:
            if event.HasField("message_received") and event.message_received.text:
                self.texts.append(event.message_received.text)
            if event.HasField("receipt_received"):
                receipt = event.receipt_received
                for message_id in receipt.message_ids:
                    self.confirmed.add((receipt.sender, receipt.type, message_id))
        self._read = len(self._follower.events)


@dataclass
class Chats:
    """A session and everybody it chats with: in private, and all of them in a group."""

    api: Api
    follower: Follower
    session: Session
    own: Scripted
    """The account's own phone."""
    contacts: Sequence[Contact]
    team: Group
    sent: list[tuple[Contact, str, str]] = field(default_factory=list)
    """What the session has written, once for everybody who must read it: reader, id, text."""
    written: list[str] = field(default_factory=list)
    """What all others have written for the session."""

    def __post_init__(self) -> None:
        self.heard = Heard(self.follower)

    async def talk(self, what: str, count: int, writers: Sequence[Contact]) -> None:
        """All write at the same time; waits until everything has come to an end."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.write(what, count))
            for writer in writers:
                own_count = min(count, PATIENCE) if isinstance(writer, Engine) else count
                tasks.create_task(self.be_written_to(what, own_count, writer))
        with contextlib.suppress(AssertionError):
            await self.follower.until(lambda _: self.is_quiet())
        assert self.unconfirmed() == []
        assert self.unheard() == []

    async def write(self, what: str, count: int) -> None:
        """The session writes to everybody but Joe, and in the group, so many texts each."""
        chats = [(one.phone.jid, [one]) for one in self.contacts if one.phone.name != "Joe"]
        chats.append((self.team.jid, list(self.contacts)))
        for number, (to, readers) in itertools.product(range(count), chats):
            text = f"{what} {number} to {to}"
            message_id = await self.api.send(self.session.name, to, text)
            self.sent += [(reader, message_id, text) for reader in readers]

    async def be_written_to(self, what: str, count: int, writer: Contact) -> None:
        """Somebody writes to the session and in the group; the own phone writes to a contact."""
        to = self.contacts[0].phone if writer is self.own else self.own.phone
        for number, jid in itertools.product(range(count), (to.jid, self.team.jid)):
            await self.hear(writer, jid, f"{what} {number} from {writer.phone.phone} to {jid}")
            if isinstance(writer, Engine):
                await self.follower.until(lambda _: not self.unheard())

    async def hear(self, writer: Contact, jid: str, text: str) -> None:
        """Somebody writes one text for the session."""
        await writer.write(jid, text)
        self.written.append(text)

    def is_quiet(self) -> bool:
        """Every text of the session was confirmed by every reader, and it shows all others'."""
        return not self.unheard() and not self.unconfirmed()

    def unconfirmed(self) -> list[str]:
        """Texts of the session that a reader has not confirmed."""
        return [
            f"{which}: {text}, by {who.phone.name}"
            for who, which, text in self.sent
            if (who.phone.jid, who.confirms, which) not in self.heard.confirmed
        ]

    def unheard(self) -> list[str]:
        """Texts of others that the session does not show."""
        self.heard.update()
        return sorted(set(self.written) - set(self.heard.texts))

    async def lost(self) -> list[str]:
        """Texts of the session that were confirmed, and yet are not in the reader's inbox."""
        read = {one.phone.phone: await one.inbox() for one in self.contacts}
        return [
            f"{which}: {text}, by {who.phone.name}"
            for who, which, text in self.sent
            if text not in read[who.phone.phone]
        ]


async def live(chats: Chats, age: int, server: ServerProcess, restore: Restore) -> list[str]:
    """Lives through a restore of a copy that is `age` texts old in every chat; what was lost."""
    bob, eve, joe, zoe = chats.contacts
    await chats.talk("hello", 1, [chats.own, bob, eve, zoe])
    copies = await make_copies(chats, server)
    # Joe begins to write after the copy, so his keys are not in it; Eve writes no more. It takes
    # two rounds for the ratchets of the others to leave those of the copy behind.
    for turn, count in enumerate((age - age // 2, age // 2)):
        await chats.talk(f"since then {turn}", count, [chats.own, bob, joe, zoe])
    await chats.api.stop(chats.session.name)
    await chats.api.wait_for_state(chats.session.name, State.STATE_STOPPED)
    for writer in (chats.own, bob, joe):
        await chats.be_written_to("meanwhile", TEXTS_AFTER, writer)
    assert await chats.lost() == []
    await restore(chats, copies)
    await chats.api.start(chats.session.name)
    await chats.api.wait_for_state(chats.session.name, State.STATE_ACTIVE)
    # Eve and Zoe only read at first: what they write would make them and the session begin anew.
    await chats.talk("afterwards", TEXTS_AFTER, [chats.own, bob, joe])
    for writers in ([chats.own, bob, eve, joe], [zoe]):
        await chats.talk(f"at last to {len(writers)}", 1, writers)
    return await chats.lost()


async def make_copies(chats: Chats, server: ServerProcess) -> Copies:
    """A backup, and a sound copy of the file by hand, of the same moment."""
    backup = await chats.api.back_up(chats.session.name)
    (store,) = (server.data_dir / chats.session.name).glob("*/store.db")
    file = server.data_dir.parent / f"{chats.own.phone.phone}.db"
    with closing(sqlite3.connect(store)) as source, closing(sqlite3.connect(file)) as target:
        source.backup(target)
    return Copies(backup, file)


async def by_roost(chats: Chats, copies: Copies) -> None:
    """As one should."""
    result = await chats.api.restore(copies.backup, force=True)
    assert result.plan.mode == RestoreMode.RESTORE_MODE_REKEY


async def by_hand(chats: Chats, copies: Copies, server: ServerProcess) -> None:
    """As most do."""
    (store,) = (server.data_dir / chats.session.name).glob("*/store.db")
    for beside in store.parent.glob("store.db-*"):
        beside.rename(beside.with_name(f"old-{beside.name}"))
    copies.file.replace(store)


@pytest.mark.parametrize("age", [0, 1, 10, 100])
async def test_nothing_is_lost_over_a_restore(sim, api, pair, new_contact, server, age):
    """All texts arrive, both ways, alone and in the group; with the old file some do not."""
    peer, zoe = await pair()

    async def run(restore: Restore, engine: Engine) -> tuple[Chats, list[str]]:
        session, phone = await pair()
        contacts = [*(Scripted(new_contact(name)) for name in ("Bob", "Eve", "Joe")), engine]
        members = [phone, *(contact.phone for contact in contacts)]
        team = await asyncio.to_thread(sim.create_group, "Team", members)
        async with Follower(session.name).following(api) as follower:
            chats = Chats(api, follower, session, Scripted(phone), contacts, team)
            return chats, await live(chats, age, server, restore)

    async with Follower(peer.name).following(api) as at_zoe, asyncio.TaskGroup() as tasks:
        engine = Engine(zoe, api, peer.name, at_zoe, new_contact())
        safe_run = tasks.create_task(run(by_roost, engine))
        naive_run = tasks.create_task(run(functools.partial(by_hand, server=server), engine))
    safe, lost = safe_run.result()
    assert lost == []
    assert sorted(safe.heard.texts) == sorted(safe.written)  # each text once
    own_copies = await asyncio.to_thread(
        safe.own.phone.copies, len({which for _, which, _ in safe.sent}), timeout=DEADLINE
    )
    assert {message.text for message in own_copies} == {text for _, _, text in safe.sent}
    for contact in (safe.own, *safe.contacts[:-1]):  # Zoe hears the other session too
        assert await asyncio.to_thread(contact.phone.failures) == []
        assert await asyncio.to_thread(contact.phone.identity_changes) == []
    naive, lost = naive_run.result()
    if age:
        in_private, in_team = (
            [text for text in lost if (naive.team.jid in text) is is_team]
            for is_team in (False, True)
        )
        assert len(in_private) > 0
        assert len(in_team) > 0
    else:  # what is lost is lost by the age of the file
        assert lost == []
