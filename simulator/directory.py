"""What clients ask about users: their hidden address, their devices, whether they exist.

Source: https://github.com/tulir/whatsmeow/blob/main/user.go (usync)
"""

from collections import defaultdict

from .accounts import Account, Accounts, Device
from .connection import reply
from .wire.jid import PN_SERVER, Jid
from .wire.nodes import Node


class Directory:
    """Answers, and remembers who asked for whose devices."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._watchers: defaultdict[str, set[str]] = defaultdict(set)

    def watchers(self, account: Account) -> list[Account]:
        """Who must hear of a change to the devices of an account; itself included."""
        phones = {account.phone, *self._watchers[account.phone]}
        return [found for phone in sorted(phones) if (found := self._accounts.by_phone(phone))]

    def answer(self, device: Device, request: Node) -> Node:
        """The answer to a usync request of a device."""
        asked = request.child("usync") or Node("usync")
        query = asked.child("query")
        listed = asked.child("list")
        wanted = [child.tag for child in query.children] if query else []
        asked_for = listed.all("user") if listed else ()
        users = [self._describe(device, user, wanted) for user in asked_for]
        content = [
            Node("result", {}, [Node(name) for name in wanted]),
            Node("list", {}, users),
        ]
        return reply(request, Node("usync", asked.attrs, content))

    def _describe(self, device: Device, user: Node, wanted: list[str]) -> Node:
        number = user.child_data("contact").decode(errors="replace")
        jid = user.jid("jid") or Jid(number.partition("@")[0].lstrip("+"), PN_SERVER)
        account = self._accounts.find(jid)
        if account is not None and "devices" in wanted:
            self._watchers[account.phone].add(device.phone)
        content = [node for name in wanted if (node := _part(name, account, number))]
        attrs = {"jid": jid.bare()}
        if "contact" in wanted and account is not None:
            attrs = {"jid": account.lid_jid, "pn_jid": account.jid}
        return Node("user", attrs, content)


def _part(name: str, account: Account | None, number: str) -> Node | None:
    if name == "contact":
        return Node("contact", {"type": "in" if account else "out"}, number.encode())
    if account is None:
        return None
    if name == "lid":
        return Node("lid", {"val": account.lid_jid})
    if name == "devices":
        linked = [
            Node("device", {"id": str(device.number), "key-index": str(device.key_index)})
            for device in account.devices.values()
        ]
        return Node(
            "devices", {}, [Node("device-list", {}, [Node("device", {"id": "0"}), *linked])]
        )
    return None
