"""Two devices talk: whatever the network does, each text is read once or fails by its type."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.signal.contact import Contact
from simulator.signal.errors import (
    BadMac,
    BadSignature,
    Duplicate,
    MalformedMessage,
    NoPreKey,
    NoSession,
    OldCounter,
    TooFarAhead,
)
from simulator.signal.keys import KeyPair
from simulator.signal.messages import Ciphertext, PreKeySignalMessage, SignalMessage

ANN, BOB = "ann", "bob"


class Pair:
    """Two devices and what is under way between them."""

    def __init__(self) -> None:
        self.devices = {ANN: Contact.create(), BOB: Contact.create()}
        self.flying: list[tuple[str, Ciphertext, bytes]] = []
        self.count = 0

    def send(self, sender: str, *, fresh: bool = False) -> Ciphertext:
        """Encrypt a text that is different from all others."""
        other = BOB if sender == ANN else ANN
        device = self.devices[sender]
        start = fresh or not device.has_session(other)
        self.count += 1
        text = f"text {self.count}".encode()
        bundle = self.devices[other].bundle() if start else None
        message = device.encrypt(other, bundle, text)
        self.flying.append((sender, message, text))
        return message

    def receive(self, sender: str, message: Ciphertext) -> bytes:
        """Decrypt on the other side."""
        other = BOB if sender == ANN else ANN
        return self.devices[other].decrypt(sender, message.type, message.data)

    def restart(self) -> None:
        """Put both devices through JSON."""
        self.devices = {
            name: Contact.from_dict(json.loads(json.dumps(device.to_dict())))
            for name, device in self.devices.items()
        }


def met() -> Pair:
    """Return two devices that have exchanged a text each."""
    pair = Pair()
    assert pair.receive(ANN, pair.send(ANN)) == b"text 1"
    assert pair.receive(BOB, pair.send(BOB)) == b"text 2"
    return pair


# One round: how many texts each side sends, then which of those under way arrive, and how.
ROUND = st.tuples(
    st.integers(0, 3),
    st.integers(0, 3),
    st.lists(
        st.tuples(st.integers(0, 30), st.sampled_from(["once", "twice", "restart"])), max_size=8
    ),
)


@settings(deadline=None, max_examples=150)
@given(rounds=st.lists(ROUND, min_size=1, max_size=4), fresh=st.booleans())
def test_lost_late_and_repeated_texts(rounds, fresh):
    """In any order every text is read exactly once; a repeat is a Duplicate; both may begin."""
    pair = Pair()
    for index, (from_ann, from_bob, arrivals) in enumerate(rounds):
        for _ in range(from_ann):
            pair.send(ANN, fresh=fresh and index == 1)
        for _ in range(from_bob):
            pair.send(BOB)
        for place, how in arrivals:
            if not pair.flying:
                break
            sender, message, text = pair.flying.pop(place % len(pair.flying))
            assert pair.receive(sender, message) == text
            if how == "restart":
                pair.restart()
            if how != "once":
                with pytest.raises(Duplicate):
                    pair.receive(sender, message)
    for sender, message, text in pair.flying:
        assert pair.receive(sender, message) == text


@settings(deadline=None, max_examples=40)
@given(skipped=st.integers(0, 2000), order=st.randoms(use_true_random=False))
def test_a_chain_reads_what_it_passed_over(skipped, order):
    """Up to 2000 texts may be late, and are still read in any order."""
    pair = met()
    late = [pair.send(ANN) for _ in range(skipped % 50)]
    for _ in range(skipped - len(late)):
        pair.send(ANN)
    pair.receive(ANN, pair.send(ANN))
    order.shuffle(late)
    for message in late:
        assert pair.receive(ANN, message).startswith(b"text ")


def test_more_than_2000_missing_texts_are_too_many():
    """The limit is libsignal's, and the session goes on working below it."""
    pair = met()
    pair.receive(ANN, pair.send(ANN))
    messages = [pair.send(ANN) for _ in range(2002)]
    with pytest.raises(TooFarAhead):
        pair.receive(ANN, messages[2001])
    assert pair.receive(ANN, messages[2000]) == b"text 2004"
    assert pair.receive(ANN, messages[2001]) == b"text 2005"


def test_first_messages_repeat_the_start_until_answered():
    """A session's messages are `pkmsg` until the other side has written back."""
    pair = Pair()
    first, second = pair.send(ANN), pair.send(ANN)
    assert (first.type, second.type) == ("pkmsg", "pkmsg")
    assert pair.receive(ANN, second) == b"text 2"
    assert pair.receive(ANN, first) == b"text 1"
    answer = pair.send(BOB)
    assert answer.type == "msg"
    pair.receive(BOB, answer)
    assert pair.send(ANN).type == "msg"


def test_a_session_starts_without_a_one_time_key():
    """When the server has run out of one-time keys the signed prekey is enough."""
    ann, bob = Contact.create(), Contact.create()
    message = ann.encrypt(BOB, bob.bundle(one_time=False), b"hi")
    assert PreKeySignalMessage.decode(message.data).prekey_id is None
    assert bob.decrypt(ANN, *message) == b"hi"


