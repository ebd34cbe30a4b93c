"""The engine itself: neonize's Go library and messages.

The only file that knows neonize, and only for use inside a zygote or a host. It takes the library
(`binding.py`) and `neonize.proto`, and leaves `neonize.client` out: that imports Pillow, requests,
httpx, phonenumbers and libmagic, which would make up half the memory of a host, and hides the
callbacks that a service needs (login status, log).

Order matters. `prepare()` imports everything except the Go library and may be followed by forks.
`load()` loads Go: after it the process must never fork, and never open a store by other means (two
SQLite copies in one process destroy each other's locks).

Facts about neonize 0.5.2 that this file respects:

* Its maps of clients are not locked, and written until the first callback of a session. So no call
  may be made before `Listener` heard something, and one process serves one session.
* Events run on the thread that called `run()`, one after the other. whatsmeow queues 100 and then
  blocks, so a slow listener slows WhatsApp down instead of losing anything.
* A started session cannot be started again, and an unpaired one never returns from `run()`: stop
  by disconnecting, then end the process.
"""

import ctypes
import importlib
import importlib.metadata
import importlib.util
import sys
import types
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from .binding import EventCallback, Library, LogCallback, ProxySettings, TextCallback

# Settings of mattn/go-sqlite3, slipped in through the store's name: WAL, so that a snapshot never
# blocks a writer and a reader never fails one; FULL, because a lost commit is a rewound ratchet.
_STORE_SETTINGS: Final = (
    "?_journal_mode=WAL&_busy_timeout=15000&_txlock=immediate&_synchronous=FULL"
    "&_secure_delete=true&_foreign_keys=on&x="
)
# whatsmeow's WACertPubKey, the root of WhatsApp's Noise certificates. Source: handshake.go.
_WHATSAPP_ROOT_KEY: Final = bytes.fromhex(
    "142375574d0a587166aae71ebe516437c4a28b73e3695c6ce1f7f9545da8ee6b"
)
_GUARDED: Final = "error deleting data from store"


class StoreRefused(Exception):
    """The engine does not open a store: what it says of it."""


class Listener(Protocol):
    """What hears from the engine. Called on the engine's threads; must not raise."""

    def on_qr_code(self, payload: str) -> None:
        """A code to show; replaces the one before."""
        ...

    def on_login_status(self, status: str) -> None:
        """A word of whatsmeow's `QRChannelItem.Event` about an unfinished pairing."""
        ...

    def on_event(self, code: int, payload: bytes) -> None:
        """An event: a number of `neonize.events.EVENT_TO_INT` and the serialized message."""
        ...

    def on_log(self, line: str) -> None:
        """A warning or an error of whatsmeow. May hold personal data: never keep or print it."""
        ...


class EngineError(Exception):
    """The engine answered a call with an error. Its text may hold personal data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentText:
    """The engine's answer to a send."""

    message_id: str
    send_time: int


def prepare() -> None:
    """Imports everything a host needs except the Go library. Idempotent."""
    if hasattr(_state, "library"):
        return
    spec = importlib.util.find_spec("neonize")
    assert spec is not None, "neonize is not installed"
    assert spec.submodule_search_locations is not None
    folder = Path(spec.submodule_search_locations[0])
    package = types.ModuleType("neonize")
    package.__spec__, package.__path__ = spec, [str(folder)]
    sys.modules["neonize"] = package  # without running its __init__, which would load Go
    (library,) = folder.glob("neonize-*.so")
    path = list(sys.path)
    _state.proto = importlib.import_module("neonize.proto.Neonize_pb2")
    _state.e2e = importlib.import_module("neonize.proto.waE2E.WAWebProtobufsE2E_pb2")
    _state.companion = importlib.import_module(
        "neonize.proto.waCompanionReg.WAWebProtobufsCompanionReg_pb2"
    )
    sys.path[:] = path  # neonize.proto puts itself in front
    _state.library = library
    _state.root_key_address = _find_root_key(_state.library)


