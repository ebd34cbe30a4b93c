"""The file that a backup is exported to: whole, or refused with the reason."""

import hashlib
import random
import tracemalloc
from datetime import UTC, datetime

import pytest

from server.core.errors import ExportCorrupt, PassphraseWrong
from server.core.names import BackupName
from server.vault.masterkeys.passphrase import Cost
from server.vault.model import BackupKind
from server.vault.portable import BLOCK_BYTES, MAGIC, Importer, Portable, export

QUICK = Cost(log_n=4, r=1, p=1)
WORDS = "correct horse battery staple"


def portable(image):
    data = image.read_bytes()
    return Portable(
        backup=BackupName.parse("sessions/a/backups/b1"),
        kind=BackupKind.HOT,
        create_time=datetime(2026, 1, 1, tzinfo=UTC),
        display_name="Ann",
        labels={"team": "x"},
        proxy_url="http://user:planted@proxy:1",
        engine_version="neonize/0.5.2",
        device_fingerprint="f" * 64,
        image_bytes=len(data),
        image_sha256=hashlib.sha256(data).hexdigest(),
    )


@pytest.fixture
def image(tmp_path):
    """Two and a half blocks that do not compress."""
    path = tmp_path / "image.db"
    path.write_bytes(random.Random(1).randbytes(BLOCK_BYTES * 5 // 2))
    return path


@pytest.fixture
def pieces(image):
    """The file, as it is made."""
    return list(export(image, portable(image), WORDS, QUICK))


@pytest.fixture
def read(tmp_path):
    """Reads a file in pieces; gives what it is, and its image."""

    def read(data, passphrase=WORDS, step=70_000):
        target = tmp_path / f"read-{random.random()}"
        importer = Importer(target, passphrase)
        try:
            for start in range(0, len(data), step):
                importer.feed(data[start : start + step])
            return importer.finish(), target.read_bytes()
        finally:
            importer.close()

    return read


@pytest.mark.parametrize("step", [997, 70_000, 10_000_000])
def test_it_reads_back_whatever_the_pieces(image, pieces, read, step):
    """Pieces of a stream have no meaning."""
    assert read(b"".join(pieces), step=step) == (portable(image), image.read_bytes())


def test_an_empty_image_is_an_image(tmp_path, read):
    """No data frame at all."""
    empty = tmp_path / "empty.db"
    empty.touch()
    assert read(b"".join(export(empty, portable(empty), WORDS, QUICK)))[1] == b""


def test_nothing_in_it_can_be_read_without_the_passphrase(pieces):
    """Neither settings nor names."""
    data = b"".join(pieces)
    for secret in (b"planted", b"sessions", b"neonize"):
        assert secret not in data


def test_another_passphrase_is_told_apart_from_damage(pieces, read):
    """The person can try again."""
    with pytest.raises(PassphraseWrong):
        read(b"".join(pieces), "wrong")


def test_a_passphrase_is_the_same_however_it_is_typed(image, read):
    """Composed and decomposed letters."""
    data = b"".join(export(image, portable(image), "caf\u00e9 au lait", QUICK))
    assert read(data, "cafe\u0301 au lait")


def test_every_truncation_is_noticed(pieces, read):
    """At the border of a frame as within one."""
    data = b"".join(pieces)
    borders = [sum(map(len, pieces[:count])) for count in range(len(pieces))]
    for end in {*borders, *(border + 1 for border in borders), len(data) - 1, 0, 1}:
        with pytest.raises(ExportCorrupt, match=r"too early"):
            read(data[:end])


def test_every_kind_of_disorder_is_noticed(pieces, read):
    """Frames out of order, dropped, repeated, of another file, or behind the end."""
    head, meta, *frames, end = pieces
    for disorder in (
        [head, meta, frames[1], frames[0], frames[2], end],
        [head, meta, *frames[:-1], end],
        [head, meta, *frames, frames[-1], end],
        [head, *frames, meta, end],
        [head, meta, end],
        [*pieces, frames[0]],
        [*pieces, b"x"],
        [head, meta, meta, *frames, end],
    ):
        with pytest.raises(ExportCorrupt):
            read(b"".join(disorder))


def test_frames_of_two_exports_do_not_mix(image, pieces, read):
    """Not even of the same copy under the same passphrase."""
    others = list(export(image, portable(image), WORDS, QUICK))
    with pytest.raises(ExportCorrupt, match="frame 1"):
        read(b"".join([*pieces[:2], *others[2:]]))


def test_every_flipped_bit_is_noticed_and_named(pieces, read):
    """In each byte of the header and of each frame's start, and at random elsewhere."""
    data = b"".join(pieces)
    head = len(pieces[0])
    places = {*range(head + 40), *(sum(map(len, pieces[:n])) + 2 for n in range(1, len(pieces)))}
    places |= {random.Random(2).randrange(len(data)) for _ in range(30)}
    for place in places:
        broken = bytearray(data)
        broken[place] ^= 1 << (place % 8)
        with pytest.raises(ExportCorrupt) as error:
            read(bytes(broken), step=len(broken))
        assert error.value.problem


def test_a_forged_header_cannot_take_all_memory(pieces, read):
    """Its hash is no secret, so anybody can make one."""
    start = pieces[0][:-32]
    forged = start.replace(b'"log_n":4', b'"log_n":31').replace(b'"r":1', b'"r":9')
    body = forged[len(MAGIC) + 4 :]
    forged = MAGIC + len(body).to_bytes(4, "big") + body
    with pytest.raises(ExportCorrupt, match="memory"):
        read(forged + hashlib.sha256(forged).digest())


@pytest.mark.parametrize("data", [b"", b"SQLite format 3\0", b"ROOSTX2\n" + b"\0" * 100])
def test_other_files_are_refused(read, data):
    """By name."""
    with pytest.raises(ExportCorrupt, match=r"not a file that Roost exported|too early"):
        read(data)


def test_memory_is_bounded_by_a_frame_not_by_the_image(tmp_path):
    """A large store must not take a server down."""
    large = tmp_path / "large.db"
    with large.open("wb") as file:
        for number in range(24):
            file.write(random.Random(number).randbytes(BLOCK_BYTES))
    what = portable(large)
    tracemalloc.start()
    importer = Importer(tmp_path / "out.db", WORDS)
    for piece in export(large, what, WORDS, QUICK):
        importer.feed(piece)
    assert importer.finish() == what
    importer.close()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12 * BLOCK_BYTES
    assert (tmp_path / "out.db").stat().st_size == large.stat().st_size
