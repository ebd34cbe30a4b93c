"""The spool loses nothing, repeats nothing acknowledged, and never reuses a position."""

import errno
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from server.engine import spool as spool_module
from server.engine.spool import Spool


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.spool"))


class SpoolMachine(RuleBasedStateMachine):
    """Appends, acknowledgements, crashes, torn writes and clean ends, against a dict in memory."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.kept: dict[int, bytes] = {}
        self.acked = 0
        self.highest = 0
        self.rotate_bytes, self.tidy_bytes = spool_module.ROTATE_BYTES, spool_module.TIDY_BYTES
        spool_module.ROTATE_BYTES, spool_module.TIDY_BYTES = 200, 60
        self.spool = Spool(self.folder, acked=0)

    def teardown(self) -> None:
        spool_module.ROTATE_BYTES, spool_module.TIDY_BYTES = self.rotate_bytes, self.tidy_bytes
        os.close(self.spool._fd)
        shutil.rmtree(self.folder)

    @rule(body=st.binary(max_size=120))
    def append(self, body: bytes) -> None:
        position = self.spool.append(body)
        assert position == self.highest + 1
        self.highest = position
        self.kept[position] = body
        self._check()

    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        self.acked = data.draw(st.integers(self.acked, self.highest))
        self.spool.acknowledge(self.acked)
        self._check()

    @rule()
    def end_and_open(self) -> None:
        self.spool.close()
        self.spool = Spool(self.folder, acked=self.acked)
        self._check()

    @rule(stale=st.booleans())
    def crash_and_open(self, *, stale: bool) -> None:
        os.close(self.spool._fd)
        # A server that crashed between its commit and the acknowledgement knows more than the
        # spool; one that lost its own last word knows less: both only change what is repeated.
        self.spool = Spool(self.folder, acked=0 if stale else self.acked)
        self.spool.acknowledge(self.acked)
        self._check()

    @rule(junk=st.binary(min_size=1, max_size=40))
    def tear_and_open(self, junk: bytes) -> None:
        os.close(self.spool._fd)
        with segments(self.folder)[-1].open("ab") as file:
            file.write(b"\0\0\0\x20" + junk)  # the beginning of a record
        self.spool = Spool(self.folder, acked=self.acked)
        self._check()

    @rule(ahead=st.integers(1, 50))
    def server_knows_more(self, ahead: int) -> None:
        """As after a restore of the spool's folder from an older copy."""
        os.close(self.spool._fd)
        self.acked = self.highest = self.highest + ahead
        self.spool = Spool(self.folder, acked=self.acked)
        self._check()

    def _check(self) -> None:
        assert self.spool.next == self.highest + 1
        assert dict(self.spool.unacknowledged()) == {
            position: body for position, body in self.kept.items() if position > self.acked
        }
        assert [position for position, _ in self.spool.unacknowledged()] == sorted(
            position for position in self.kept if position > self.acked
        )


TestSpoolMachine = SpoolMachine.TestCase
TestSpoolMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_positions_count_from_one_in_private_files(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", acked=0)
    assert [spool.append(b"a"), spool.append(b""), spool.append(b"c" * 9)] == [1, 2, 3]
    assert list(spool.unacknowledged()) == [(1, b"a"), (2, b""), (3, b"c" * 9)]
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700
    assert segments(tmp_path / "spool")[0].stat().st_mode & 0o777 == 0o600
    spool.close()


def test_acknowledged_bodies_leave_the_disk(tmp_path: Path) -> None:
    spool = Spool(tmp_path, acked=0)
    spool.append(b"private words")
    spool.acknowledge(1)
    spool.close()
    (segment,) = segments(tmp_path)
    assert segment.name == f"{2:020d}.spool"
    assert segment.read_bytes() == b""


def test_a_record_never_passes_for_another(tmp_path: Path) -> None:
    spool = Spool(tmp_path, acked=0)
    spool.append(b"one")
    spool.close()
    (segment,) = segments(tmp_path)
    segment.rename(tmp_path / f"{5:020d}.spool")
    assert list(Spool(tmp_path, acked=0).unacknowledged()) == []


def test_a_full_disk_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path, acked=0)
    spool.append(b"one")
    real_write, calls = os.write, []

    def write_half_then_fail(fd: int, data: bytes) -> int:
        calls.append(data)
        if len(calls) == 1:
            return real_write(fd, data[:5])
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write_half_then_fail)
        with pytest.raises(OSError, match="no space"):
            spool.append(b"two, which does not fit")
    assert spool.append(b"two") == 2
    spool.close()
    assert list(Spool(tmp_path, acked=0).unacknowledged()) == [(1, b"one"), (2, b"two")]
