"""Folders of Baileys before version 7."""

import json

from tests.support.baileys import (
    DEVICE,
    GROUP,
    LID,
    PEER_PN,
    USER,
    as_buffer,
    djb,
    entry,
    folder,
    sender_key,
    session,
    text64,
)
from tests.support.stores import public, rows

HIDDEN = "188659171258361"


def with_identity(key, **fields):
    one = entry(**fields)
    one["indexInfo"]["remoteIdentityKey"] = text64(djb(key))
    return one


def old_folder(**extra):
    """As version 6 writes it: no map of addresses, no `_1` anywhere."""
    kept = ("creds", "pre-key")
    names = {name: value for name, value in folder().items() if name.startswith(kept)}
    return names | {name.replace("__", "."): value for name, value in extra.items()}


def sessions_of(store):
    query = "SELECT their_id, session FROM whatsmeow_sessions"
    return {name: json.loads(record) for name, record in rows(store, query)}


def test_two_sessions_with_one_device_become_one(import_folder):
    """The one that was read last is current; the other still reads; the addresses are learnt."""
    by_number = with_identity(b"b" * 32, used=5)
    hidden = with_identity(b"b" * 32, used=9)
    content = old_folder() | {
        f"session-{PEER_PN}.0.json": session(by_number),
        f"session-{HIDDEN}.0.json": session(hidden),
        f"session-{HIDDEN}.3.json": session(with_identity(b"c" * 32)),
        "session-15559999999.0.json": session(with_identity(b"d" * 32)),
    }
    converted, store = import_folder(content)
    assert converted.dropped == {}
    found = sessions_of(store)
    assert set(found) == {f"{HIDDEN}_1:0", f"{HIDDEN}_1:3", "15559999999:0"}
    record = found[f"{HIDDEN}_1:0"]
    assert record["SessionState"]["RootKey"] == hidden["currentRatchet"]["rootKey"]
    (previous,) = record["PreviousStates"]
    assert previous["RootKey"] == by_number["currentRatchet"]["rootKey"]
    assert set(rows(store, "SELECT lid, pn FROM whatsmeow_lid_map")) == {
        (LID, USER),
        (HIDDEN, PEER_PN),
    }


def test_sessions_of_different_devices_stay_apart(import_folder):
    """Another identity, or another device of it."""
    content = old_folder() | {
        f"session-{PEER_PN}.0.json": session(with_identity(b"a" * 32)),
        f"session-{HIDDEN}.0.json": session(with_identity(b"b" * 32)),
        f"session-{PEER_PN}.1.json": session(with_identity(b"b" * 32)),
    }
    _, store = import_folder(content)
    assert set(sessions_of(store)) == {f"{PEER_PN}:0", f"{PEER_PN}:1", f"{HIDDEN}_1:0"}
    assert rows(store, "SELECT lid, pn FROM whatsmeow_lid_map") == [(LID, USER)]


def test_the_own_phone(import_folder):
    """Its hidden address is known from the credentials; pairing pinned its number."""
    content = old_folder(**{f"session-{LID}__0.json": session()})
    identities = content["creds.json"]["signalIdentities"]
    identities[0]["identifier"]["name"] = f"{USER}:{DEVICE}@s.whatsapp.net"
    _, store = import_folder(content)
    assert set(sessions_of(store)) == {f"{LID}_1:0"}
    pinned = dict(rows(store, "SELECT their_id, identity FROM whatsmeow_identity_keys"))
    phone = rows(store, "SELECT adv_account_sig_key FROM whatsmeow_device")[0][0]
    assert pinned[f"{USER}:0"] == phone
    assert f"{LID}_1:0" in pinned


def test_sender_keys(import_folder):
    """By hidden address and by number."""
    content = old_folder() | {
        f"sender-key-{GROUP}--{HIDDEN}--0.json": sender_key(None),
        f"sender-key-{GROUP}--{PEER_PN}--2.json": sender_key(None),
    }
    _, store = import_folder(content)
    assert {sender for (sender,) in rows(store, "SELECT sender_id FROM whatsmeow_sender_keys")} == {
        f"{HIDDEN}_1:0",
        f"{PEER_PN}:2",
    }


def test_what_an_upgrade_to_version_7_left_behind(import_folder):
    """It does not read the old file once there is a new one, and long numbers are numbers."""
    newer = with_identity(b"b" * 32)
    content = folder() | {
        "session-91111.0.json": session(with_identity(b"b" * 32)),
        "session-91111_1.0.json": session(newer),
        "session-91111.4.json": session(),
        f"session-{HIDDEN}.0.json": session(),
        "identity-key-91111_1.0.json": as_buffer(djb(b"b" * 32)),
    }
    _, store = import_folder(content)
    found = sessions_of(store)
    assert found["91111_1:0"]["SessionState"]["RootKey"] == newer["currentRatchet"]["rootKey"]
    assert found["91111_1:0"]["PreviousStates"] == []
    assert "91111_1:4" in found
    assert f"{HIDDEN}:0" in found
    assert "91111:0" not in found
    pinned = dict(rows(store, "SELECT their_id, identity FROM whatsmeow_identity_keys"))
    assert pinned["91111_1:0"] == public(b"b" * 32)


def test_broken_records_do_not_join(import_folder):
    """They are dropped and counted as ever."""
    content = old_folder() | {
        f"session-{PEER_PN}.0.json": {"_sessions": {"a": {}}},
        f"session-{HIDDEN}.0.json": [],
        "lid-mapping-1.json": {"a": 1},
    }
    converted, _ = import_folder(content)
    assert converted.dropped == {"sessions": 2, "lid_map": 1}
