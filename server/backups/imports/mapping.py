"""Baileys' records as rows of the engine's tables, kind by kind."""

import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

from server.backups.identity import new_private_key

from .device import ID_LIMIT, Own, split_jid
from .encodings import Unusable, as_int, as_object, as_private, as_public, public_of
from .extras import map_app_state, map_tokens
from .legacy import modernise
from .ratchets import Session, convert_session
from .records import Kind, Record, Records
from .rows import Rows
from .sender_keys import convert_sender_key

_ADDRESS = re.compile(r"(\d+)(_\d+)?\.(\d+)")
_SENDER = re.compile(
    r"(?P<group>.+)(?:::|--)(?P<user>\d+)(?P<domain>_\d+)?(?:::|--)(?P<device>\d+)"
)
_LID = "_1"
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def own_lid(records: Records) -> str:
    """The account's LID, from its map, for credentials that are older than LIDs."""
    me = records.creds.get("me")
    user, _, _ = split_jid(me.get("id") if isinstance(me, Mapping) else None)
    record = records.of(Kind.LID).get(user)
    value = record.value if record is not None else None
    return value if isinstance(value, str) and value.isdecimal() else ""


def map_records(records: Records, own: Own) -> Rows:
    """Everything that the engine can use."""
    modernise(records, own)
    rows = Rows(dropped=Counter(records.dropped), damage=list(records.damage))
    rows.add("device", own.row)
    lids = _map_lids(records, own, rows)
    _map_prekeys(records, own, rows)
    _map_sessions(records, own, rows, lids)
    _map_sender_keys(records, own, rows, lids)
    map_app_state(records, own, rows)
    map_tokens(records, own, rows)
    return rows


def _map_lids(records: Records, own: Own, rows: Rows) -> dict[str, str]:
    """Phone number to LID; where two numbers have the same LID, the one learnt last wins."""

    def one(pn: str, record: Record) -> tuple[datetime, str] | None:
        if pn.endswith("_reverse"):
            return None
        lid = record.value
        if not (pn.isdecimal() and isinstance(lid, str) and lid.isdecimal()):
            raise Unusable
        return record.modify_time or _LONG_AGO, lid

    found = rows.convert(records.of(Kind.LID), "lid_map", one)
    by_lid = {lid: pn for pn, (_, lid) in sorted(found.items(), key=lambda item: item[1][0])}
    if own.lid_user:
        by_lid = {lid: pn for lid, pn in by_lid.items() if pn != own.user}
        by_lid[own.lid_user] = own.user
    for lid, pn in by_lid.items():
        rows.add("lid_map", {"lid": lid, "pn": pn})
    return {pn: lid for lid, pn in by_lid.items()}


def _map_prekeys(records: Records, own: Own, rows: Rows) -> None:
    def one(name: str, record: Record) -> tuple[int, bytes]:
        pair = as_object(record.value)
        return as_int(name, ID_LIMIT), as_private(pair.get("private"), pair.get("public"))

    keys = dict(rows.convert(records.of(Kind.PREKEY), "pre_keys", one).values())
    first_new = _number(records.creds.get("firstUnuploadedPreKeyId"))
    following = _number(records.creds.get("nextPreKeyId"))
    highest = max(keys, default=0)
    if following and highest >= following:
        rows.damage.append("there are prekeys that are newer than the credentials")
    if highest < following - 1:
        keys[following] = new_private_key()  # so that no id is given out a second time
    for number, key in keys.items():
        uploaded = number < first_new
        rows.add("pre_keys", {"jid": own.jid, "key_id": number, "key": key, "uploaded": uploaded})


def _map_sessions(records: Records, own: Own, rows: Rows, lids: Mapping[str, str]) -> None:
    identity = public_of(own.identity)

    def one(name: str, record: Record) -> tuple[str, Session]:
        found = convert_session(
            record.value, identity=identity, registration_id=own.registration_id
        )
        return _address(name), found

    sessions = rows.convert(_current(records.of(Kind.SESSION), lids), "sessions", one)
    pinned = {their_id: session.identity for their_id, session in sessions.values()}
    pinned |= _first_identities(records, rows)
    if own.lid_user:
        pinned[f"{own.lid_user}{_LID}:0"] = own.phone_identity
    known = rows.convert(
        _current(records.of(Kind.IDENTITY), lids),
        "identity_keys",
        lambda name, record: (_address(name), as_public(record.value)),
    )
    pinned |= dict(known.values())
    for their_id, key in pinned.items():
        rows.add("identity_keys", {"our_jid": own.jid, "their_id": their_id, "identity": key})
    for their_id, session in sessions.values():
        row = {"our_jid": own.jid, "their_id": their_id, "session": session.data}
        rows.add("sessions", row)
        rows.dropped["archived_sessions"] += session.lost


def _first_identities(records: Records, rows: Rows) -> dict[str, bytes]:
    """What pairing pinned: the key of the account's phone."""
    listed = records.creds.get("signalIdentities")

    def one(_: str, record: Record) -> tuple[str, bytes]:
        entry = as_object(record.value)
        identifier = as_object(entry.get("identifier"))
        user, _, server = split_jid(identifier.get("name"))
        if not user:
            raise Unusable
        device = as_int(identifier.get("deviceId") or 0, 100)
        domain = _LID if server == "lid" else ""
        return f"{user}{domain}:{device}", as_public(entry.get("identifierKey"))

    numbered = enumerate(listed) if isinstance(listed, list) else ()
    entries = {str(place): Record(entry) for place, entry in numbered}
    return dict(rows.convert(entries, "identity_keys", one).values())


def _map_sender_keys(records: Records, own: Own, rows: Rows, lids: Mapping[str, str]) -> None:
    def one(name: str, record: Record) -> tuple[str, str, bytes] | None:
        match = _SENDER.fullmatch(name)
        if match is None:
            raise Unusable
        user, domain, device = match["user"], match["domain"] or "", match["device"]
        data = convert_sender_key(record.value)
        return None if data is None else (match["group"], f"{user}{domain}:{device}", data)

    found = rows.convert(records.of(Kind.SENDER_KEY), "sender_keys", one)
    of = {(group, sender) for group, sender, _ in found.values()}
    for group, sender, data in found.values():
        user, _, device = sender.partition(":")
        if user in lids and (group, f"{lids[user]}{_LID}:{device}") in of:
            continue
        row = {"our_jid": own.jid, "chat_id": group, "sender_id": sender, "sender_key": data}
        rows.add("sender_keys", row)


def _current(records: Mapping[str, Record], lids: Mapping[str, str]) -> dict[str, Record]:
    """Without those by phone number that one by LID has taken the place of.

    Baileys does not look at them again; the engine would put them over the newer ones.
    """
    return {
        name: record
        for name, record in records.items()
        if (match := _ADDRESS.fullmatch(name)) is None
        or match[2]
        or f"{lids.get(match[1])}{_LID}.{match[3]}" not in records
    }


def _address(name: str) -> str:
    match = _ADDRESS.fullmatch(name)
    if match is None:
        raise Unusable
    return f"{match[1]}{match[2] or ''}:{match[3]}"


def _number(value: object) -> int:
    try:
        return as_int(value, ID_LIMIT + 1)
    except Unusable:
        return 0