def test_one_time_keys_are_given_out_once_and_used_up():
    """Each bundle has its own one-time key, and reading the first text removes it."""
    ann, bob = Contact.create(), Contact.create()
    bundles = [bob.bundle() for _ in range(3)]
    assert len({bundle.prekey_id for bundle in bundles}) == 3
    bob.decrypt(ANN, *ann.encrypt(BOB, bundles[0], b"hi"))
    assert bundles[0].prekey_id not in bob.prekeys
    assert bundles[1].prekey_id in bob.prekeys


class TestWhatPeersSee:
    """Each accident gives the type a real peer acts upon."""

    def test_no_session(self):
        """A message to or from a stranger."""
        pair = met()
        pair.devices[BOB].forget(ANN)
        with pytest.raises(NoSession):
            pair.receive(ANN, pair.send(ANN))
        with pytest.raises(NoSession):
            pair.devices[BOB].encrypt(ANN, None, b"hi")

    def test_a_first_message_for_a_key_that_is_gone(self):
        """The session was lost after the one-time key was used up."""
        pair = Pair()
        message = pair.send(ANN)
        pair.receive(ANN, message)
        pair.devices[BOB].forget(ANN)
        with pytest.raises(NoPreKey):
            pair.receive(ANN, message)

    def test_a_first_message_for_another_signed_prekey(self):
        """The bundle was of keys this device never had."""
        ann, bob, other = Contact.create(), Contact.create(), Contact.create()
        bundle = replace(other.bundle(), signed_prekey_id=99)
        with pytest.raises(NoPreKey):
            bob.decrypt(ANN, *ann.encrypt(BOB, bundle, b"hi"))

    def test_a_rewound_sender_loses_texts_as_old_counters(self):
        """A store restored without re-keying: k texts are lost, the next is read again."""
        pair = met()
        saved = pair.devices[ANN].to_dict()
        for _ in range(3):
            pair.receive(ANN, pair.send(ANN))
        pair.devices[ANN] = Contact.from_dict(saved)
        for _ in range(3):
            with pytest.raises(OldCounter) as caught:
                pair.receive(ANN, pair.send(ANN))
            assert not isinstance(caught.value, Duplicate)
        assert pair.receive(ANN, pair.send(ANN)).startswith(b"text ")

    def test_a_rewound_receiver_cannot_read_and_heals_by_a_bundle(self):
        """The ratchet moved on after the snapshot: BadMac until a fresh session replaces it."""
        pair = met()
        saved = pair.devices[ANN].to_dict()
        for sender in (BOB, ANN, BOB, ANN):
            pair.receive(sender, pair.send(sender))
        pair.devices[ANN] = Contact.from_dict(saved)
        with pytest.raises(BadMac):
            pair.receive(BOB, pair.send(BOB))
        retry = pair.send(BOB, fresh=True)
        assert retry.type == "pkmsg"
        assert pair.receive(BOB, retry).startswith(b"text ")
        assert pair.receive(ANN, pair.send(ANN)).startswith(b"text ")
        assert pair.devices[BOB].identity_changes == []

    def test_an_unreadable_message_changes_nothing(self):
        """A damaged message is a BadMac or malformed; the whole one is still read after it."""
        pair = met()
        message = pair.send(ANN)
        before = pair.devices[BOB].to_dict()
        for index in range(len(message.data)):
            data = bytearray(message.data)
            data[index] ^= 0x40
            with pytest.raises((BadMac, MalformedMessage, TooFarAhead)):
                pair.devices[BOB].decrypt(ANN, "msg", bytes(data))
        assert pair.devices[BOB].to_dict() == before
        assert pair.receive(ANN, message) == b"text 3"

    def test_a_new_identity_is_noted(self):
        """A peer that was linked again has another identity: read, but remembered as a change."""
        pair = met()
        pair.devices[ANN] = Contact.create()
        assert pair.receive(ANN, pair.send(ANN)) == b"text 3"
        assert pair.devices[BOB].identity_changes == [ANN]

    def test_a_forged_bundle_starts_nothing(self):
        """The signature under the signed prekey has to be the identity's."""
        pair = Pair()
        bundle = replace(pair.devices[BOB].bundle(), identity_key=KeyPair.generate().public)
        with pytest.raises(BadSignature):
            pair.devices[ANN].encrypt(BOB, bundle, b"hi")
        assert not pair.devices[ANN].has_session(BOB)


@given(data=st.binary(max_size=120), type_=st.sampled_from(["pkmsg", "msg"]))
def test_garbage_is_malformed(data, type_):
    """No bytes at all make another exception than the typed one."""
    decode = PreKeySignalMessage.decode if type_ == "pkmsg" else SignalMessage.decode
    with pytest.raises(MalformedMessage):
        decode(b"\x43" + data)
    with pytest.raises(MalformedMessage):
        decode(b"\x33" + data)


def test_both_begin_at_the_same_time():
    """Two sessions cross; both texts are read, and so is all that follows."""
    pair = Pair()
    from_ann, from_bob = pair.send(ANN), pair.send(BOB)
    assert pair.receive(ANN, from_ann) == b"text 1"
    assert pair.receive(BOB, from_bob) == b"text 2"
    for sender in (ANN, BOB, BOB, ANN):
        assert pair.receive(sender, pair.send(sender)).startswith(b"text ")
