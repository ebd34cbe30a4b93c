"""The whole simulator in one object: what it remembers and who is connected."""

import logging
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence

from aiohttp import web

from .accounts import Account, Accounts, Device
from .bundles import Bundles
from .codes import CodePairings
from .connection import Connection, ConnectionLost
from .contacts import Contacts
from .directory import Directory
from .fanout import Fanout
from .faults import POINTS, Fault, Faults, Point
from .groups import Group, Groups
from .identity import Identity
from .lists import Lists
from .logins import REPLACED, Logins
from .pairing import Pairings
from .phones import Phones
from .queues import Queues
from .requests import Requests
from .shapes import shape
from .store import Store
from .wire.nodes import Codec, Node, Value
from .wire.tokens import load_tokens

_MAX_FRAME_BYTES = 1 << 24
_WITHOUT_ANSWER = ("ib", "presence", "chatstate")
_log = logging.getLogger(__name__)


class Service:
    """WhatsApp, as far as its clients can tell."""

    def __init__(self, store: Store) -> None:
        self.identity = Identity.load(store)
        self.faults = Faults()
        self.accounts = Accounts(store)
        self.groups = Groups(store, self.accounts)
        self.contacts = Contacts(store)
        self.pairings = Pairings(self.accounts, self.faults)
        self.codes = CodePairings(self.pairings)
        self.logins = Logins(self.accounts, self.pairings, self.faults)
        self.unknown: list[str] = []
        """The shapes of stanzas that nothing here understands."""
        self._codec = Codec(load_tokens())
        self._queues = Queues(store, self.logins, self._codec, self.faults)
        self._directory = Directory(self.accounts)
        self._fanout = Fanout(
            self.accounts,
            self.groups,
            store=store,
            queues=self._queues,
            faults=self.faults,
            to_phone=self._to_phone,
        )
        bundles = Bundles(store, self.contacts)
        self.lists = Lists(store)
        self.phones = Phones(
            self.accounts,
            self.groups,
            contacts=self.contacts,
            bundles=bundles,
            lists=self.lists,
            fanout=self._fanout,
        )
        self._requests = Requests(
            self.accounts,
            self.groups,
            self._directory,
            bundles,
            self.codes,
            on_active=self._queues.open,
            on_logout=self.logins.log_out,
        )
        self.accounts.on_devices_changed = self._announce_devices
        self._connections: set[Connection] = set()

    def create_group(self, name: str, members: Sequence[Account], mode: str) -> Group:
        """Found a group, and tell its members' devices."""
        group = self.groups.create(name, members, mode)
        for member in members:
            for device in member.devices.values():
                self._queues.push(device, self.groups.announcement(group))
        return group

    def connections(self) -> Iterator[Connection]:
        """Every connection there is, logged in or not."""
        return iter(tuple(self._connections))

    def application(self) -> web.Application:
        """What is served below WhatsApp's names."""
        application = web.Application()
        application.router.add_get("/ws/chat", self._chat)
        return application

    def fault(
        self, kind: str, phone: str | None, args: Mapping[str, str | int | float], times: int | None
    ) -> int:
        """Make something go wrong, now or at the next occasion; how many connections it struck.

        Raises:
            RequestInvalid: there is no such fault.
        """
        fault = self.faults.arm(kind, phone, args, times)
        if POINTS[kind] is not Point.NOW:
            return 0
        targets = self.connections() if phone is None else self.logins.connections(phone)
        return sum(1 for connection in list(targets) if self._strike(connection, fault))

    def clear_faults(self, phone: str | None) -> None:
        """Disarm faults and end silences."""
        self.faults.clear(phone)
        for connection in self.connections() if phone is None else self.logins.connections(phone):
            connection.muted = False

    def reset_all(self) -> None:
        """Cut every connection."""
        for connection in self.connections():
            connection.reset()

    def _strike(self, connection: Connection, fault: Fault) -> bool:
        match fault.kind:
            case "reset":
                connection.reset()
            case "close":
                connection.hang_up()
            case "stream_error":
                conflict = fault.attributes("conflict").get("conflict")
                inside = [Node("conflict", {"type": conflict})] if conflict else None
                connection.leave(Node("stream:error", dict(fault.attributes("code")), inside))
            case "replaced":
                connection.leave(REPLACED)
            case "device_removed":
                if connection.device is None:
                    return False
                self.logins.unlink(connection.device)
            case "silence":
                connection.muted = True
            case _:
                return False
        return True

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        fault = self.faults.take(Point.DIAL)
        if fault is not None:
            return web.Response(status=fault.number("status", 503))
        socket = web.WebSocketResponse(compress=False, max_msg_size=_MAX_FRAME_BYTES)
        await socket.prepare(request)
        connection = Connection(request, socket, self._codec)
        self._connections.add(connection)
        try:
            await self._serve(connection)
        except ConnectionLost:
            _log.debug("connection.lost")
        finally:
            self._connections.discard(connection)
            self.logins.leave(connection)
        return socket

    async def _serve(self, connection: Connection) -> None:
        identity = self.identity.server
        fault = self.faults.take(Point.HANDSHAKE)
        if fault is not None and fault.kind == "handshake_reset":
            connection.reset()
        if fault is not None and fault.kind == "handshake_untrusted":
            identity = self.identity.untrusted()
        if fault is not None and fault.kind == "handshake_silence":
            await connection.ignore()
        hello = await connection.handshake(identity)
        self.logins.admit(connection, hello)
        await connection.serve(lambda node: self._handle(connection, node))

    def _handle(self, connection: Connection, node: Node) -> None:
        if not self._understand(connection, node):
            self.unknown.append(shape(node))

    def _understand(self, connection: Connection, node: Node) -> bool:
        if node.tag == "iq":
            answer = node.text("type") in ("result", "error")
            return answer or self._requests.answer(connection, node)
        if node.tag in _WITHOUT_ANSWER:
            return True
        device = connection.device
        if device is not None and node.tag == "message":
            return self._fanout.message(connection, device, node)
        if device is not None and node.tag == "receipt":
            return self._fanout.receipt(connection, device, node)
        if device is not None and node.tag == "ack":
            self._queues.answered(device, node.text("class"), node)
        return node.tag == "ack"

    def _to_phone(self, account: Account, stanza: Node) -> None:
        self.phones.receive(account, stanza)

    def _announce_devices(self, account: Account, changed: Device) -> None:
        """Let clients drop what they believe about the account's devices."""
        update = Node("update", {"device_hash": "2:changed"})
        for watcher in self._directory.watchers(account):
            for device in watcher.devices.values():
                if device is changed:
                    continue
                attrs: dict[str, Value] = {
                    "from": account.lid_jid,
                    "type": "devices",
                    "id": secrets.token_hex(8),
                    "t": str(int(time.time())),
                }
                self._queues.push(device, Node("notification", attrs, [update]))
