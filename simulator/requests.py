"""What each iq request of a client is answered with."""

from collections.abc import Callable

from .accounts import Accounts, Device
from .bundles import Bundles, bundle_nodes
from .codes import CodePairings
from .connection import Connection, Stage, refusal, reply
from .directory import Directory
from .groups import Groups
from .wire.nodes import Node

Handler = Callable[[Connection, Device, Node], Node | None]
"""Answers a request of a linked device; None if it has answered already."""

_PINGS = {("w:p", "get", ""), ("w:p", "get", "ping")}
_PROPS_REFRESH_SECONDS = 86_400
_PRIVACY = ("readreceipts", "profile", "status", "online", "last", "groupadd", "calladd")


class Requests:
    """The table of everything that clients ask."""

    def __init__(
        self,
        accounts: Accounts,
        groups: Groups,
        directory: Directory,
        bundles: Bundles,
        codes: CodePairings,
        *,
        on_active: Callable[[Connection], None],
        on_logout: Callable[[Device], None],
    ) -> None:
        """Answer from the given state.

        Args:
            accounts: Who exists.
            groups: And which groups.
            directory: What others may know of them.
            bundles: Their keys.
            codes: Linking by code.
            on_active: Told when a device wants its messages.
            on_logout: Told when a device logs itself out.
        """
        self._accounts = accounts
        self._groups = groups
        self._directory = directory
        self._bundles = bundles
        self._codes = codes
        self._on_active = on_active
        self._on_logout = on_logout
        self._table: dict[tuple[str, str, str], Handler] = {
            ("abt", "get", "props"): self._experiments,
            ("blocklist", "get", ""): self._blocked,
            ("encrypt", "get", "count"): self._count_keys,
            ("encrypt", "get", "digest"): self._digest_keys,
            ("encrypt", "get", "key"): self._give_bundles,
            ("encrypt", "set", "registration"): self._take_keys,
            ("md", "set", "remove-companion-device"): self._log_out,
            ("passive", "set", "active"): self._activate,
            ("passive", "set", "passive"): self._accept,
            ("privacy", "get", "privacy"): self._privacy,
            ("privacy", "set", "tokens"): self._accept,
            ("usync", "get", "usync"): self._look_up,
            ("w", "get", "props"): self._experiments,
            ("w:g2", "get", "query"): self._describe_group,
        }

    def answer(self, connection: Connection, node: Node) -> bool:
        """Answer a request; False if it was not understood, and refused."""
        first = node.children[0].tag if node.children else ""
        key = (node.text("xmlns"), node.text("type"), first)
        if key in _PINGS:
            connection.post(reply(node))
            return True
        if key == ("md", "set", "link_code_companion_reg") and connection.stage is Stage.PAIRING:
            return self._codes.answer(connection, node)
        handler = self._table.get(key)
        device = connection.device
        if handler is None or device is None:
            connection.post(refusal(node, 501, "feature-not-implemented"))
            return False
        answer = handler(connection, device, node)
        if answer is not None:
            connection.post(answer)
        return True

    def _accept(self, _connection: Connection, _device: Device, node: Node) -> Node:
        return reply(node)

    def _count_keys(self, _connection: Connection, device: Device, node: Node) -> Node:
        return reply(node, Node("count", {"value": str(self._bundles.count(device))}))

    def _digest_keys(self, _connection: Connection, device: Device, node: Node) -> Node:
        return reply(node, Node("digest", {}, self._bundles.digest(device)))

    def _take_keys(self, _connection: Connection, device: Device, node: Node) -> Node:
        if not self._bundles.accept(device, node):
            return refusal(node, 406, "not-acceptable")
        self._accounts.save_device(device)
        return reply(node)

    def _give_bundles(self, _connection: Connection, _device: Device, node: Node) -> Node:
        asked = node.child("key")
        users = [self._bundle(user) for user in asked.all("user")] if asked else []
        return reply(node, Node("list", {}, users))

    def _bundle(self, user: Node) -> Node:
        jid = user.jid("jid")
        account = self._accounts.find(jid)
        bundle = self._bundles.take(account, jid.device) if account and jid else None
        missing = Node("error", {"code": "404", "text": "item-not-found"})
        # The answer must name the device exactly as it was asked for.
        return Node("user", dict(user.attrs), bundle_nodes(bundle) if bundle else [missing])

    def _look_up(self, _connection: Connection, device: Device, node: Node) -> Node:
        return self._directory.answer(device, node)

    def _describe_group(self, _connection: Connection, device: Device, node: Node) -> Node:
        account = self._accounts.by_phone(device.phone)
        group = self._groups.find(node.jid("to"))
        if group is None:
            return refusal(node, 404, "item-not-found")
        if account is None or account.phone not in group.members:
            return refusal(node, 403, "forbidden")
        return reply(node, self._groups.describe(group))

    def _privacy(self, _connection: Connection, _device: Device, node: Node) -> Node:
        settings = [Node("category", {"name": name, "value": "all"}) for name in _PRIVACY]
        return reply(node, Node("privacy", {}, settings))

    def _experiments(self, _connection: Connection, _device: Device, node: Node) -> Node:
        attrs = {"protocol": "1", "refresh": str(_PROPS_REFRESH_SECONDS)}
        return reply(node, Node("props", attrs))

    def _blocked(self, _connection: Connection, _device: Device, node: Node) -> Node:
        return reply(node, Node("list"))

    def _activate(self, connection: Connection, _device: Device, node: Node) -> None:
        connection.post(reply(node))
        self._on_active(connection)

    def _log_out(self, connection: Connection, device: Device, node: Node) -> None:
        connection.post(reply(node))
        self._on_logout(device)
