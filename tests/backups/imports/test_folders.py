"""A Baileys folder becomes a store of ours: every row of the mapping, every refusal."""

import base64
import json
import struct
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.backups.identity import read_devices, self_test
from server.backups.imports.model import CredentialsFormat
from server.backups.model import RestoreMode
from server.backups.snapshot import existing
from server.backups.verify import drill
from server.core.errors import CredentialsInvalid, ExactImportUnsafe
from tests.support.baileys import (
    DEVICE,
    ENCODINGS,
    GROUP,
    LID,
    NOW,
    PEER_LID,
    PEER_PN,
    USER,
    Identity,
    as_buffer,
    creds,
    djb,
    entry,
    files,
    folder,
    sender_key,
    session,
    text64,
    written,
)
from tests.support.stores import devices_seen_by_engine, public, rows

JID = f"{USER}:{DEVICE}@s.whatsapp.net"


def test_everything_in_a_folder_has_its_place(import_folder):
    """By the mapping, table by table."""
    identity = Identity()
    content = folder(identity)
    converted, store = import_folder(content)
    assert converted.format is CredentialsFormat.BAILEYS_MULTI_FILE
    assert converted.mode is RestoreMode.EXACT
    assert (converted.account.jid, converted.account.lid) == (
        f"{USER}@s.whatsapp.net",
        f"{LID}@lid",
    )
    assert (converted.account.device, converted.account.push_name) == (DEVICE, "Ann")
    assert converted.dropped == {}
    assert converted.counts == {
        "app_state_sync_keys": 1,
        "device": 1,
        "identity_keys": 3,
        "lid_map": 2,
        "pre_keys": 30,
        "privacy_tokens": 1,
        "sender_keys": 2,
        "sessions": 3,
    }
    device = (
        "SELECT jid, lid, registration_id, noise_key, identity_key, signed_pre_key, "
        "signed_pre_key_id, signed_pre_key_sig, adv_key, adv_details, adv_account_sig, "
        "adv_account_sig_key, adv_device_sig, platform, business_name, push_name, facebook_uuid, "
        "lid_migration_ts, companion_meta_nonce FROM whatsmeow_device"
    )
    assert rows(store, device) == [
        (
            *(JID, f"{LID}:{DEVICE}@lid", 1234, identity.noise, identity.identity),
            *(identity.signed, 3, identity.signed_signature, b"a" * 32, identity.details),
            *(identity.account_signature, public(identity.phone), identity.device_signature),
            *("android", "", "Ann", None, 0, ""),
        )
    ]
    assert rows(store, "SELECT their_id FROM whatsmeow_sessions ORDER BY their_id") == [
        ("15559999999:3",),
        (f"{LID}_1:0",),
        (f"{PEER_LID}_1:0",),
    ]
    assert set(rows(store, "SELECT their_id, identity FROM whatsmeow_identity_keys")) == {
        ("15559999999:3", public(b"p" * 32)),
        (f"{LID}_1:0", public(identity.phone)),  # what pairing pinned
        (f"{PEER_LID}_1:0", public(b"p" * 32)),
    }
    assert set(rows(store, "SELECT chat_id, sender_id FROM whatsmeow_sender_keys")) == {
        (GROUP, f"{PEER_LID}_1:0"),
        (GROUP, f"{LID}_1:{DEVICE}"),
    }
    assert set(rows(store, "SELECT lid, pn FROM whatsmeow_lid_map")) == {
        (LID, USER),
        (PEER_LID, PEER_PN),
    }
    assert rows(
        store, "SELECT their_jid, token, timestamp, sender_timestamp FROM whatsmeow_privacy_tokens"
    ) == [(f"{PEER_LID}@lid", b"token", 1790000000, None)]
    key = base64.b64decode("AAAA/+8=")
    assert rows(
        store, "SELECT key_id, key_data, timestamp, fingerprint FROM whatsmeow_app_state_sync_keys"
    ) == [(key, b"d" * 32, 1790000000123, bytes.fromhex("08ac0210011a020001"))]
    prekeys = rows(store, "SELECT key_id, key, uploaded FROM whatsmeow_pre_keys ORDER BY key_id")
    assert [number for number, _, _ in prekeys] == [*range(1, 31)]
    first = base64.b64decode(content["pre-key-1.json"]["private"]["data"])
    assert prekeys[0] == (1, first, 1)
    assert drill(store).problems == ()
    assert devices_seen_by_engine(store) == [f"{USER}:{DEVICE}@s.whatsapp.net"]
    guards = rows(store, "SELECT name FROM sqlite_master WHERE type = 'trigger'")
    assert ("roost_guard",) in guards