def protos() -> Any:
    """Neonize's own messages (`Neonize_pb2`); `prepare()` first."""
    return _state.proto


def load(simulator_root_key: bytes = b"") -> None:
    """Loads the Go library into this process, once; makes it trust a simulator if one is given."""
    prepare()
    _state.go = Library(_state.library, importlib.metadata.version("neonize"))
    if simulator_root_key:
        _trust(simulator_root_key)


def create_schema(path: Path) -> None:
    """Lets the engine create an empty store."""
    _state.go.GetAllDevices(_store_name(path), LogCallback(lambda *_: None))


def read_devices(path: Path) -> list[str]:
    """The addresses of the devices in a store, which is brought to the engine's schema.

    Raises StoreRefused.
    """
    found: bytes = _state.go.GetAllDevices(_store_name(path), LogCallback(lambda *_: None))
    if found.startswith(b"error:"):
        raise StoreRefused(found.decode())
    return [each.partition(b",")[0].decode() for each in found.split(b"|\x01|") if each]


class Neonize:
    """One session's engine; one per process. Calls may come from any thread."""

    def __init__(self, *, uid: str, store: Path, proxy_url: str, listener: Listener) -> None:
        """Prepares the session; nothing happens before `run()`.

        Args:
            uid: Any text that no engine of this machine used before.
            store: The store's file, on a local file system.
            proxy_url: For WhatsApp's socket and for media; empty for a direct connection.
            listener: Hears everything.
        """
        self._uid = uid.encode()
        self._store = store
        self._proxy_url = proxy_url
        self._listener = listener
        self._go = _state.go
        # Go calls these for as long as the process lives: never let them be collected.
        self._callbacks = (
            TextCallback(self._qr_code),
            TextCallback(self._login_status),
            EventCallback(self._event),
            LogCallback(self._log),
        )

    def run(self, subscriptions: bytes) -> str:
        """Connects and stays; returns only when broken, with the engine's error text."""
        properties = _state.companion.DeviceProps(
            os="Roost", platformType=_state.companion.DeviceProps.CHROME
        ).SerializeToString()
        subscribed = ctypes.create_string_buffer(subscriptions, len(subscriptions))
        proxy = None
        if self._proxy_url:
            proxy = ctypes.pointer(ProxySettings(proxyAddress=self._proxy_url.encode()))
        error: bytes = self._go.Neonize(
            _store_name(self._store),
            self._uid,
            b"",
            0,
            0,
            b"WARN",
            *self._callbacks,
            subscribed,
            len(subscriptions),
            properties,
            len(properties),
            b"",
            0,
            proxy,
        )
        return error.decode(errors="replace")

    def disconnect(self) -> None:
        """Closes the socket for good; what was received is still handed over."""
        self._go.Disconnect(self._uid)

    def is_connected(self) -> bool:
        """Whether the socket is open and the login done."""
        return bool(self._go.IsConnected(self._uid) and self._go.IsLoggedIn(self._uid))

    def pair_phone(self, phone: str) -> str:
        """Asks for a pairing code. Raises EngineError."""
        request = _state.proto.PairPhoneParams(
            phone=phone,
            showPushNotification=True,
            clientType=1,  # Chrome; the name must have the form "Browser (OS)"
            clientDisplayName="Chrome (Linux)",
        ).SerializeToString()
        answer = _state.proto.PairPhoneReturnFunction.FromString(
            self._go.PairPhone(self._uid, request, len(request))
        )
        if answer.Error:
            raise EngineError(answer.Error)
        return str(answer.Code)

    def send_text(self, recipient: str, text: str, secret: bytes) -> SentText:
        """Sends a text and waits for WhatsApp's acknowledgement. Raises EngineError."""
        user, _, server = recipient.partition("@")
        to = _state.proto.JID(
            User=user, Server=server, RawAgent=0, Device=0, Integrator=0, IsEmpty=False
        ).SerializeToString()
        message = _state.e2e.Message(conversation=text)
        message.messageContextInfo.messageSecret = secret
        body = message.SerializeToString()
        answer = _state.proto.SendMessageReturnFunction.FromString(
            self._go.SendMessage(self._uid, to, len(to), body, len(body))
        )
        if answer.Error:
            raise EngineError(answer.Error)
        return SentText(
            message_id=str(answer.SendResponse.ID), send_time=int(answer.SendResponse.Timestamp)
        )

    def logout(self) -> None:
        """Removes this device from the account. Raises EngineError if WhatsApp did not do it.

        The guard trigger keeps the device row, so a success comes back as a failure to delete.
        """
        error = self._go.Logout(self._uid).decode(errors="replace")
        if error and not error.startswith(_GUARDED):
            raise EngineError(error)

    def phone_of_lid(self, lid_user: str) -> str:
        """The phone number of a LID, from the store; empty if unknown."""
        jid = _state.proto.JID(
            User=lid_user, Server="lid", RawAgent=0, Device=0, Integrator=0, IsEmpty=False
        ).SerializeToString()
        answer = _state.proto.GetJIDFromStoreReturnFunction.FromString(
            self._go.GetPNFromLID(self._uid, jid, len(jid))
        )
        return "" if answer.Error else str(answer.Jid.User)

    def _qr_code(self, _uid: int, payload: int) -> None:
        self._listener.on_qr_code(ctypes.string_at(payload).decode(errors="replace"))

    def _login_status(self, _uid: int, status: int) -> None:
        self._listener.on_login_status(ctypes.string_at(status).decode(errors="replace"))

    def _event(self, _uid: bytes, data: int, size: int, code: int) -> None:
        self._listener.on_event(code, ctypes.string_at(data, size))

    def _log(self, data: int, size: int) -> None:
        entry = _state.proto.LogEntry.FromString(ctypes.string_at(data, size))
        self._listener.on_log(entry.Message)


