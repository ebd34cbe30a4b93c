"""What a host tells is in order, bounded, and safe before it is told."""

import threading
from pathlib import Path

import pytest
from roost.engine.v1 import frames_pb2 as frames

from server.engine import outbox as outbox_module
from server.engine.frames import FrameReader
from server.engine.outbox import WINDOW, Outbox
from server.engine.spool import Spool


def opened(folder: Path, *, acked: int = 0) -> tuple[Spool, Outbox]:
    spool = Spool(folder, acked=acked)
    return spool, Outbox("a", spool, lambda: None)


def raw(text: str) -> frames.Event:
    return frames.Event(raw_event=frames.RawEvent(type=text))


def taken(outbox: Outbox, limit: int = 1 << 30) -> list[frames.HostFrame]:
    bodies = FrameReader().feed(outbox.take(limit))
    return [frames.HostFrame.FromString(body) for body in bodies]


def test_events_keep_their_order_and_answers_overtake(tmp_path: Path) -> None:
    _, outbox = opened(tmp_path)
    outbox.keep(raw("one"))
    outbox.tell(frames.Event(disconnected=frames.Disconnected()))
    outbox.keep(raw("two"))
    outbox.answer(frames.HostFrame(pong=frames.Pong(id=7)))
    pong, one, lost, two = taken(outbox)
    assert pong.pong.id == 7
    assert (one.event.spool, lost.event.spool, two.event.spool) == (1, 0, 2)
    assert {frame.session_id for frame in (pong, one, lost, two)} == {"a"}
    assert outbox.is_empty


def test_what_was_not_acknowledged_is_repeated_before_anything_new(tmp_path: Path) -> None:
    spool, outbox = opened(tmp_path)
    for text in ("one", "two", "three"):
        outbox.keep(raw(text))
    taken(outbox)
    spool.close()
    _, outbox = opened(tmp_path, acked=1)
    outbox.tell(frames.Event(connected=frames.Connected()))
    outbox.keep(raw("four"))
    events = [frame.event for frame in taken(outbox)]
    assert [event.raw_event.type for event in events] == ["two", "three", "", "four"]
    assert [event.spool for event in events] == [2, 3, 0, 4]


def test_only_a_window_of_events_is_on_the_way(tmp_path: Path) -> None:
    spool, outbox = opened(tmp_path)
    for number in range(WINDOW + 5):
        outbox.keep(raw(str(number)))
    outbox.answer(frames.HostFrame(pong=frames.Pong()))
    assert len(taken(outbox)) == WINDOW + 1
    assert taken(outbox) == []
    spool.acknowledge(3)
    assert [frame.event.spool for frame in taken(outbox)] == [WINDOW + 1, WINDOW + 2, WINDOW + 3]


def test_a_full_queue_holds_the_engine_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "MAX_QUEUED_BYTES", 100)
    _, outbox = opened(tmp_path)
    outbox.keep(raw("x" * 200))
    blocked = threading.Thread(target=outbox.keep, args=(raw("next"),))
    blocked.start()
    blocked.join(0.05)
    assert blocked.is_alive()
    assert len(taken(outbox, limit=1)) == 1
    blocked.join(10)
    assert [frame.event.spool for frame in taken(outbox)] == [2]


def test_a_drain_releases_the_engine_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "MAX_QUEUED_BYTES", 100)
    spool, outbox = opened(tmp_path)
    outbox.keep(raw("x" * 200))
    blocked = threading.Thread(target=outbox.keep, args=(raw("next"),))
    blocked.start()
    outbox.drain(deaf=True)
    blocked.join(10)
    assert outbox.is_empty
    assert [position for position, _ in spool.unacknowledged()] == [1, 2]
    assert outbox.lost == 0


def test_a_full_disk_holds_the_engine_back_until_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "RETRY_SECONDS", 0.01)
    spool, outbox = opened(tmp_path)
    tried, is_full = threading.Event(), [True]
    append = spool.append

    def append_or_fail(body: bytes) -> int:
        tried.set()
        if is_full:
            raise OSError
        return append(body)

    monkeypatch.setattr(spool, "append", append_or_fail)
    blocked = threading.Thread(target=outbox.keep, args=(raw("one"),))
    blocked.start()
    assert tried.wait(10)
    assert taken(outbox) == []
    is_full.clear()
    blocked.join(10)
    assert [frame.event.spool for frame in taken(outbox)] == [1]
    assert outbox.lost == 0


def test_what_no_disk_takes_at_the_end_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool, outbox = opened(tmp_path)

    def fail(_: bytes) -> int:
        raise OSError

    monkeypatch.setattr(spool, "append", fail)
    outbox.drain(deaf=False)
    outbox.keep(raw("lost"))
    assert outbox.lost == 1
    assert taken(outbox) == []
