"""Signal records of libsignal-node, as the engine keeps them."""

import base64
import json

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from server.backups.imports.encodings import Unusable
from server.backups.imports.ratchets import convert_session
from server.backups.imports.sender_keys import convert_sender_key
from tests.support.baileys import (
    ENCODINGS,
    RECEIVING,
    SENDING,
    as_buffer,
    chain,
    djb,
    entry,
    sender_key,
    sender_state,
    session,
    text64,
)

OWN = b"i" * 32


def converted(record):
    made = convert_session(record, identity=OWN, registration_id=9)
    return json.loads(made.data), made


def derived(seed, info, size):
    return HKDF(hashes.SHA256(), size, salt=None, info=info).derive(seed)


def data(text):
    return base64.b64decode(text)


def test_the_open_session_goes_on_where_it_was():
    """Counters count from the next message here, from the last one there."""
    ours, theirs = b"o" * 32, djb(b"t" * 32)
    one = entry(
        our_key=ours,
        last=theirs,
        chains={text64(theirs): chain(RECEIVING, 6, b"r" * 32, [(2, b"x" * 32)])},
    )
    record, made = converted(session(one))
    state = record["SessionState"]
    sending, (receiving,) = state["SenderChain"], state["ReceiverChains"]
    assert data(sending["SenderRatchetKeyPrivate"]) == ours
    assert data(sending["SenderRatchetKeyPublic"]) == djb(ours)
    assert (sending["ChainKey"]["Index"], data(sending["ChainKey"]["Key"])) == (5, b"s" * 32)
    assert data(receiving["SenderRatchetKeyPublic"]) == theirs
    assert (receiving["ChainKey"]["Index"], data(receiving["ChainKey"]["Key"])) == (7, b"r" * 32)
    keys = derived(b"x" * 32, b"WhisperMessageKeys", 80)
    (skipped,) = receiving["MessageKeys"]
    assert skipped["Index"] == 2
    assert data(skipped["CipherKey"]) + data(skipped["MacKey"]) + data(skipped["IV"]) == keys
    assert data(state["RootKey"]) == data(one["currentRatchet"]["rootKey"])
    assert data(state["LocalIdentityPublic"]) == b"\x05" + OWN
    assert data(state["RemoteIdentityPublic"]) == djb(b"p" * 32) == b"\x05" + made.identity
    assert data(state["SenderBaseKey"]) == data(one["indexInfo"]["baseKey"])
    assert state["LocalRegistrationID"] == 9
    assert state["RemoteRegistrationID"] == 77
    assert (state["PreviousCounter"], state["SessionVersion"]) == (2, 3)
    assert record["PreviousStates"] == []
    assert made.lost == 0


def test_a_chain_that_was_not_used_yet():
    """Its counter is -1, and so may be the one before."""
    one = entry(chains={})
    one["_chains"] = {key: chain(SENDING, -1, b"s" * 32) for key in one["_chains"]}
    one["currentRatchet"]["previousCounter"] = -1
    state = converted(session(one))[0]["SessionState"]
    assert state["SenderChain"]["ChainKey"]["Index"] == 0
    assert state["PreviousCounter"] == 0


@pytest.mark.parametrize("prekey", [12, None])
def test_a_session_that_was_not_answered_yet(prekey):
    """The next message still carries the prekey's id."""
    pending = {"signedKeyId": 4, "baseKey": text64(djb(b"b" * 32))}
    if prekey is not None:
        pending["preKeyId"] = prekey
    found = converted(session(entry(pending=pending)))[0]["SessionState"]["PendingPreKey"]
    assert found["PreKeyID"] == {"Value": prekey or 0, "IsEmpty": prekey is None}
    assert (found["SignedPreKeyID"], data(found["BaseKey"])) == (4, djb(b"b" * 32))


def test_a_closed_chain_keeps_its_skipped_messages_only():
    """It has no key; one is made up that nothing was ever encrypted with."""
    closed = text64(djb(b"q" * 32))
    one = entry(last=djb(b"t" * 32), chains={closed: chain(RECEIVING, 9, None, [(3, b"x" * 32)])})
    (receiving,) = converted(session(one))[0]["SessionState"]["ReceiverChains"]
    assert receiving["ChainKey"]["Index"] == 10
    assert len(data(receiving["ChainKey"]["Key"])) == 32
    assert [key["Index"] for key in receiving["MessageKeys"]] == [3]