@settings(
    max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(encode=st.sampled_from(ENCODINGS), hosted=st.booleans(), name=st.text(max_size=5))
def test_a_converted_identity_holds_together(import_folder, encode, hosted, name):
    """In every encoding, hosted or not: the three signatures verify, and nothing is dropped."""
    me = {"id": JID, "lid": f"{LID}:{DEVICE}@lid", "name": name}
    converted, store = import_folder(folder(Identity(hosted=hosted), encode, me=me))
    with existing(store) as connection:
        (device,) = read_devices(connection)
    assert self_test(device) == []
    assert converted.dropped == {}
    assert converted.counts["sessions"] == 3


def test_ids_of_prekeys(import_folder):
    """What WhatsApp has is marked, and no id is given out twice."""
    content = folder(nextPreKeyId=41, firstUnuploadedPreKeyId=21)
    _, store = import_folder(content)
    found = dict(rows(store, "SELECT key_id, uploaded FROM whatsmeow_pre_keys"))
    assert found == {**dict.fromkeys(range(1, 21), 1), **dict.fromkeys([*range(21, 31), 41], 0)}


def test_a_folder_of_before_hidden_addresses(import_folder):
    """Without a LID of its own it is taken from the map, else left to the engine."""
    me = {"id": JID, "name": "Ann"}
    content = folder(me=me, signalIdentities=None)
    _, store = import_folder(content)
    assert rows(store, "SELECT lid FROM whatsmeow_device") == [(None,)]
    _, store = import_folder(content | {f"lid-mapping-{USER}.json": LID})
    assert rows(store, "SELECT lid FROM whatsmeow_device") == [(f"{LID}:{DEVICE}@lid",)]


def test_sessions_that_a_hidden_address_has_replaced(import_folder):
    """Baileys reads the newer one only; the engine would put the older one over it."""
    older = {
        f"session-{PEER_PN}.0.json": session(),
        f"session-{PEER_PN}.2.json": session(),
        f"identity-key-{PEER_PN}.0.json": as_buffer(djb(b"o" * 32)),
        f"sender-key-{GROUP}--{PEER_PN}--0.json": sender_key(None),
    }
    converted, store = import_folder(folder() | older)
    names = {name for (name,) in rows(store, "SELECT their_id FROM whatsmeow_sessions")}
    assert f"{PEER_PN}:0" not in names
    assert f"{PEER_PN}:2" in names
    assert rows(
        store, f"SELECT count(*) FROM whatsmeow_sender_keys WHERE sender_id LIKE '{PEER_PN}%'"
    ) == [(0,)]
    assert converted.dropped == {}


def test_two_numbers_of_one_hidden_address(import_files):
    """The one learnt last is right."""
    given = files(folder())
    given.append(written("lid-mapping-15558888888.json", PEER_LID, NOW + timedelta(hours=-1)))
    given.append(written("lid-mapping-15556666666.json", PEER_LID, NOW + timedelta(hours=1)))
    _, store = import_files(given)
    assert (PEER_LID, "15556666666") in rows(store, "SELECT lid, pn FROM whatsmeow_lid_map")


def test_app_state_is_carried_over_only_whole(import_folder):
    """A position whose sum is wrong would be stuck; without it the engine reads anew."""
    empty = {"version": 7, "hash": as_buffer(bytes(128)), "indexValueMap": {}}
    entries = {text64(b"i" * 32): {"valueMac": as_buffer(b"v" * 32)}}
    content = folder() | {
        "app-state-sync-version-regular.json": empty,
        "app-state-sync-version-regular_low.json": empty | {"indexValueMap": entries},
        "app-state-sync-version-critical_block.json": empty | {"version": 0},
    }
    converted, store = import_folder(content)
    assert rows(store, "SELECT name, version FROM whatsmeow_app_state_version") == [("regular", 7)]
    assert converted.dropped == {"app_state_version": 1}


def test_app_state_with_entries(import_folder):
    """Each entry belongs to the position it was read at."""
    mac = bytes(range(32))
    derived = HKDF(hashes.SHA256(), 128, salt=None, info=b"WhatsApp Patch Integrity").derive(mac)
    words = struct.unpack("<64H", derived)
    total = struct.pack("<64H", *[2 * word % 2**16 for word in words])
    state = {
        "version": "3",
        "hash": as_buffer(total),
        "indexValueMap": {text64(key * 32): {"valueMac": as_buffer(mac)} for key in (b"i", b"j")},
    }
    _, store = import_folder(folder() | {"app-state-sync-version-regular.json": state})
    assert rows(
        store, "SELECT name, version, index_mac, value_mac FROM whatsmeow_app_state_mutation_macs"
    ) == [("regular", 3, key * 32, mac) for key in (b"i", b"j")]


def test_what_cannot_be_mapped_is_dropped_and_counted(import_folder):
    """Those chats start anew; all others go on."""
    archived = entry(closed=9)
    archived["_chains"] = {}
    bad = {
        "session-92222_1.0.json": session(entry(closed=5)),
        "session-93333_1.0.json": {"_sessions": []},
        "session-someone.json": session(),
        "session-94444_1.0.json": session(entry(), archived),
        "identity-key-92222_1.0.json": as_buffer(b"short"),
        f"sender-key-{GROUP}.json": sender_key(None),
        f"sender-key-{GROUP}--95555_1--0.json": as_buffer(b"[{}]"),
        "pre-key-99.json": {"private": as_buffer(b"a" * 32), "public": as_buffer(b"b" * 32)},
        "pre-key-16777216.json": as_buffer(b""),
        "lid-mapping-x.json": "y",
        "tctoken-x@y.z.json": {"token": as_buffer(b"t"), "timestamp": None},
        "app-state-sync-key-AAAA.json": {"keyData": None},
    }
    converted, store = import_folder(folder() | bad)
    assert converted.dropped == {
        "sessions": 3,
        "archived_sessions": 1,
        "identity_keys": 1,
        "sender_keys": 2,
        "pre_keys": 2,
        "lid_map": 1,
        "privacy_tokens": 1,
        "app_state_sync_keys": 1,
    }
    assert "3 sessions" in converted.warnings
    assert drill(store).problems == ()


def test_copies_beside_a_file_stand_in_for_it(import_files):
    """Then the folder did not end in order, and is re-keyed."""
    content = folder()
    good = json.dumps(content.pop("creds.json")).encode()
    peer = f"session-{PEER_LID}_1.0.json"
    given = [
        *files(content),
        written("creds.json", good[:100]),
        written("creds.json.bak", good),
        written("creds.json.1234.tmp", b""),
    ]
    converted, _ = import_files(given)
    assert converted.mode is RestoreMode.REKEY
    assert converted.reasons[0].startswith("creds.json is not whole")
    saved = content.pop(peer)
    torn = [written("creds.json", good), written(peer, b'{"_sess'), written(f"{peer}.tmp", saved)]
    converted, store = import_files([*files(content), *torn])
    assert converted.reasons == ("1 files are not whole", "1 files were being written")
    assert rows(store, "SELECT count(*) FROM whatsmeow_sessions") == [(0,)]
    with pytest.raises(ExactImportUnsafe):
        import_files([*files(content), *torn], mode=RestoreMode.EXACT)


@pytest.mark.parametrize("name", ["creds.json.bak", "creds.bak.json", "creds.json~"])
def test_a_copy_beside_a_whole_file_means_nothing(import_files, name):
    """Careful programs leave them."""
    converted, _ = import_files([*files(folder()), written(name, b"")])
    assert converted.mode is RestoreMode.EXACT


def test_a_torn_record_is_lost_and_the_rest_rekeyed(import_folder):
    """Nothing but damage explains it."""
    converted, _ = import_folder(folder() | {"session-92222_1.0.json": b'{"_sessions'})
    assert converted.dropped == {"sessions": 1}
    assert converted.mode is RestoreMode.REKEY


@pytest.mark.parametrize("content", [{"creds.json": creds(Identity())}])
def test_a_folder_with_nothing_but_the_device(import_folder, content):
    """Some export no more; it goes on with fresh ratchets."""
    converted, store = import_folder(content)
    assert converted.mode is RestoreMode.REKEY
    assert drill(store).problems == ()


def test_prekeys_that_the_credentials_do_not_know(import_folder):
    """The files are of different moments."""
    converted, _ = import_folder(folder(nextPreKeyId=20))
    assert converted.reasons == ("there are prekeys that are newer than the credentials",)


def test_rekeying_leaves_no_ratchet(import_folder):
    """Nobody said that the source was stopped."""
    converted, store = import_folder(folder(), source_stopped=False)
    assert converted.mode is RestoreMode.REKEY
    assert rows(store, "SELECT count(*) FROM whatsmeow_sessions") == [(0,)]
    assert rows(store, "SELECT sender_id FROM whatsmeow_sender_keys") == [(f"{PEER_LID}_1:0",)]
    assert rows(store, "SELECT max(key_id) FROM whatsmeow_pre_keys") == [(10030,)]


def test_names_may_have_folders_in_front_and_other_files_beside_them(import_files):
    """As archives and desktops make them."""
    content = folder() | {".DS_Store": b"\x00", "notes.txt": b"hi", "store.json": {}}
    given = [written(f"auth_info\\x/{name}", value) for name, value in content.items()]
    assert import_files(given)[0].dropped == {}


def changed(field, value):
    return lambda: folder(**{field: value})


def without(name):
    return lambda: {key: value for key, value in folder().items() if key != name}


def replaced(value):
    return lambda: folder() | {"creds.json": value}


def foreign(field):
    """Credentials with one part of another device."""
    other = creds(Identity())
    return lambda: folder(**{field: other[field]})


ME = {"id": JID, "name": "Ann"}
LEGACY = {"clientID": "x", "serverToken": "y", "encKey": "z", "macKey": "w"}


REFUSED = [
    (without("creds.json"), "not among the files"),
    (replaced(b""), "the file is empty"),
    (replaced(b" \n"), "the file is empty"),
    (replaced(b'{"noiseKey": {"pri'), "not whole"),
    (replaced(b"{}" + b"\x00" * 40), "not whole"),
    (replaced([]), "no Baileys credentials"),
    (replaced({}), "no Baileys credentials"),
    (replaced(LEGACY), "before linked devices"),
    (changed("me", None), "never paired"),
    (changed("account", None), "never paired"),
    (changed("me", ME | {"id": f"{USER}@s.whatsapp.net"}), "never paired"),
    (changed("me", ME | {"id": "x"}), "never paired"),
    (changed("noiseKey", None), "noise key"),
    (changed("noiseKey", {"private": text64(b"a"), "public": text64(b"b")}), "noise key"),
    (changed("signedPreKey", {}), "signed prekey"),
    (changed("registrationId", -1), "registration id"),
    (changed("account", {"details": "AAAA"}), "signatures of the pairing"),
    (foreign("signedIdentityKey"), "do not belong together"),
    (foreign("signedPreKey"), "has not signed the prekey"),
    (foreign("account"), "the phone has not signed"),
]


@pytest.mark.parametrize(("make", "problem"), REFUSED, ids=map(str, range(len(REFUSED))))
def test_what_is_refused(import_folder, make, problem):
    """With the file and the reason, and nothing of what is in it."""
    with pytest.raises(CredentialsInvalid, match=problem) as refusal:
        import_folder(make())
    told = str(refusal.value) + str(refusal.value.metadata())
    assert refusal.value.file == "creds.json"
    assert USER not in told
    assert LID not in told


def test_files_of_two_folders_are_refused(import_files):
    """It would be a guess which is meant."""
    one = [written(f"{place}/creds.json", creds(Identity())) for place in "ab"]
    with pytest.raises(CredentialsInvalid, match="more than one folder"):
        import_files(one)
    with pytest.raises(CredentialsInvalid, match="no files"):
        import_files([])


@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(place=st.integers(0, 10_000), size=st.integers(0, 40), noise=st.binary(max_size=8))
def test_damage_never_makes_another_device(import_files, place, size, noise):
    """A damaged `creds.json` is refused, or is still the same device; never anything else."""
    name, data = "creds.json", DAMAGED_CREDS
    place %= len(data)
    torn = data[:place] + noise + data[place + size :]
    try:
        _, store = import_files([written(name, torn)])
    except CredentialsInvalid:
        return
    assert rows(store, "SELECT identity_key FROM whatsmeow_device") == [(DAMAGED.identity,)]


DAMAGED = Identity()
DAMAGED_CREDS = json.dumps(creds(DAMAGED)).encode()
