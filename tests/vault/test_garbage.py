"""Which packs go, and what spares one."""

from datetime import UTC, datetime, timedelta

import pytest

from server.core.ids import ALPHABET, time_of, time_ordered_id
from server.vault.garbage import GRACE, garbage
from storage_backends.base import ObjectInfo

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
OLD = NOW - GRACE - timedelta(seconds=1)
YOUNG = NOW - GRACE + timedelta(seconds=1)


def pack_id(time: datetime) -> str:
    millis, digits = int(time.timestamp() * 1000), ""
    for _ in range(9):
        millis, digit = divmod(millis, 36)
        digits = ALPHABET[digit] + digits
    return f"{digits}abcdefg"


def pack(named: datetime = OLD, stored: datetime = OLD) -> ObjectInfo:
    return ObjectInfo(key=f"packs/shop/{pack_id(named)}", size_bytes=1, modify_time=stored)


def goes(found: ObjectInfo, **fields) -> bool:
    arguments = {"used": frozenset(), "released": {}, "now": NOW, "storage_now": NOW, **fields}
    return garbage([found], arguments.pop("used"), arguments.pop("released"), **arguments) == [
        found
    ]


def test_an_old_pack_that_nothing_uses_goes():
    """Unused for longer than the grace time."""
    assert goes(pack())
    assert goes(pack(), released={pack().key: OLD})


@pytest.mark.parametrize(
    ("found", "fields"),
    [
        (pack(), {"used": {pack().key}}),
        (pack(named=YOUNG), {}),
        (pack(named=NOW + GRACE), {}),
        (pack(stored=YOUNG), {}),
        (pack(stored=NOW + GRACE), {}),
        (pack(), {"released": {pack().key: YOUNG}}),
        (pack(), {"released": {pack().key: NOW + GRACE}}),
        (pack(), {"now": NOW - timedelta(days=3000)}),
        (pack(stored=YOUNG), {"now": NOW + timedelta(days=3000)}),
        (pack(), {"released": {pack().key: YOUNG}, "now": NOW + timedelta(days=3000)}),
        (ObjectInfo(key="packs/shop/what-is-this", size_bytes=1, modify_time=OLD), {}),
    ],
)
def test_what_spares_a_pack(found, fields):
    """Use, youth by either clock, a recent purge, a clock that jumped, and a name not of ours."""
    assert not goes(found, **fields)


def test_an_id_tells_when_it_was_made():
    """To the millisecond; other texts tell nothing."""
    before = datetime.now(UTC)
    made = time_of(time_ordered_id())
    assert made is not None
    assert before - timedelta(milliseconds=1) <= made <= datetime.now(UTC)
    assert time_of("not-an-id") is None
