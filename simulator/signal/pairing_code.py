"""Linking by an eight character code: the phone's side of the key exchange.

The companion shows the code; both sides hide their ephemeral key under it; the key bundle that
follows can only be opened by a phone whose user typed the same code.

Source: whatsmeow pair-code.go (the companion's side).
"""

import hashlib
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from .errors import MalformedMessage, WrongCode
from .kdf import hkdf
from .keys import KeyPair

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTVWXYZ"
CODE_CHARACTERS = 8

_SALT_BYTES = 32
_IV_BYTES = 16
_NONCE_BYTES = 12
_KEY_BYTES = 32
_WRAPPED_BYTES = _SALT_BYTES + _IV_BYTES + _KEY_BYTES
_ITERATIONS = 2 << 16
_BUNDLE_INFO = b"link_code_pairing_key_bundle_encryption_key"


def normalize(code: str) -> str:
    """Return a typed code as it enters the key derivation.

    Raises:
        WrongCode: No companion can have shown such a code.
    """
    plain = code.replace("-", "").replace(" ", "").upper()
    if len(plain) != CODE_CHARACTERS or not set(plain) <= set(ALPHABET):
        raise WrongCode("a pairing code has eight characters of its alphabet")
    return plain


class PhonePairing:
    """One attempt to link a companion by code, from the moment the user typed it.

    Making it costs two key derivations of some 30 ms each: keep it off an event loop.
    """

    def __init__(self, identity: KeyPair, companion_hello: bytes, code: str) -> None:
        """Open the companion's ephemeral key with the typed code.

        Args:
            identity: The phone's identity.
            companion_hello: The companion's wrapped ephemeral key: salt, IV, ciphertext.
            code: As typed; dash, spaces and case do not matter.

        Raises:
            MalformedMessage: The wrapped key is none.
            WrongCode: The code cannot be one.
        """
        if len(companion_hello) != _WRAPPED_BYTES:
            raise MalformedMessage("a wrapped ephemeral key has 80 bytes")
        plain = normalize(code)
        ephemeral = KeyPair.generate()
        self._identity = identity
        self._companion_hello = companion_hello
        salt, iv = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_IV_BYTES)
        self.wrapped_ephemeral = salt + iv + _code_cipher(plain, salt, iv, ephemeral.public)
        """What primary_hello carries as the wrapped primary ephemeral key."""
        salt = companion_hello[:_SALT_BYTES]
        iv = companion_hello[_SALT_BYTES : _SALT_BYTES + _IV_BYTES]
        theirs = _code_cipher(plain, salt, iv, companion_hello[-_KEY_BYTES:])
        self._shared = ephemeral.agree(theirs)

    @property
    def identity_key(self) -> bytes:
        """What primary_hello carries as the primary's identity."""
        return self._identity.public

    def finish(self, wrapped_bundle: bytes, companion_identity: bytes) -> bytes:
        """Open the companion's key bundle and return the ADV secret agreed on.

        Args:
            wrapped_bundle: Salt, nonce and ciphertext of companion_finish.
            companion_identity: The companion's public identity key beside it.

        Raises:
            WrongCode: The bundle does not open, or is about other keys: the user typed a code
                that is not the companion's.
        """
        salt = wrapped_bundle[:_SALT_BYTES]
        nonce = wrapped_bundle[_SALT_BYTES : _SALT_BYTES + _NONCE_BYTES]
        sealed = wrapped_bundle[_SALT_BYTES + _NONCE_BYTES :]
        key = hkdf(self._shared, salt=salt, info=_BUNDLE_INFO, size=_KEY_BYTES)
        try:
            bundle = AESGCM(key).decrypt(nonce, sealed, None)
        except (InvalidTag, ValueError) as exc:
            raise WrongCode("the companion's key bundle does not open") from exc
        expected = companion_identity + self._identity.public
        if not bundle.startswith(expected) or len(bundle) != len(expected) + _KEY_BYTES:
            raise WrongCode("the companion's key bundle is about other keys")
        secret = self._shared + self._identity.agree(companion_identity) + bundle[len(expected) :]
        return hkdf(secret, info=b"adv_secret", size=_KEY_BYTES)


def _code_cipher(code: str, salt: bytes, iv: bytes, data: bytes) -> bytes:
    key = hashlib.pbkdf2_hmac("sha256", code.encode(), salt, _ITERATIONS, _KEY_BYTES)
    return Cipher(AES(key), CTR(iv)).encryptor().update(data)
