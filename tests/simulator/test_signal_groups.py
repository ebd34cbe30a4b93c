"""Group texts: one ciphertext for all who hold the sender key."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.signal.contact import Contact
from simulator.signal.errors import BadSignature, MalformedMessage, NoSenderKey, OldCounter
from simulator.signal.sender_key import MAX_STATES

GROUP = "120363000000000001@g.us"
ANN = "ann"


def restarted(device: Contact) -> Contact:
    return Contact.from_dict(json.loads(json.dumps(device.to_dict())))


@settings(deadline=None, max_examples=50)
@given(order=st.permutations(range(6)))
def test_group_texts_are_read_in_any_order_over_restarts(order):
    """Each text is read once; a repeat is an old counter; both sides may restart in between."""
    ann, bob = Contact.create(), Contact.create()
    bob.learn_sender_key(GROUP, ANN, ann.sender_key(GROUP))
    ann = restarted(ann)
    texts = [ann.encrypt_for_group(GROUP, b"text %d" % n) for n in range(6)]
    assert {text.type for text in texts} == {"skmsg"}
    for number in order:
        bob = restarted(bob)
        assert bob.decrypt_from_group(GROUP, ANN, texts[number].data) == b"text %d" % number
        with pytest.raises(OldCounter):
            bob.decrypt_from_group(GROUP, ANN, texts[number].data)


def test_a_late_member_reads_from_its_distribution_on():
    """A key handed out later starts at the next text; the one before stays unreadable."""
    ann, bob = Contact.create(), Contact.create()
    ann.sender_key(GROUP)
    early = ann.encrypt_for_group(GROUP, b"early")
    bob.learn_sender_key(GROUP, ANN, ann.sender_key(GROUP))
    with pytest.raises(OldCounter):
        bob.decrypt_from_group(GROUP, ANN, early.data)
    late = ann.encrypt_for_group(GROUP, b"late")
    assert bob.decrypt_from_group(GROUP, ANN, late.data) == b"late"


def test_a_key_learnt_again_keeps_its_place():
    """The same distribution once more does not bring used keys back."""
    ann, bob = Contact.create(), Contact.create()
    distribution = ann.sender_key(GROUP)
    bob.learn_sender_key(GROUP, ANN, distribution)
    text = ann.encrypt_for_group(GROUP, b"hi")
    bob.decrypt_from_group(GROUP, ANN, text.data)
    bob.learn_sender_key(GROUP, ANN, distribution)
    with pytest.raises(OldCounter):
        bob.decrypt_from_group(GROUP, ANN, text.data)


def test_texts_of_an_older_sender_key_are_still_read():
    """After a change of keys the last few chains stay readable, older ones do not."""
    ann, bob = Contact.create(), Contact.create()
    texts = []
    for _ in range(MAX_STATES + 1):
        bob.learn_sender_key(GROUP, ANN, ann.sender_key(GROUP))
        texts.append(ann.encrypt_for_group(GROUP, b"hi"))
        ann.drop_sender_key(GROUP)
    with pytest.raises(NoSenderKey):
        bob.decrypt_from_group(GROUP, ANN, texts[0].data)
    for text in texts[1:]:
        assert bob.decrypt_from_group(GROUP, ANN, text.data) == b"hi"


def test_the_key_is_handed_out_once_and_renewed_when_somebody_leaves():
    """Over restarts too; new members get the key there is."""
    ann = Contact.create()
    assert ann.hand_out_sender_key(GROUP, ["bob", "eve"]) == {"bob", "eve"}
    first = ann.sender_key(GROUP)
    ann = restarted(ann)
    assert ann.hand_out_sender_key(GROUP, ["bob", "eve", "joe"]) == {"joe"}
    assert ann.sender_key(GROUP) == first
    assert ann.hand_out_sender_key(GROUP, ["bob", "joe"]) == {"bob", "joe"}
    assert ann.sender_key(GROUP) != first


def test_what_cannot_be_read_has_its_type():
    """No key handed out, no key received, a forged text, and garbage."""
    ann, bob = Contact.create(), Contact.create()
    with pytest.raises(NoSenderKey):
        ann.encrypt_for_group(GROUP, b"hi")
    distribution = ann.sender_key(GROUP)
    text = ann.encrypt_for_group(GROUP, b"hi")
    with pytest.raises(NoSenderKey):
        bob.decrypt_from_group(GROUP, ANN, text.data)
    bob.learn_sender_key(GROUP, ANN, distribution)
    forged = text.data[:-1] + bytes([text.data[-1] ^ 1])
    with pytest.raises(BadSignature):
        bob.decrypt_from_group(GROUP, ANN, forged)
    with pytest.raises(MalformedMessage):
        bob.decrypt_from_group(GROUP, ANN, b"")
    with pytest.raises(MalformedMessage):
        bob.learn_sender_key(GROUP, ANN, b"\x33")
    assert bob.decrypt_from_group(GROUP, ANN, text.data) == b"hi"