class _State:
    """What `prepare()` and `load()` found."""

    library: Path
    root_key_address: int
    proto: Any
    e2e: Any
    companion: Any
    go: Library


_state = _State()


def _store_name(path: Path) -> bytes:
    # neonize makes `file:<name>?_foreign_keys=on` of it: a URI, so everything special is escaped.
    return (urllib.parse.quote(str(path)) + _STORE_SETTINGS).encode()


def _find_root_key(library: Path) -> int:
    """Where, relative to its base address, the library has WhatsApp's root key."""
    data = library.read_bytes()
    offset = data.find(_WHATSAPP_ROOT_KEY)
    assert offset >= 0, "no copy of WhatsApp's root key"
    assert data.find(_WHATSAPP_ROOT_KEY, offset + 1) < 0, "more than one copy"
    # ELF64: e_phoff at 32, e_phentsize and e_phnum at 54; PT_LOAD is type 1.
    table = int.from_bytes(data[32:40], "little")
    size, count = (int.from_bytes(data[at : at + 2], "little") for at in (54, 56))
    for at in range(table, table + size * count, size):
        kind = int.from_bytes(data[at : at + 4], "little")
        start, address, _, length = (
            int.from_bytes(data[at + field : at + field + 8], "little") for field in (8, 16, 24, 32)
        )
        if kind == 1 and start <= offset < start + length:
            return offset - start + address
    raise AssertionError("WhatsApp's root key is not in a loaded segment")


def _trust(root_key: bytes) -> None:
    """Replaces the root key in this process's copy of the library's data."""
    assert len(root_key) == len(_WHATSAPP_ROOT_KEY), "a root key has 32 bytes"
    base = None
    for line in Path("/proc/self/maps").read_text().splitlines():
        if line.endswith(_state.library.name):
            base = int(line.partition("-")[0], 16)
            break
    assert base is not None, "the library is not mapped"
    address = base + _state.root_key_address
    assert ctypes.string_at(address, 32) == _WHATSAPP_ROOT_KEY, "the root key is elsewhere"
    ctypes.memmove(address, root_key, len(root_key))
