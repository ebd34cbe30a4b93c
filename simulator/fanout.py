"""Passes messages and receipts on to the devices they are for.

Source: https://github.com/tulir/whatsmeow/blob/main/send.go, message.go and receipt.go
"""

import base64
import hashlib
import time
from collections.abc import Callable, Iterable, Mapping

from .accounts import Account, Accounts, Device
from .connection import Connection
from .faults import Faults, Point
from .groups import Group, Groups
from .queues import Queues
from .store import Store
from .wire.jid import LID_SERVER, PN_SERVER, Jid
from .wire.nodes import Node, Value

PhoneInbox = Callable[[Account, Node], None]
"""Takes what is for an account's phone."""

_RELAYED_PARTS = ("device-identity", "meta")
_KEPT_RECEIPTS = ("sender", "peer_msg", "read-self", "played-self", "hist_sync")
"""Kinds that are for the service only."""
_USERS = (PN_SERVER, LID_SERVER)
_RETRY = "retry"
_REFUSED = 463
_NOT_A_MEMBER = "403"


class Fanout:
    """Who gets what."""

    def __init__(
        self,
        accounts: Accounts,
        groups: Groups,
        *,
        store: Store,
        queues: Queues,
        faults: Faults,
        to_phone: PhoneInbox,
    ) -> None:
        self._accounts = accounts
        self._groups = groups
        self._store = store
        self._queues = queues
        self._faults = faults
        self._to_phone = to_phone

    def deliver(self, account: Account, number: int, stanza: Node) -> None:
        """Give a stanza to one device of an account; device 0 is the phone."""
        device = account.devices.get(number)
        if device is not None:
            self._queues.push(device, stanza)
        elif not number:
            self._to_phone(account, stanza)

    def message(self, connection: Connection, device: Device, node: Node) -> bool:
        """Acknowledge and pass on what a linked device sends; False if it makes no sense."""
        sender = self._accounts.by_phone(device.phone)
        to = node.jid("to")
        group = self._groups.find(to)
        if sender is None or to is None or (group is None and to.server not in _USERS):
            return False
        attrs: dict[str, Value] = {"class": "message", "id": node.text("id"), "from": to}
        attrs["t"] = _now()
        fault = self._faults.take(Point.SEND, device.phone)
        if fault is not None:
            if fault.kind == "send_refused":
                code = str(fault.number("code", _REFUSED))
                connection.post(Node("ack", {**attrs, "error": code}))
            return True
        if group is not None and sender.phone not in group.members:
            connection.post(Node("ack", {**attrs, "error": _NOT_A_MEMBER}))
            return True
        listed = _listed(node, group)
        if listed is not None:
            attrs["phash"] = self._device_hash(sender, to, group)
        connection.post(Node("ack", attrs))
        if listed is None:  # for one device: a message encrypted again, or one to the own phone
            target = node.jid("participant") if group is not None else to
            self._relay(sender, device.number, target, node, node)
        elif self._store.first_time(*device.key, node.text("id")):
            # A client repeats what a lost connection has left without acknowledgement.
            if group is not None:
                self._share(sender, device.number, group, node, listed)
                return True
            for one in listed.all("to"):
                self._relay(sender, device.number, one.jid("jid"), node, one)
        return True

    def _share(self, sender: Account, number: int, group: Group, node: Node, listed: Node) -> None:
        """Pass on what is for all members, to each with what is for it alone in front."""
        own = {
            (account.phone, jid.device): target
            for target in listed.all("to")
            if (jid := target.jid("jid")) and (account := self._accounts.find(jid))
        }
        for member in self._groups.members(group):
            for to_number in (0, *member.devices):
                if (member, to_number) != (sender, number):
                    target = own.get((member.phone, to_number), Node("to"))
                    source = Node("to", {}, [*target.children, *node.all("enc")])
                    jid = group.address(member).on(to_number)
                    self._relay(sender, number, jid, node, source)

    def _relay(
        self, sender: Account, number: int, target: Jid | None, node: Node, source: Node
    ) -> None:
        account = self._accounts.find(target)
        if account is None or target is None:
            return
        content = [child for child in source.children if child.tag == "enc"]
        content += [child for child in node.children if child.tag in _RELAYED_PARTS]
        group = self._groups.find(node.jid("to"))
        names = ["category", "edit", "recipient"]
        if group is not None:
            attrs = group_envelope(group, sender, number, node.text("id"))
        else:
            attrs = dict(envelope(sender, number, account, node.jid("to"), node.text("id")))
            names += ["peer_recipient_pn"] if account is sender else []
        attrs["type"] = node.text("type") or "text"
        attrs |= {name: node.attrs[name] for name in names if name in node.attrs}
        self.deliver(account, target.device, Node("message", attrs, content))

    def receipt(self, connection: Connection, device: Device, node: Node) -> bool:
        """Acknowledge a linked device's receipt and pass it on; False if it makes no sense."""
        reader = self._accounts.by_phone(device.phone)
        to = node.jid("to")
        if reader is None or to is None:
            return False
        attrs: dict[str, Value] = {"class": "receipt", "from": to}
        for name in ("id", "type", "participant", "recipient"):
            if name in node.attrs:
                attrs[name] = node.attrs[name]
        connection.post(Node("ack", attrs))
        self._queues.answered(device, "message", node)
        self.pass_receipt(reader, device.number, to, node)
        return True

    def pass_receipt(self, reader: Account, number: int, to: Jid, receipt: Node) -> None:
        """Tell the author of messages what a device has done with them.

        `to` is the author; or the group, and then the receipt names the author as participant.
        """
        group = self._groups.find(to)
        device = to if group is None else receipt.jid("participant")
        author = self._accounts.find(device)
        kind = receipt.text("type")
        if device is None or author is None or kind in _KEPT_RECEIPTS:
            return
        if author is reader and kind != _RETRY:
            return
        attrs: dict[str, Value] = {"id": receipt.text("id"), "t": _now()}
        if group is not None:
            attrs |= group.participant(reader, number)
        else:
            attrs["from"] = _address(reader, to.server).on(number)
            if author is not reader:
                attrs["sender_pn"] = reader.jid
        for name in ("type", "recipient"):
            if name in receipt.attrs:
                attrs[name] = receipt.attrs[name]
        stanza = Node("receipt", attrs, receipt.content)
        # A request to encrypt again is for the device that did; everybody may know the rest.
        for target in [device.device] if kind == _RETRY else [0, *author.devices]:
            self.deliver(author, target, stanza)

    def _device_hash(self, sender: Account, to: Jid, group: Group | None) -> str:
        """What tells a client that its idea of who has which devices is out of date."""
        if group is not None:
            users = [(member, group.address(member)) for member in self._groups.members(group)]
        else:
            both = (sender, self._accounts.find(to))
            users = [(account, _address(account, to.server)) for account in both if account]
        return _hash(user.on(number) for account, user in users for number in (0, *account.devices))