def test_only_the_last_chains_are_kept_and_the_one_in_use_is_last():
    """The engine keeps five and forgets from the front."""
    last = djb(b"t" * 32)
    others = [djb(bytes([number]) * 32) for number in range(1, 8)]
    chains = {text64(key): chain(RECEIVING, 0, b"r" * 32) for key in (last, *others)}
    state = converted(session(entry(last=last, chains=chains)))[0]["SessionState"]
    kept = [data(found["SenderRatchetKeyPublic"]) for found in state["ReceiverChains"]]
    assert kept == [*others[-4:], last]


def test_closed_sessions_become_previous_ones_newest_first():
    """The open one is current, though it was not used last."""
    archived = [entry(closed=50, used=used) for used in (10, 30, 20)]
    broken = entry(closed=60, used=40)
    broken["currentRatchet"]["rootKey"] = "short"
    record, made = converted(session(*archived, broken, entry(used=5)))
    roots = [data(state["RootKey"]) for state in record["PreviousStates"]]
    by_use = sorted(archived, key=lambda one: -one["indexInfo"]["used"])
    assert roots == [data(one["currentRatchet"]["rootKey"]) for one in by_use]
    assert made.lost == 1


def test_forty_previous_sessions_at_most():
    """As the engine itself keeps."""
    many = [entry(closed=1, used=used) for used in range(45)]
    assert len(converted(session(*many, entry()))[0]["PreviousStates"]) == 40


def test_the_first_format_kept_the_registration_id_elsewhere():
    """It had no version."""
    one = entry()
    del one["registrationId"]
    old = {"_sessions": session(one)["_sessions"], "registrationId": 55}
    assert converted(old)[0]["SessionState"]["RemoteRegistrationID"] == 55


def test_a_record_may_be_bytes_of_json():
    """As stores keep it that know only bytes."""
    assert converted(as_buffer(json.dumps(session()).encode()))[0]["SessionState"]


def no_sending_chain():
    one = entry()
    one["_chains"] = {
        key: found for key, found in one["_chains"].items() if found["chainType"] == RECEIVING
    }
    return session(one)


def wrong_halves():
    one = entry()
    one["currentRatchet"]["ephemeralKeyPair"]["privKey"] = text64(b"w" * 32)
    return session(one)


@pytest.mark.parametrize(
    "record",
    [
        session(entry(closed=4)),
        no_sending_chain(),
        wrong_halves(),
        session(entry(_chains={})),
        session(entry(currentRatchet={})),
        {"_sessions": {"a": {}}},
        {},
        [],
        None,
        "text",
    ],
)
def test_what_cannot_be_mapped_is_not_guessed(record):
    """The chat starts a new session instead."""
    with pytest.raises(Unusable):
        converted(record)


@pytest.mark.parametrize("encode", ENCODINGS)
def test_a_sender_key(encode):
    """Another member's, with a skipped text, and our own."""
    theirs = sender_state(5, 3, skipped=[(1, b"x" * 32)], encode=encode)
    (state,) = json.loads(convert_sender_key(sender_key(theirs)))["SenderKeyStates"]
    assert state["KeyID"] == 5
    assert state["SenderChainKey"]["Iteration"] == 3
    assert data(state["SenderChainKey"]["ChainKey"]) == b"c" * 32
    assert data(state["SigningKeyPublic"]) == djb(b"g" * 32)
    assert state["SigningKeyPrivate"] is None
    (skipped,) = state["Keys"]
    assert (skipped["Iteration"], data(skipped["Seed"])) == (1, b"x" * 32)
    keys = data(skipped["IV"]) + data(skipped["CipherKey"])
    assert keys == derived(b"x" * 32, b"WhisperGroup", 48)
    own = sender_key(sender_state(private=b"k" * 32, encode=encode))
    (state,) = json.loads(convert_sender_key(own))["SenderKeyStates"]
    assert data(state["SigningKeyPrivate"]) == b"k" * 32


def test_the_newest_sender_key_comes_first():
    """Baileys appends; of a key that came again it uses the first."""
    states = [sender_state(number) for number in (1, 2, 3, 4, 5, 6)]
    again = sender_state(6, iteration=0)
    record = json.loads(convert_sender_key(sender_key(*states, again)))["SenderKeyStates"]
    assert [state["KeyID"] for state in record] == [6, 5, 4, 3, 2]
    assert record[0]["SenderChainKey"]["Iteration"] == 3


def test_sender_keys_without_content():
    """An empty record is none; a broken one cannot be mapped."""
    assert convert_sender_key(sender_key()) is None
    broken = sender_state(private=b"k" * 32)
    broken["senderSigningKey"]["public"] = text64(djb(b"o" * 32))
    for record in (sender_key(broken), as_buffer(b"{}"), None):
        with pytest.raises(Unusable):
            convert_sender_key(record)
