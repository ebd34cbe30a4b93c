"""Folders of Baileys before version 7, which did not tell hidden addresses from phone numbers.

It filed both as `<user>.<device>`, and kept two sessions with one device that was reached by both.
The engine knows devices by hidden address (`<user>_1`) and would put the session by number over
the other one, back to an older state, as soon as it learnt that both are the same. So the two
become one record, as libsignal keeps several sessions with one device anyway.
"""

import re
from collections.abc import Callable

from .device import Own
from .encodings import Unusable, as_object, as_public
from .records import Kind, Record, Records

SHORTEST_LID = 14  # no phone number in use is that long
_PLAIN = re.compile(r"(\d+)\.(\d+)")
_MODERN = re.compile(r"\d+_\d+\.\d+")
_SENDER = re.compile(r"(.+(?:::|--))(\d+)((?:::|--)\d+)")


def modernise(records: Records, own: Own) -> None:
    """Names sessions and sender keys as Baileys 7 does; two sessions of one device become one."""
    known = {
        record.value
        for pn, record in records.of(Kind.LID).items()
        if isinstance(record.value, str) and not pn.endswith("_reverse")
    } | {own.lid_user}
    is_old = not records.of(Kind.LID) and not any(
        _MODERN.fullmatch(name) for name in records.of(Kind.SESSION)
    )

    def is_lid(user: str) -> bool:
        return user in known or (is_old and len(user) >= SHORTEST_LID and user != own.user)

    _rename(records, Kind.SENDER_KEY, lambda name: _modern_sender(name, is_lid))
    _rename(records, Kind.SESSION, lambda name: _modern_address(name, is_lid))
    if is_old:
        _merge(records)


def _rename(records: Records, kind: Kind, new_name: Callable[[str], str]) -> None:
    """Where both names are taken, the new one has been used since."""
    found = records.of(kind)
    for name in list(found):
        modern = new_name(name)
        if modern != name:
            record = found.pop(name)
            found.setdefault(modern, record)


def _modern_address(name: str, is_lid: Callable[[str], bool]) -> str:
    match = _PLAIN.fullmatch(name)
    return f"{match[1]}_1.{match[2]}" if match and is_lid(match[1]) else name


def _modern_sender(name: str, is_lid: Callable[[str], bool]) -> str:
    match = _SENDER.fullmatch(name)
    return f"{match[1]}{match[2]}_1{match[3]}" if match and is_lid(match[2]) else name


def _merge(records: Records) -> None:
    """Joins sessions by number and by hidden address that have the same identity and device.

    An identity belongs to one device only, so this also tells which number has which address.
    """
    sessions = records.of(Kind.SESSION)
    by_device: dict[tuple[str, bytes], list[str]] = {}
    for name, record in sessions.items():
        identity = _identity(record)
        if identity is not None:
            by_device.setdefault((name.rpartition(".")[2], identity), []).append(name)
    for names in by_device.values():
        hidden = [name for name in names if _MODERN.fullmatch(name)]
        plain = [name for name in names if _PLAIN.fullmatch(name)]
        if len(hidden) == len(plain) == 1:
            other, kept = sessions.pop(plain[0]), sessions[hidden[0]]
            sessions[hidden[0]] = _joined(kept, other)
            lid = hidden[0].partition("_")[0]
            records.add(Kind.LID, plain[0].partition(".")[0], Record(lid, kept.modify_time))


def _identity(record: Record) -> bytes | None:
    try:
        entries = as_object(as_object(record.value).get("_sessions")).values()
        found = {
            as_public(as_object(as_object(entry).get("indexInfo")).get("remoteIdentityKey"))
            for entry in entries
        }
    except Unusable:
        return None
    return found.pop() if len(found) == 1 else None


def _joined(one: Record, other: Record) -> Record:
    values = [as_object(record.value) for record in (other, one)]
    entries = {
        key: entry for value in values for key, entry in as_object(value.get("_sessions")).items()
    }
    times = [record.modify_time for record in (one, other) if record.modify_time is not None]
    return Record({**values[1], "_sessions": entries}, max(times, default=None))
