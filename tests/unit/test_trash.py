"""Moving instead of destroying."""

import stat
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from server.core.names import SessionName
from server.sessions.files import SessionFiles
from server.sessions.trash import NOTE, Trash, TrashNote, read_note
from tests.support.clock import START, FakeClock

A, B = SessionName("a"), SessionName("b-a")


@pytest.fixture
def files(tmp_path):
    files = SessionFiles(tmp_path, FakeClock())
    yield files
    files.close()


def put_store(files, name, epoch, content=b"keys"):
    store = files.store(name, epoch)
    store.parent.mkdir(parents=True)
    store.write_bytes(content)
    return store


async def test_a_store_goes_to_trash_with_a_note(files, tmp_path):
    """Whole, under a name that says when, whose and why."""
    store = put_store(files, A, 3)
    store.with_name("store.db-wal").write_bytes(b"wal")
    await files.discard_epoch(A, 3, "logged-out")
    (folder,) = (tmp_path / "trash").iterdir()
    assert folder.name == "20261122T120000Z-a-logged-out"
    assert {one.name for one in folder.iterdir()} == {"store.db", "store.db-wal", NOTE}
    assert not store.parent.exists()
    note = read_note(folder)
    assert note == TrashNote(
        reason="logged-out", time=START, session="sessions/a", restore=note.restore
    )
    assert stat.S_IMODE((folder / NOTE).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "trash").stat().st_mode) == 0o700


async def test_the_note_names_the_command_that_brings_it_back(files, tmp_path):
    """Moved back by hand a store would send with ratchets that contacts have seen."""
    put_store(files, A, 1)
    await files.discard_epoch(A, 1, "unlinked")
    (folder,) = (tmp_path / "trash").iterdir()
    assert read_note(folder).restore == f"roost trash restore {folder.name}"


async def test_two_moves_in_one_second_do_not_meet(files, tmp_path):
    """The second gets a number."""
    for epoch in (1, 2, 3):
        put_store(files, A, epoch)
        await files.discard_epoch(A, epoch, "restore")
    names = sorted(folder.name for folder in (tmp_path / "trash").iterdir())
    base = "20261122T120000Z-a-restore"
    assert names == [base, f"{base}-2", f"{base}-3"]


async def test_what_is_not_there_is_not_moved(files, tmp_path):
    """Nothing is an error, nothing is made."""
    await files.discard_epoch(A, 1, "x")
    await files.discard_session(A)
    await files.discard_others(A, keep=0)
    assert not await files.bring_back_session(A)
    assert list(tmp_path.iterdir()) == []


async def test_a_session_comes_back_from_trash(files, tmp_path):
    """Everything of it; the newest if it was deleted twice; not another one's."""
    store = put_store(files, A, 1)
    files.spool(A).mkdir()
    other = put_store(files, B, 1, b"other")
    await files.discard_session(B)
    await files.discard_session(A)
    put_store(files, A, 2, b"newer")
    await files.discard_session(A)
    assert not store.exists()
    assert await files.bring_back_session(A)
    assert files.store(A, 2).read_bytes() == b"newer"
    assert not (tmp_path / "sessions/a" / NOTE).exists()
    assert await files.bring_back_session(B)
    assert other.read_bytes() == b"other"
    assert len(list((tmp_path / "trash").iterdir())) == 1


async def test_epochs_are_never_used_twice(files):
    """Not even those of a server that died before it recorded them."""
    assert await files.next_epoch(A, 0) == 1
    put_store(files, A, 7)
    files.spool(A).mkdir()
    assert await files.next_epoch(A, 3) == 8
    assert await files.next_epoch(A, 9) == 10


async def test_leftovers_go_and_the_live_store_stays(files, tmp_path):
    """What a killed server had begun."""
    live = put_store(files, A, 2)
    for epoch in (1, 3):
        put_store(files, A, epoch)
    await files.discard_others(A, keep=2)
    assert live.exists()
    names = sorted(folder.name.partition("-")[2] for folder in (tmp_path / "trash").iterdir())
    assert names == ["a-unused", "a-unused-2"]


async def test_a_restored_store_is_put_in_place(files, tmp_path):
    """Private, moved and not copied."""
    source = tmp_path / "scratch.db"
    source.write_bytes(b"restored")
    await files.install(A, 4, source)
    store = files.store(A, 4)
    assert store.read_bytes() == b"restored"
    assert not source.exists()
    assert stat.S_IMODE(store.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.parent.stat().st_mode) == 0o700
    assert await files.has_store(A, 4)


async def test_an_item_is_listed_while_it_is_read(files, tmp_path):
    """SQLite's side files come and go in a store that is being copied from trash."""
    put_store(files, A, 1)
    kept = await files.discard_epoch(A, 1, "restore")
    side, stop = tmp_path / kept / "store.db-wal", threading.Event()

    def churn():
        while not stop.is_set():
            side.write_bytes(b"w")
            side.unlink()

    trash = Trash(tmp_path / "trash")
    with ThreadPoolExecutor(1) as threads:
        churning = threads.submit(churn)
        try:
            listed = [len(trash.items()) for _ in range(300)]
        finally:
            stop.set()
        churning.result()
    assert set(listed) == {1}
