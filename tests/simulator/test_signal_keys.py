"""Keys, bundles, device identities, padding and the small protobuf codec."""

import hashlib
import hmac
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.signal import adv, fields, padding, xeddsa
from simulator.signal.errors import BadSignature, MalformedMessage
from simulator.signal.kdf import hkdf
from simulator.signal.keys import KeyPair, PreKeyBundle, SignedPreKey
from simulator.wire import protos


def bundle_of(identity: KeyPair) -> PreKeyBundle:
    signed = SignedPreKey.generate(7, identity)
    return PreKeyBundle(
        registration_id=1,
        identity_key=identity.public,
        signed_prekey_id=signed.id,
        signed_prekey=signed.pair.public,
        signed_prekey_signature=signed.signature,
    )


def test_both_sides_agree_on_one_secret():
    """X25519 both ways; a pair survives being kept as its private half; a repr shows no secret."""
    ann, bob = KeyPair.generate(), KeyPair.generate()
    assert ann.agree(bob.public) == bob.agree(ann.public)
    assert KeyPair.from_private(ann.private) == ann
    assert ann.private.hex() not in repr(ann)
    assert repr(ann.private) not in repr(ann)


@pytest.mark.parametrize("public", [b"", bytes(31), bytes(32)])
def test_an_unusable_public_key_is_malformed(public):
    """Wrong lengths and low order points give the typed error."""
    with pytest.raises(MalformedMessage):
        KeyPair.generate().agree(public)


def test_a_bundle_of_another_identity_is_refused():
    """The signed prekey has to be of the identity beside it."""
    bundle = bundle_of(KeyPair.generate())
    bundle.check()
    with pytest.raises(BadSignature):
        replace(bundle, identity_key=KeyPair.generate().public).check()
    with pytest.raises(BadSignature):
        replace(bundle, signed_prekey=KeyPair.generate().public).check()


def test_hkdf_of_rfc_5869():
    """Test cases 1 and 3 of the RFC."""
    out = hkdf(
        b"\x0b" * 22,
        salt=bytes(range(13)),
        info=bytes.fromhex("f0f1f2f3f4f5f6f7f8f9"),
        size=42,
    )
    assert out.hex() == (
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    )
    out = hkdf(b"\x0b" * 22, info=b"", size=42)
    assert out.hex() == (
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    )


@given(plaintext=st.binary(max_size=64))
def test_padding_comes_off_again(plaintext):
    """Every plaintext, the empty one too, is longer padded and the same without."""
    padded = padding.pad(plaintext)
    assert 1 <= len(padded) - len(plaintext) <= 16
    assert padding.unpad(padded) == plaintext


@pytest.mark.parametrize("padded", [b"", b"x\x00", b"\x03\x03", b"abc\x01\x02"])
def test_broken_padding_is_malformed(padded):
    """Nothing, zero, too little and uneven padding are refused."""
    with pytest.raises(MalformedMessage):
        padding.unpad(padded)


class TestFields:
    """The protobuf codec against the real one."""

    @given(
        number=st.integers(min_value=0, max_value=2**32 - 1),
        data=st.binary(max_size=300),
    )
    def test_the_real_library_reads_and_writes_the_same(self, number, data):
        """Numbers and bytes go both ways between this codec and protobuf's."""
        ours = fields.encode([(1, number), (2, 2**63), (3, 0)])
        real = protos.adv.ADVDeviceIdentity(rawID=number, timestamp=2**63, keyIndex=0)
        assert ours == real.SerializeToString()
        assert fields.decode(ours) == {1: number, 2: 2**63, 3: 0}
        signed = protos.adv.ADVSignedDeviceIdentity(details=data, deviceSignature=b"x")
        assert fields.decode(signed.SerializeToString()) == {1: data, 4: b"x"}

    @given(st.binary(max_size=40))
    def test_any_bytes_are_fields_or_malformed(self, data):
        """Garbage never gives another exception."""
        try:
            fields.decode(data)
        except MalformedMessage:
            return

    def test_fixed_width_fields_are_passed_over(self):
        """Fields of other widths are skipped, groups are refused."""
        assert fields.decode(b"\x0d" + bytes(4) + b"\x10\x05")[2] == 5
        assert fields.decode(b"\x09" + bytes(8) + b"\x10\x05")[2] == 5
        with pytest.raises(MalformedMessage):
            fields.decode(b"\x0b")

    @pytest.mark.parametrize("data", [b"\x80", b"\x0a\x05abc", b"\xff" * 11])
    def test_cut_off_fields_are_malformed(self, data):
        """A number or a byte string that ends too early is refused."""
        with pytest.raises(MalformedMessage):
            fields.decode(data)

    def test_a_field_of_another_kind_is_malformed(self):
        """Where a number must be, bytes are refused, and the other way round."""
        with pytest.raises(MalformedMessage):
            fields.number({1: b""}, 1)
        with pytest.raises(MalformedMessage):
            fields.octets({1: 1}, 1)
        with pytest.raises(MalformedMessage):
            fields.octets({1: b"abc"}, 1, 4)


class TestDeviceIdentity:
    """What pair-success carries, and what the companion sends back."""

    def test_pairing_content_is_what_the_protobufs_say(self):
        """HMAC, account signature and details are found where a companion looks for them."""
        account, companion, secret = KeyPair.generate(), KeyPair.generate(), bytes(range(32))
        issued = adv.DeviceIdentity.issue(
            account, companion.public, key_index=3, raw_id=77, timestamp=1_700_000_000
        )
        container = protos.adv.ADVSignedDeviceIdentityHMAC.FromString(issued.sealed(secret))
        assert hmac.digest(secret, container.details, hashlib.sha256) == container.HMAC
        signed = protos.adv.ADVSignedDeviceIdentity.FromString(container.details)
        assert signed.accountSignatureKey == account.public
        message = b"\x06\x00" + signed.details + companion.public
        assert xeddsa.verify(account.public, message, signed.accountSignature)
        assert not signed.HasField("deviceSignature")
        details = protos.adv.ADVDeviceIdentity.FromString(signed.details)
        assert (details.rawID, details.timestamp, details.keyIndex) == (77, 1_700_000_000, 3)
        assert details.HasField("accountType")
        assert details.HasField("deviceType")

    def test_what_the_companion_signed_is_checked(self):
        """Both signatures count; the account key may be left out of the companion's answer."""
        account, companion = KeyPair.generate(), KeyPair.generate()
        issued = adv.DeviceIdentity.issue(account, companion.public, key_index=1, raw_id=1)
        with pytest.raises(BadSignature):
            issued.check(companion.public)
        accepted = issued.accepted(companion)
        answer = protos.adv.ADVSignedDeviceIdentity.FromString(accepted.encode())
        answer.ClearField("accountSignatureKey")
        read = adv.DeviceIdentity.decode(answer.SerializeToString(), account_key=account.public)
        assert read == accepted
        read.check(companion.public)
        with pytest.raises(BadSignature):
            read.check(KeyPair.generate().public)
        with pytest.raises(MalformedMessage):
            adv.DeviceIdentity.decode(answer.SerializeToString())
