"""Linking by code: the phone against a companion written down from the protocol."""

import base64
import hashlib
import secrets

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from simulator.signal.errors import MalformedMessage, WrongCode
from simulator.signal.keys import KeyPair
from simulator.signal.pairing_code import ALPHABET, PhonePairing, normalize


def derive(secret: bytes, salt: bytes | None, info: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt, info).derive(secret)


def under_code(code: str, salt: bytes, iv: bytes, data: bytes) -> bytes:
    key = hashlib.pbkdf2_hmac("sha256", code.encode(), salt, 131072, 32)
    return Cipher(AES(key), CTR(iv)).encryptor().update(data)


class Companion:
    """The side that shows the code."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.identity = KeyPair.generate()
        self.ephemeral = KeyPair.generate()
        salt, iv = secrets.token_bytes(32), secrets.token_bytes(16)
        self.hello = salt + iv + under_code(code, salt, iv, self.ephemeral.public)

    def finish(self, wrapped: bytes, primary_identity: bytes) -> tuple[bytes, bytes]:
        """Return the wrapped key bundle and this side's ADV secret."""
        theirs = under_code(self.code, wrapped[:32], wrapped[32:48], wrapped[48:])
        shared = self.ephemeral.agree(theirs)
        salt, nonce, random = (secrets.token_bytes(n) for n in (32, 12, 32))
        key = derive(shared, salt, b"link_code_pairing_key_bundle_encryption_key")
        bundle = self.identity.public + primary_identity + random
        secret = shared + self.identity.agree(primary_identity) + random
        return (
            salt + nonce + AESGCM(key).encrypt(nonce, bundle, None),
            derive(secret, None, b"adv_secret"),
        )


def test_the_right_code_gives_both_sides_one_secret():
    """Typed with dash and in small letters it still is the code."""
    companion, phone = Companion("ABCD2345"), KeyPair.generate()
    attempt = PhonePairing(phone, companion.hello, "abcd-2345")
    bundle, secret = companion.finish(attempt.wrapped_ephemeral, attempt.identity_key)
    assert attempt.finish(bundle, companion.identity.public) == secret


def test_another_code_does_not_open_the_bundle():
    """The phone learns it from the companion's answer, as WrongCode."""
    companion = Companion("ABCD2345")
    attempt = PhonePairing(KeyPair.generate(), companion.hello, "ABCD-2346")
    bundle, _ = companion.finish(attempt.wrapped_ephemeral, attempt.identity_key)
    with pytest.raises(WrongCode):
        attempt.finish(bundle, companion.identity.public)


def test_a_bundle_about_another_identity_is_refused():
    """The identity beside the bundle has to be the one inside."""
    companion = Companion("ABCD2345")
    attempt = PhonePairing(KeyPair.generate(), companion.hello, "ABCD2345")
    bundle, _ = companion.finish(attempt.wrapped_ephemeral, attempt.identity_key)
    with pytest.raises(WrongCode):
        attempt.finish(bundle, KeyPair.generate().public)


@pytest.mark.parametrize("code", ["", "ABC", "ABCD-EFG0", "ABCDEFGHJ", "ABCD-EFGI"])
def test_what_cannot_be_a_code_is_refused_at_once(code):
    """Length and alphabet are known before any key derivation."""
    with pytest.raises(WrongCode):
        normalize(code)


def test_the_alphabet_is_that_of_the_companion():
    """Base 32 with 32 different characters that cannot be mixed up."""
    assert len(set(ALPHABET)) == 32
    assert not set("0IOU") & set(ALPHABET)
    encoded = base64.b32encode(b"roost").decode()
    standard = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    assert normalize(encoded.translate(str.maketrans(standard, ALPHABET)))


def test_a_wrapped_key_of_another_length_is_malformed():
    """80 bytes, or it is not one."""
    with pytest.raises(MalformedMessage):
        PhonePairing(KeyPair.generate(), bytes(79), "ABCD2345")
