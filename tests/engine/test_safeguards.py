"""A session's sending chain never goes back, whatever the engine writes."""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterator

import pytest

from server.engine import safeguards
from server.engine.base import MessageReceived
from simulator import Phone

from .conftest import Sessions

BURST = 10
CHATS = 6


def chain(key: str, index: int) -> dict[str, object]:
    return {
        "SenderRatchetKeyPublic": key,
        "ChainKey": {"Key": f"{key}{index}", "Index": index},
        "MessageKeys": [],
    }


def record(current: dict[str, object], *previous: dict[str, object]) -> bytes:
    """A session as the engine writes it, with a reading side that tells who wrote it."""
    return json.dumps(
        {
            "SessionState": {"ReceiverChains": ["now"], "SenderChain": current},
            "PreviousStates": [{"ReceiverChains": ["then"], "SenderChain": p} for p in previous],
        }
    ).encode()


@pytest.fixture
def store() -> Iterator[sqlite3.Connection]:
    with sqlite3.connect(":memory:") as db:
        db.executescript(
            "CREATE TABLE whatsmeow_device (jid TEXT PRIMARY KEY);"
            "CREATE TABLE whatsmeow_sessions (our_jid TEXT, their_id TEXT, session bytea,"
            " PRIMARY KEY (our_jid, their_id))"
        )
        safeguards.install(db)
        safeguards.install(db)
        yield db
    db.close()


def write(store: sqlite3.Connection, *sessions: bytes) -> object:
    """Writes as the engine does, one over the other, and returns what is there then."""
    for session in sessions:
        store.execute(
            "INSERT INTO whatsmeow_sessions VALUES ('me', 'you', ?1)"
            " ON CONFLICT (our_jid, their_id) DO UPDATE SET session = excluded.session",
            (session,),
        )
    ((kind, kept),) = store.execute(
        "SELECT typeof(session), session FROM whatsmeow_sessions"
    ).fetchall()
    assert kind == "blob"
    return json.loads(kept)


def loads(session: bytes) -> object:
    return json.loads(session)


def test_a_sent_text_is_not_undone_by_one_that_was_read(store: sqlite3.Connection) -> None:
    """The chain stays where the send has left it; the rest is what was written last."""
    kept = write(store, record(chain("a", 4)), record(chain("a", 5)), record(chain("a", 4)))
    assert kept == loads(record(chain("a", 5)))


def test_nor_in_the_session_that_was_set_aside(store: sqlite3.Connection) -> None:
    """The other side began a new session while we sent in the old one."""
    kept = write(store, record(chain("a", 5)), record(chain("b", 0), chain("a", 4), chain("c", 1)))
    assert kept == loads(record(chain("b", 0), chain("a", 5), chain("c", 1)))


def test_nor_in_one_that_was_set_aside_before(store: sqlite3.Connection) -> None:
    """The other side began three new sessions while we sent in the old one."""
    kept = write(
        store,
        record(chain("b", 0), chain("a", 4)),
        record(chain("a", 5)),
        record(chain("d", 0), chain("c", 0), chain("b", 0), chain("a", 4)),
    )
    assert kept == loads(record(chain("d", 0), chain("c", 0), chain("b", 0), chain("a", 5)))


def test_nor_in_one_that_is_taken_up_again(store: sqlite3.Connection) -> None:
    """Each chain is put back by itself, from wherever it stood before."""
    kept = write(
        store,
        record(chain("b", 2), chain("a", 5), chain("c", 7)),
        record(chain("a", 4), chain("c", 8), chain("b", 1), chain("d", 1)),
    )
    assert kept == loads(record(chain("a", 5), chain("c", 8), chain("b", 2), chain("d", 1)))


def test_sessions_without_a_sending_chain_do_no_harm(store: sqlite3.Connection) -> None:
    """Neither do those that never set one aside, as the engine writes it."""
    bare = loads(record(chain("a", 4)))
    assert isinstance(bare, dict)
    for nothing in (None, []):
        written = json.dumps({**bare, "PreviousStates": nothing}).encode()
        kept = write(store, record(chain("a", 5)), written)
        assert kept == {**bare, **json.loads(written), **expected(5)}
    quiet = json.dumps({"SessionState": {"SenderChain": None}, "PreviousStates": None}).encode()
    assert write(store, record(chain("a", 5)), quiet) == loads(quiet)


def expected(index: int) -> dict[str, object]:
    session = loads(record(chain("a", index)))
    assert isinstance(session, dict)
    return {"SessionState": session["SessionState"]}


@pytest.mark.parametrize(
    "later",
    [
        record(chain("a", 5)),
        record(chain("a", 6)),
        record(chain("b", 0)),
        record(chain("b", 0), chain("a", 5)),
        record(chain("b", 0), chain("c", 3)),
        record(chain("b", 0), chain("c", 3), chain("a", 6)),
    ],
)
def test_everything_else_is_kept_as_written(store: sqlite3.Connection, later: bytes) -> None:
    """Going on, a new chain and a new session are no accidents."""
    assert write(store, record(chain("a", 5)), later) == loads(later)


@pytest.mark.parametrize("other", [b"\x0a\x05\xff\x00bytes", b"", b"{}", b"[]"])
def test_a_store_in_another_format_is_left_alone(store: sqlite3.Connection, other: bytes) -> None:
    """An engine that stores sessions in another way is not disturbed."""
    for session in (record(chain("a", 5)), other, record(chain("a", 4)), other):
        store.execute("INSERT OR IGNORE INTO whatsmeow_sessions VALUES ('me', 'you', x'')")
        store.execute("UPDATE whatsmeow_sessions SET session = ?", (session,))
        ((kept,),) = store.execute("SELECT session FROM whatsmeow_sessions").fetchall()
        assert kept == session


async def test_no_text_is_lost_when_both_sides_write_at_once(
    sessions: Sessions, new_phone: Callable[[], Phone]
) -> None:
    """Bursts that cross, in chats that began one way or the other, at the engine's full speed."""
    ann = new_phone()
    watched = await sessions.paired(ann)
    told = 0
    for number in range(CHATS):
        bob = new_phone()
        if number % 2:
            await asyncio.to_thread(bob.send_text, ann, "hello")
            told += 1
            await watched.wait(MessageReceived, told)

        def write_burst(to: Phone = bob) -> None:
            for count in range(BURST):
                to.send_text(ann, f"in {count}")

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(asyncio.to_thread(write_burst))
            for count in range(BURST):
                await watched.session.send_text(
                    recipient=bob.jid, text=f"out {count}", secret=bytes([number, count] * 16)
                )
        told += BURST
        await watched.wait(MessageReceived, told)
        came = await asyncio.to_thread(bob.inbox, BURST)
        assert [message.text for message in came] == [f"out {count}" for count in range(BURST)]
        assert bob.failures() == []
