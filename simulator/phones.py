"""The phones: device 0 of every account, scripted instead of real.

A phone reads and writes end to end encrypted texts like any other device, answers what arrives
with receipts, and asks for what it cannot read to be encrypted again. Between two phones nothing
is encrypted: what one writes is in the inbox of the other.
"""

import secrets

import msgspec

from .accounts import Account, Accounts
from .bundles import Bundles
from .contacts import Contacts
from .errors import AccountNotFound, MessageNotFound
from .fanout import Fanout
from .groups import Group, Groups
from .lists import INBOX, RECEIPTS, Lists
from .reading import Reader, author_of, text_item
from .texts import Text
from .wire.jid import GROUP_SERVER, Jid
from .wire.nodes import Node, Value
from .writing import Writer


class Phones:
    """Plays all phones."""

    def __init__(
        self,
        accounts: Accounts,
        groups: Groups,
        *,
        contacts: Contacts,
        bundles: Bundles,
        lists: Lists,
        fanout: Fanout,
    ) -> None:
        self._accounts = accounts
        self._groups = groups
        self._lists = lists
        self._fanout = fanout
        self._writer = Writer(
            accounts, groups, contacts=contacts, bundles=bundles, lists=lists, fanout=fanout
        )
        self._reader = Reader(accounts, contacts, lists, fanout)

    @property
    def silent(self) -> set[str]:
        """Numbers whose phones send no delivery receipts."""
        return self._reader.silent

    def receive(self, account: Account, stanza: Node) -> None:
        """Take a stanza as the account's phone."""
        if stanza.tag == "message":
            self._reader.read(account, stanza)
        elif stanza.tag == "receipt":
            self._note_receipt(account, stanza)

    def send_text(self, account: Account, to: str, text: str) -> str:
        """Write to a number, an address or a group from the phone; the message's id.

        Raises:
            AccountNotFound: nobody has that number.
            GroupNotFound: the account is in no such group.
        """
        message_id = secrets.token_hex(10).upper()
        jid = Jid.parse(to) if "@" in to else None
        if jid is not None and jid.server == GROUP_SERVER:
            group = self._groups.of_member(jid, account)
            self._show(account, self._groups.members(group), message_id, text, group)
            self._writer.to_group(account, group, message_id, text)
            return message_id
        target = self._accounts.find(jid) if jid is not None else self._accounts.by_phone(to)
        if target is None:
            raise AccountNotFound
        self._show(account, [target], message_id, text, None)
        self._writer.to_account(account, target, message_id, text)
        return message_id

    def send_receipt(self, account: Account, message_id: str, kind: str) -> None:
        """Tell the author of a text in the inbox what happened to it, for instance `read`.

        Raises:
            MessageNotFound: no such text has come.
        """
        found = self._lists.latest(account, INBOX, message_id)
        if found is None:
            raise MessageNotFound
        item = msgspec.json.decode(found)
        attrs: dict[str, Value] = {"id": message_id}
        if kind:
            attrs["type"] = kind
        to = Jid.parse(item["from"])
        if item["group"]:
            attrs["participant"] = to
            to = Jid.parse(item["group"])
        self._fanout.pass_receipt(account, 0, to, Node("receipt", attrs))

    def _show(
        self,
        account: Account,
        targets: list[Account],
        message_id: str,
        text: str,
        group: Group | None,
    ) -> None:
        """Put a text into the inboxes of other phones."""
        name = str(group.jid) if group is not None else ""
        item = text_item(account.lid_jid, account, Text(text, "conversation"), name)
        for target in targets:
            if target is not account:
                self._lists.add(target, INBOX, message_id, item)

    def _note_receipt(self, account: Account, stanza: Node) -> None:
        sender = author_of(stanza)
        reader = self._accounts.find(sender)
        if sender is None or reader is None:
            return
        listed = stanza.child("list")
        ids = [stanza.text("id")]
        ids += [item.text("id") for item in listed.all("item")] if listed else []
        kind = stanza.text("type") or "delivered"
        item = {"ids": ids, "type": kind, "from": str(sender), "phone": reader.phone}
        self._lists.add(account, RECEIPTS, stanza.text("id"), item)
        if kind == "retry":
            self._writer.again(account, reader, sender.device, stanza)
