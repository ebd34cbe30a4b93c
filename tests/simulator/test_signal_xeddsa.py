"""XEdDSA against Ed25519 of another library, and against itself."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from simulator.signal import edwards, xeddsa

KEYS = st.binary(min_size=32, max_size=32)


def public_of(private: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


@given(seed=KEYS)
def test_base_point_multiples_are_those_of_ed25519(seed):
    """Our multiples of the base point, encoded, are the public keys of another library."""
    half = bytearray(hashlib.sha512(seed).digest()[:32])
    half[0] &= 248
    half[31] = half[31] & 127 | 64
    x, y = edwards.multiply_base(int.from_bytes(half, "little"))
    expected = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    assert edwards.encode(x, y) == expected
    assert edwards.edwards_y(int.from_bytes(public_of(bytes(half)), "little")) == y


@given(private=KEYS, message=st.binary(max_size=200))
def test_a_signature_fits_its_key_and_message_only(private, message):
    """What is signed verifies; another message, key or a flipped bit does not."""
    signature = xeddsa.sign(private, message)
    public = public_of(private)
    assert len(signature) == 64
    assert xeddsa.verify(public, message, signature)
    assert not xeddsa.verify(public, message + b"x", signature)
    other = public_of(bytes(32))
    assert other == public or not xeddsa.verify(other, message, signature)
    for index in (0, 31, 32, 63):
        broken = bytearray(signature)
        broken[index] ^= 1
        assert not xeddsa.verify(public, message, bytes(broken))


@given(seed=KEYS, message=st.binary(max_size=64))
def test_an_ed25519_signature_verifies_under_the_montgomery_key(seed, message):
    """verify() takes what Ed25519 signed when the top bit carries the sign of the key."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    sign_bit = key.public_key().public_bytes_raw()[31] & 0x80
    signature = bytearray(key.sign(message))
    signature[63] |= sign_bit
    montgomery = public_of(hashlib.sha512(seed).digest()[:32])
    assert xeddsa.verify(montgomery, message, bytes(signature))


def test_the_same_randomness_gives_the_same_signature():
    """A fixed vector: the scheme did not change by accident."""
    private = bytes(range(32))
    first = xeddsa.sign(private, b"roost", random=bytes(64))
    assert first == xeddsa.sign(private, b"roost", random=bytes(64))
    assert first != xeddsa.sign(private, b"roost")
    assert hashlib.sha256(first).hexdigest()[:16] == "d0eea5b361a5a665"


@pytest.mark.parametrize(
    ("public", "signature"),
    [(b"", bytes(64)), (bytes(31), bytes(64)), (bytes(32), bytes(63)), (b"\xff" * 32, bytes(64))],
)
def test_malformed_input_is_no_signature(public, signature):
    """Wrong lengths and non-canonical keys are refused without an exception."""
    assert not xeddsa.verify(public, b"", signature)


def test_a_private_key_of_another_length_is_refused():
    """A mistake of the caller is an error, not a strange signature."""
    with pytest.raises(ValueError, match="32 bytes"):
        xeddsa.sign(bytes(31), b"")


def test_x25519_agrees_with_the_map():
    """The Montgomery base point u=9 maps to the Edwards base point y=4/5."""
    assert edwards.edwards_y(9) == 4 * pow(5, -1, edwards.P) % edwards.P
    assert X25519PublicKey.from_public_bytes(b"\x09" + bytes(31)).public_bytes_raw()[0] == 9
