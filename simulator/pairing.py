"""Linking a new device: what the service and the phone do once a client waits for it.

Source: https://github.com/tulir/whatsmeow/blob/main/pair.go
"""

import base64
import binascii
import secrets
import time
from dataclasses import dataclass, field, replace
from typing import Any

from .accounts import Account, Accounts, Device
from .connection import Connection, ConnectionLost
from .errors import ClientLost, PairingRefused, QrExpired, QrMalformed
from .faults import Faults, Point
from .signal.adv import DeviceIdentity
from .signal.errors import SignalError
from .signal.keys import PreKeyBundle
from .wire.jid import SERVER
from .wire.nodes import Node

REFS = 6
"""How many codes a client gets; it shows the first for 60 s and each other for 20 s."""

_FIRST_REF_SECONDS = 60.0
_REF_SECONDS = 20.0
_QR_FIELDS = 4
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Qr:
    """What a linking code says."""

    ref: str
    noise_public: bytes
    identity_public: bytes
    adv_secret: bytes

    @classmethod
    def parse(cls, text: str) -> "Qr":
        """Read a code, with or without the web address in front.

        Raises:
            QrMalformed: it is none.
        """
        parts = text.rpartition("#")[2].split(",")
        try:
            keys = [base64.b64decode(part, validate=True) for part in parts[1:_QR_FIELDS]]
        except binascii.Error:
            raise QrMalformed from None
        if len(keys) != _QR_FIELDS - 1 or any(len(key) != _KEY_BYTES for key in keys):
            raise QrMalformed
        return cls(parts[0], *keys)


@dataclass(slots=True)
class Candidate:
    """A client that waits to be linked."""

    connection: Connection
    noise_public: bytes
    registration: Any
    """Its `devicePairingData`: the keys of the device to be."""
    since: float = field(default_factory=time.monotonic)
    refs: list[str] = field(default_factory=list)

    @property
    def identity_public(self) -> bytes:
        """Its Signal identity."""
        identity: bytes = self.registration.eIdent
        return identity

    def offers(self, qr: Qr) -> bool:
        """Whether the client shows this code now, or did so a moment ago."""
        if qr.ref not in self.refs or qr.noise_public != self.noise_public:
            return False
        shown_until = _FIRST_REF_SECONDS + _REF_SECONDS * (self.refs.index(qr.ref) + 1)
        return time.monotonic() - self.since < shown_until


class Pairings:
    """The clients that wait to be linked."""

    def __init__(self, accounts: Accounts, faults: Faults) -> None:
        self.refs = REFS
        """How many codes the next client gets."""
        self._accounts = accounts
        self._faults = faults
        self._waiting: dict[str, Candidate] = {}

    def begin(self, connection: Connection, noise_public: bytes, registration: Any) -> None:
        """Offer codes to a client that wants to be linked."""
        candidate = Candidate(connection, noise_public, registration)
        candidate.refs = [secrets.token_urlsafe(24) for _ in range(self.refs)]
        self._waiting[connection.id] = candidate
        refs = [Node("ref", {}, ref.encode()) for ref in candidate.refs]
        connection.post(_request(Node("pair-device", {}, list(refs))))

    def end(self, connection: Connection) -> None:
        """The client is gone."""
        self._waiting.pop(connection.id, None)

    def by_connection(self, connection: Connection) -> Candidate | None:
        """The candidate behind a connection."""
        return self._waiting.get(connection.id)

    def expire(self, qr: str | None) -> int:
        """Let the client that shows this code, or each, run out of codes; how many did.

        It sees what it sees when its time is over: the service ends the stream.
        """
        wanted = None if qr is None else Qr.parse(qr).ref
        found = [c for c in self._waiting.values() if wanted is None or wanted in c.refs]
        for candidate in found:
            candidate.refs = []
            candidate.connection.hang_up()
        return len(found)

    async def scan(self, account: Account, text: str) -> Device:
        """Do what the phone does when its camera has read a code.

        Raises:
            QrMalformed, QrExpired: the code is not one that a waiting client shows.
            PairingRefused, ClientLost: the client did not go along.
        """
        qr = Qr.parse(text)
        candidate = next((c for c in self._waiting.values() if c.offers(qr)), None)
        if candidate is None or candidate.identity_public != qr.identity_public:
            raise QrExpired
        return await self.link(account, candidate, qr.adv_secret)

    async def link(self, account: Account, candidate: Candidate, adv_secret: bytes) -> Device:
        """Make the candidate a device of the account.

        Raises:
            PairingRefused, ClientLost: the client did not go along.
        """
        number = self._accounts.take_device_number(account)
        connection = candidate.connection
        fault = self._faults.take(Point.PAIRING, account.phone)
        kind = fault.kind if fault else ""
        candidate.refs = []
        identity = DeviceIdentity.issue(
            account.identity,
            candidate.identity_public,
            key_index=number,
            raw_id=int(account.lid[-9:]),
        )
        if kind == "pairing_signature_mismatch":
            identity = replace(identity, account_signature=secrets.token_bytes(64))
        if kind == "pairing_hmac_mismatch":
            adv_secret = secrets.token_bytes(_KEY_BYTES)
        try:
            answer = await connection.ask(_success(account, number, identity.sealed(adv_secret)))
        except ConnectionLost:
            raise ClientLost from None
        error = answer.child("error")
        if error is not None:
            raise PairingRefused(f"{error.text('code')} {error.text('text')}")
        _check(answer, identity, candidate.identity_public)
        device = _device(account, number, candidate)
        self._accounts.add_device(device)
        self.end(connection)
        if kind == "pairing_reset":
            connection.reset()
        elif kind == "pairing_close":
            connection.post(_RESTART)
            connection.hang_up()
        else:
            connection.leave(_RESTART)
        return device


_RESTART = Node("stream:error", {"code": "515"})


def _success(account: Account, number: int, identity: bytes) -> Node:
    device = {"jid": account.jid.on(number), "lid": account.lid_jid.on(number)}
    content = [
        Node("device-identity", {}, identity),
        Node("biz", {"name": ""}),
        Node("device", device),
        Node("platform", {"name": "android"}),
    ]
    return _request(Node("pair-success", {}, content))


def _request(content: Node) -> Node:
    return Node(
        "iq",
        {
            "from": SERVER,
            "type": "set",
            "xmlns": "md",
            "id": secrets.token_hex(8),
            "t": str(int(time.time())),
        },
        [content],
    )


def _check(answer: Node, issued: DeviceIdentity, companion: bytes) -> None:
    """The companion must have signed too; WhatsApp's servers refuse it otherwise."""
    data = answer.child_data("pair-device-sign", "device-identity")
    try:
        DeviceIdentity.decode(data, account_key=issued.account_key).check(companion)
    except SignalError as error:
        raise PairingRefused(str(error)) from None


def _device(account: Account, number: int, candidate: Candidate) -> Device:
    registration = candidate.registration
    return Device(
        phone=account.phone,
        number=number,
        noise_public=candidate.noise_public,
        bundle=PreKeyBundle(
            registration_id=int.from_bytes(registration.eRegid),
            identity_key=registration.eIdent,
            signed_prekey_id=int.from_bytes(registration.eSkeyID),
            signed_prekey=registration.eSkeyVal,
            signed_prekey_signature=registration.eSkeySig,
        ),
        key_index=number,
        linked_at=int(time.time()),
    )
