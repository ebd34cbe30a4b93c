"""What clients ask about users: their hidden address, their devices, whether they exist.

Source: https://github.com/tulir/whatsmeow/blob/main/user.go (usync)
"""

from .accounts import Account, Accounts
from .connection import reply
from .wire.jid import PN_SERVER, Jid
from .wire.nodes import Node


def answer(accounts: Accounts, request: Node) -> Node:
    """The answer to a usync request."""
    asked = request.child("usync") or Node("usync")
    query = asked.child("query")
    listed = asked.child("list")
    wanted = [child.tag for child in query.children] if query else []
    users = [_describe(accounts, user, wanted) for user in listed.all("user")] if listed else []
    content = [
        Node("result", {}, [Node(name) for name in wanted]),
        Node("list", {}, users),
    ]
    return reply(request, Node("usync", dict(asked.attrs), content))


def _describe(accounts: Accounts, user: Node, wanted: list[str]) -> Node:
    number = user.child_data("contact").decode(errors="replace")
    jid = user.jid("jid") or Jid(number.partition("@")[0].lstrip("+"), PN_SERVER)
    account = accounts.find(jid)
    content = [node for name in wanted if (node := _part(name, account, number))]
    attrs = {"jid": jid.bare()}
    if "contact" in wanted and account is not None:
        attrs = {"jid": account.lid_jid, "pn_jid": account.jid}
    return Node("user", dict(attrs), content)


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
