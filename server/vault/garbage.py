"""Which packs no backup needs any more: a pure decision."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta

from server.core.ids import time_of
from storage_backends.base import ObjectInfo

GRACE = timedelta(hours=24)
"""Longer than any backup takes: a pack that nothing refers to may belong to one under way."""


def garbage(
    packs: Iterable[ObjectInfo],
    used: AbstractSet[str],
    released: Mapping[str, datetime],
    *,
    now: datetime,
    storage_now: datetime,
    grace: timedelta = GRACE,
) -> list[ObjectInfo]:
    """The packs that may be deleted.

    A pack is spared while it is younger than `grace` by the storage's clock or by that of the
    server that named it, and while it was in use less than `grace` ago: a backup under way may
    build on the pages of one that was purged meanwhile. Times in the future spare it.

    Args:
        packs: All packs of a session, as storage lists them.
        used: The keys of packs that a live or trashed backup refers to.
        released: When the last backup that used a pack was purged, by the storage's clock.
        now: This server's clock.
        storage_now: The storage's clock.
        grace: See above.
    """
    return [
        pack
        for pack in packs
        if pack.key not in used
        and storage_now - pack.modify_time > grace
        and _is_older(time_of(pack.key.rpartition("/")[2]), now, grace)
        and (pack.key not in released or storage_now - released[pack.key] > grace)
    ]


def _is_older(time: datetime | None, now: datetime, grace: timedelta) -> bool:
    """A pack whose name tells no time is not ours to delete."""
    return time is not None and now - time > grace