def _hash(devices: Iterable[Jid]) -> str:
    names = {f"{jid.user}.0:{jid.device}@{jid.server}" for jid in devices}
    digest = hashlib.sha256("".join(sorted(names)).encode()).digest()
    return "2:" + base64.b64encode(digest[:6]).decode()


def group_envelope(group: Group, sender: Account, number: int, message_id: str) -> dict[str, Value]:
    """The attributes under which members get a message of a device of `sender`."""
    attrs = group.participant(sender, number)
    return {**attrs, "id": message_id, "t": _now(), "notify": sender.name}


def _listed(node: Node, group: Group | None) -> Node | None:
    """The devices with something of their own in a message; None if it is for one device only."""
    if group is not None and "participant" not in node.attrs:
        # None need have: in a group all members may have the sender's key already.
        return node.child("participants") or Node("participants")
    return node.child("participants")


def envelope(
    sender: Account, number: int, target: Account, chat: Jid | None, message_id: str
) -> Mapping[str, Value]:
    """The attributes under which a device of `target` gets a message of a device of `sender`."""
    server = chat.server if chat is not None else LID_SERVER
    attrs: dict[str, Value] = {
        "from": _address(sender, server).on(number),
        "id": message_id,
        "t": _now(),
        "notify": sender.name,
    }
    if target is not sender:
        attrs["sender_pn" if server == LID_SERVER else "sender_lid"] = (
            sender.jid if server == LID_SERVER else sender.lid_jid
        )
    elif chat is not None and chat.user not in (sender.phone, sender.lid):
        attrs["recipient"] = chat.bare()
    return attrs


def _address(account: Account, server: str) -> Jid:
    return account.lid_jid if server == LID_SERVER else account.jid


def _now() -> str:
    return str(int(time.time()))
