"""What happens between a finished handshake and the first stanza: register, log in, or refuse."""

import time
from collections.abc import Iterator

from .accounts import Accounts, Device
from .connection import Connection, Stage
from .faults import Fault, Faults, Point
from .pairing import Pairings
from .wire.jid import PN_SERVER, Jid
from .wire.nodes import Node
from .wire.noise import Hello

_LOGGED_OUT = "401"
REPLACED = Node("stream:error", {}, [Node("conflict", {"type": "replaced"})])
_REMOVED = Node("stream:error", {"code": "401"}, [Node("conflict", {"type": "device_removed"})])


class Logins:
    """Lets clients in and knows which devices are online."""

    def __init__(self, accounts: Accounts, pairings: Pairings, faults: Faults) -> None:
        self._accounts = accounts
        self._pairings = pairings
        self._faults = faults
        self._online: dict[tuple[str, int], Connection] = {}

    def online(self, device: Device) -> Connection | None:
        """The connection of a device, once it takes stanzas."""
        connection = self._online.get(device.key)
        return connection if connection and connection.stage is Stage.ACTIVE else None

    def connections(self, phone: str | None = None) -> Iterator[Connection]:
        """The logged in connections of an account, or all."""
        for (owner, _), connection in list(self._online.items()):
            if phone in (None, owner):
                yield connection

    def admit(self, connection: Connection, hello: Hello) -> None:
        """Answer the login of a client that has shown its noise key."""
        if hello.payload.HasField("devicePairingData") and not hello.payload.username:
            self._register(connection, hello)
        else:
            self._log_in(connection, hello)

    def leave(self, connection: Connection) -> None:
        """The connection has ended."""
        self._pairings.end(connection)
        device = connection.device
        if device is not None and self._online.get(device.key) is connection:
            del self._online[device.key]

    def unlink(self, device: Device) -> None:
        """Remove a linked device; if it is online it learns so at once."""
        connection = self._forget(device)
        if connection is not None:
            connection.leave(_REMOVED)

    def log_out(self, device: Device) -> None:
        """Remove a linked device that has asked for it, and hang up."""
        connection = self._forget(device)
        if connection is not None:
            connection.leave()

    def _forget(self, device: Device) -> Connection | None:
        self._accounts.remove_device(device)
        return self._online.pop(device.key, None)

    def _register(self, connection: Connection, hello: Hello) -> None:
        connection.stage = Stage.PAIRING
        fault = self._faults.take(Point.REGISTRATION)
        if fault is None:
            registration = hello.payload.devicePairingData
            self._pairings.begin(connection, hello.noise_public, registration)
        elif fault.kind == "registration_reset":
            connection.reset()
        else:
            connection.leave(_failure(fault))

    def _log_in(self, connection: Connection, hello: Hello) -> None:
        connection.stage = Stage.LOGIN
        phone = str(hello.payload.username)
        account = self._accounts.find(Jid(phone, PN_SERVER))
        device = account.devices.get(hello.payload.device) if account else None
        fault = self._faults.take(Point.LOGIN, phone)
        if fault is not None:
            self._refuse(connection, fault)
        elif account is None or device is None or device.noise_public != hello.noise_public:
            connection.leave(Node("failure", {"reason": _LOGGED_OUT, "location": "sim"}))
        else:
            older = self._online.get(device.key)
            if older is not None:
                older.leave(REPLACED)
            connection.device = device
            self._online[device.key] = connection
            connection.post(
                Node(
                    "success",
                    {
                        "t": str(int(time.time())),
                        "props": "1",
                        "location": "sim",
                        "lid": account.lid_jid.on(device.number),
                    },
                )
            )

    def _refuse(self, connection: Connection, fault: Fault) -> None:
        if fault.kind == "login_reset":
            connection.reset()
        elif fault.kind == "login_failure":
            connection.leave(_failure(fault))


def _failure(fault: Fault) -> Node:
    names = ("code", "expire", "message", "logout_message_header", "logout_message_subtext")
    attrs = {"reason": str(fault.number("reason", 401)), "location": "sim"}
    return Node("failure", attrs | fault.attributes(*names))
