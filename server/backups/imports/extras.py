"""Records that come back by themselves when they are lost, as rows."""

from .app_state import convert_key, convert_position
from .device import Own, split_jid
from .encodings import Unusable, as_bytes, as_int, as_object
from .records import Kind, Record, Records
from .rows import Row, Rows

_INT64 = 2**63


def map_app_state(records: Records, own: Own, rows: Rows) -> None:
    """Keys, and how far each collection was read."""
    keys = rows.convert(
        records.of(Kind.APP_STATE_KEY),
        "app_state_sync_keys",
        lambda name, record: (as_bytes(name.replace("__", "/")), convert_key(record.value)),
    )
    for key_id, key in keys.values():
        row = {"key_id": key_id, "key_data": key.data, "timestamp": key.timestamp}
        rows.add("app_state_sync_keys", {"jid": own.jid, "fingerprint": key.fingerprint, **row})
    positions = rows.convert(
        records.of(Kind.APP_STATE_VERSION),
        "app_state_version",
        lambda _, record: convert_position(record.value),
    )
    for name, position in positions.items():
        place = {"jid": own.jid, "name": name, "version": position.version}
        rows.add("app_state_version", {**place, "hash": position.hash})
        for index, value in position.macs.items():
            rows.add("app_state_mutation_macs", {**place, "index_mac": index, "value_mac": value})


def map_tokens(records: Records, own: Own, rows: Rows) -> None:
    """What lets contacts with strict privacy be written to."""

    def one(name: str, record: Record) -> Row | None:
        if "@" not in name:  # Baileys' own index
            return None
        user, _, server = split_jid(name)
        entry = as_object(record.value)
        token = as_bytes(entry.get("token"))
        if not token:
            return None
        if not user:
            raise Unusable
        sent = entry.get("senderTimestamp")
        return {
            "our_jid": own.jid,
            "their_jid": f"{user}@{server}",
            "token": token,
            "timestamp": as_int(entry.get("timestamp"), _INT64),
            "sender_timestamp": None if sent is None else as_int(sent, _INT64),
        }

    found = rows.convert(records.of(Kind.TCTOKEN), "privacy_tokens", one)
    for row in {row["their_jid"]: row for row in found.values()}.values():
        rows.add("privacy_tokens", row)
