"""The server's side of Noise_XX_25519_AESGCM_SHA256 as WhatsApp speaks it.

Source: https://github.com/tulir/whatsmeow/blob/main/socket/noisehandshake.go and
https://github.com/tulir/whatsmeow/blob/main/handshake.go
"""

import hashlib
import hmac
import time
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf.message import DecodeError

from ..signal.errors import MalformedMessage
from ..signal.keys import KeyPair
from .protos import cert, wa6

HEADER = b"WA\x06\x03"
"""What a client sends before its first frame: magic and dictionary version."""

_PATTERN = b"Noise_XX_25519_AESGCM_SHA256\0\0\0\0"
_YEAR_SECONDS = 365 * 24 * 3600


class HandshakeRefused(Exception):
    """The client's half of the handshake does not hold."""


class FrameRefused(Exception):
    """A frame does not open with the keys of its connection."""


def certificate_chain(root: KeyPair, static: KeyPair) -> bytes:
    """What proves to a client that `static` belongs to the service `root` stands for."""
    intermediate = KeyPair.generate()
    now = int(time.time())
    span = {"notBefore": now - _YEAR_SECONDS, "notAfter": now + 10 * _YEAR_SECONDS}
    details = cert.CertChain.NoiseCertificate.Details
    upper = details(serial=1, issuerSerial=0, key=intermediate.public, **span)
    lower = details(serial=2, issuerSerial=1, key=static.public, **span)
    chain = cert.CertChain()
    for certificate, content, signer in (
        (chain.intermediate, upper.SerializeToString(), root),
        (chain.leaf, lower.SerializeToString(), intermediate),
    ):
        certificate.details = content
        certificate.signature = signer.sign(content)
    signed: bytes = chain.SerializeToString()
    return signed


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """The long-lived key of the service and the chain that vouches for it."""

    static: KeyPair
    chain: bytes


class Transport:
    """The two ciphers of a connection. Every frame must pass, in order."""

    def __init__(self, receive_key: bytes, send_key: bytes) -> None:
        self._receive = AESGCM(receive_key)
        self._send = AESGCM(send_key)
        self._received = 0
        self._sent = 0

    def seal(self, plain: bytes) -> bytes:
        """The next frame to send; it must be sent before the next call."""
        self._sent += 1
        return self._send.encrypt(_nonce(self._sent - 1), plain, b"")

    def open(self, sealed: bytes) -> bytes:
        """What the next received frame holds.

        Raises:
            FrameRefused: it was not made for this place.
        """
        self._received += 1
        try:
            return self._receive.decrypt(_nonce(self._received - 1), sealed, b"")
        except InvalidTag:
            raise FrameRefused from None


@dataclass(frozen=True, slots=True)
class Hello:
    """A finished handshake: who connected and how to talk to it."""

    noise_public: bytes
    payload: Any
    """A `wa6.ClientPayload`."""
    transport: Transport


class Handshake:
    """One run: `answer()` the client's hello, then `finish()`."""

    def __init__(self, identity: ServerIdentity) -> None:
        self._identity = identity
        self._ephemeral = KeyPair.generate()
        self._client_ephemeral = b""
        self._hash = _PATTERN
        self._salt = _PATTERN
        self._cipher = AESGCM(_PATTERN)
        self._counter = 0
        self._authenticate(HEADER)

    def answer(self, frame: bytes) -> bytes:
        """The server hello for the client hello in `frame`.

        Raises:
            HandshakeRefused: it is none.
        """
        message = _parse(frame)
        self._client_ephemeral = message.clientHello.ephemeral
        self._authenticate(self._client_ephemeral)
        self._authenticate(self._ephemeral.public)
        self._mix(self._agree(self._ephemeral, self._client_ephemeral))
        static = self._encrypt(self._identity.static.public)
        self._mix(self._agree(self._identity.static, self._client_ephemeral))
        reply = wa6.HandshakeMessage()
        reply.serverHello.ephemeral = self._ephemeral.public
        reply.serverHello.static = static
        reply.serverHello.payload = self._encrypt(self._identity.chain)
        sent: bytes = reply.SerializeToString()
        return sent

    def finish(self, frame: bytes) -> Hello:
        """Who the client says it is, proven by its noise key.

        Raises:
            HandshakeRefused: the frame is no valid end of this handshake.
        """
        message = _parse(frame)
        noise_public = self._decrypt(message.clientFinish.static)
        self._mix(self._agree(self._ephemeral, noise_public))
        try:
            payload = wa6.ClientPayload.FromString(self._decrypt(message.clientFinish.payload))
        except DecodeError:
            raise HandshakeRefused("the login payload is malformed") from None
        receive, send = _expand(self._salt, b"")
        return Hello(noise_public, payload, Transport(receive, send))

    def _agree(self, ours: KeyPair, theirs: bytes) -> bytes:
        try:
            return ours.agree(theirs)
        except MalformedMessage:
            raise HandshakeRefused("a key is malformed") from None

    def _authenticate(self, data: bytes) -> None:
        self._hash = hashlib.sha256(self._hash + data).digest()

    def _mix(self, secret: bytes) -> None:
        self._salt, key = _expand(self._salt, secret)
        self._cipher = AESGCM(key)
        self._counter = 0

    def _next_nonce(self) -> bytes:
        self._counter += 1
        return _nonce(self._counter - 1)

    def _encrypt(self, plain: bytes) -> bytes:
        sealed = self._cipher.encrypt(self._next_nonce(), plain, self._hash)
        self._authenticate(sealed)
        return sealed

    def _decrypt(self, sealed: bytes) -> bytes:
        try:
            plain = self._cipher.decrypt(self._next_nonce(), sealed, self._hash)
        except (InvalidTag, ValueError):
            raise HandshakeRefused("the handshake does not open") from None
        self._authenticate(sealed)
        return plain


def _parse(frame: bytes) -> Any:
    try:
        return wa6.HandshakeMessage.FromString(frame)
    except DecodeError:
        raise HandshakeRefused("no handshake message") from None


def _nonce(counter: int) -> bytes:
    return counter.to_bytes(12)


def _expand(salt: bytes, secret: bytes) -> tuple[bytes, bytes]:
    """HKDF-SHA256 to two keys."""
    key = hmac.digest(salt, secret, "sha256")
    first = hmac.digest(key, b"\x01", "sha256")
    return first, hmac.digest(key, first + b"\x02", "sha256")
