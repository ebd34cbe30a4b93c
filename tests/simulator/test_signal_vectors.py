"""Messages and signatures that the engine's own Signal library made."""

import json
from pathlib import Path

import pytest

from simulator.signal import xeddsa
from simulator.signal.contact import Contact
from simulator.signal.errors import Duplicate

VECTORS = json.loads((Path(__file__).parent / "vectors" / "libsignal-go.json").read_text())
PEER = "go"
GROUP = "g"


def test_signatures_of_the_engine_verify():
    """Both signs of the public key's Edwards form occur; a changed message fits none."""
    signs = set()
    for vector in VECTORS["signatures"]:
        public, message, signature = (
            bytes.fromhex(vector[name]) for name in ("public", "message", "signature")
        )
        signs.add(signature[63] >> 7)
        assert xeddsa.verify(public, message, signature)
        assert not xeddsa.verify(public, message + b"x", signature)
    assert signs == {0, 1}


@pytest.mark.parametrize(("side", "type_"), [("accepted", "pkmsg"), ("initiated", "msg")])
@pytest.mark.parametrize("backwards", [False, True])
def test_texts_of_the_engine_are_read(side, type_, backwards):
    """In a session it started and in one started with it, in and out of order, once each."""
    contact = Contact.from_dict(VECTORS[side]["contact"])
    for message in sorted(VECTORS[side]["messages"], key=lambda m: m["text"], reverse=backwards):
        assert message["type"] == type_
        data = bytes.fromhex(message["data"])
        assert contact.decrypt(PEER, type_, data).decode() == message["text"]
        with pytest.raises(Duplicate):
            contact.decrypt(PEER, type_, data)


def test_group_texts_of_the_engine_are_read():
    """With the sender key it hands out."""
    contact, group = Contact.create(), VECTORS["group"]
    contact.learn_sender_key(GROUP, PEER, bytes.fromhex(group["distribution"]))
    for message in group["messages"]:
        text = contact.decrypt_from_group(GROUP, PEER, bytes.fromhex(message["data"]))
        assert text.decode() == message["text"]
