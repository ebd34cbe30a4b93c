"""The phones: device 0 of every account, scripted instead of real.

A phone reads and writes end to end encrypted texts like any other device, answers what arrives
with receipts, and asks for what it cannot read to be encrypted again.
"""

import asyncio
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from .accounts import Account, Accounts
from .bundles import Bundles, bundle_nodes, read_bundle
from .contacts import Contacts
from .errors import AccountNotFound, MessageNotFound, NothingCame
from .fanout import Fanout, envelope
from .signal.errors import Duplicate, OldCounter, SignalError
from .signal.messages import Ciphertext, Type
from .store import Store
from .texts import Text, read_message, report_message, text_message
from .wire.jid import LID_SERVER, Jid
from .wire.nodes import Node, Value

INBOX = "inbox"
"""Texts from others."""
COPIES = "copies"
"""Texts that the account's own linked devices have sent."""
RECEIPTS = "receipts"
"""What others did with the account's texts."""
FAILURES = "failures"
"""What could not be read."""
LISTS = (INBOX, COPIES, RECEIPTS, FAILURES)

_SENT = "sent"
_MAX_RETRIES = 4


@dataclass(frozen=True, slots=True)
class _Sent:
    chat: str
    text: str


class Phones:
    """Plays all phones."""

    def __init__(
        self, accounts: Accounts, contacts: Contacts, bundles: Bundles, store: Store
    ) -> None:
        """Play the phones of these accounts; `fanout` must be set before the first stanza."""
        self.fanout: Fanout
        self.silent: set[str] = set()
        """Numbers whose phones send no delivery receipts."""
        self._accounts = accounts
        self._contacts = contacts
        self._bundles = bundles
        self._store = store
        self._news: dict[str, asyncio.Event] = {}

    def receive(self, account: Account, stanza: Node) -> None:
        """Take a stanza as the account's phone."""
        if stanza.tag == "message":
            self._read(account, stanza)
        elif stanza.tag == "receipt":
            self._note_receipt(account, stanza)

    def send_text(self, account: Account, to: str, text: str) -> str:
        """Write to a number or an address from the phone; the message's id.

        Raises:
            AccountNotFound: nobody has that number.
        """
        target = self._accounts.find(Jid.parse(to)) if "@" in to else self._accounts.by_phone(to)
        if target is None:
            raise AccountNotFound
        message_id = secrets.token_hex(10).upper()
        sent = _Sent(str(target.lid_jid), text)
        self._store.add_item(account.phone, _SENT, message_id, msgspec.json.encode(sent))
        if target is not account:
            item = _text_item(account.lid_jid, account, Text(text, "conversation", ""))
            self._add(target, INBOX, message_id, item)
        for number in target.devices:
            self._encrypt(account, target, number, message_id, sent)
        if target is not account:
            for number in account.devices:
                self._encrypt(account, account, number, message_id, sent)
        return message_id

    def send_receipt(self, account: Account, message_id: str, kind: str) -> None:
        """Tell the author of a text in the inbox what happened to it, for instance `read`.

        Raises:
            MessageNotFound: no such text has come.
        """
        found = self._store.item(account.phone, INBOX, message_id)
        if found is None:
            raise MessageNotFound
        author = Jid.parse(msgspec.json.decode(found)["from"])
        attrs: dict[str, Value] = {"id": message_id}
        if kind:
            attrs["type"] = kind
        self.fanout.pass_receipt(account, 0, author, Node("receipt", attrs))

    async def wait(
        self, account: Account, name: str, after: int, count: int, seconds: float
    ) -> list[tuple[int, bytes]]:
        """What is in a list behind a position, once there are `count`.

        Raises:
            NothingCame: there were not, in time.
        """
        found: list[tuple[int, bytes]] = []
        try:
            async with asyncio.timeout(seconds):
                while len(found := self._store.items(account.phone, name, after)) < count:
                    await self._news.setdefault(account.phone, asyncio.Event()).wait()
                return found
        except TimeoutError:
            raise NothingCame(f"{len(found)} of {count} in {name}") from None

    def _encrypt(
        self,
        account: Account,
        target: Account,
        number: int,
        message_id: str,
        sent: _Sent,
        *,
        retry: Node | None = None,
    ) -> None:
        """Send a text to one linked device."""
        contact = self._contacts.of(account)
        peer = _peer(target, number)
        bundle = read_bundle(retry) if retry is not None else None
        if bundle is None and not contact.has_session(peer):
            bundle = self._bundles.take(target, number)
        own = target is account and sent.chat != str(account.lid_jid)
        plain = report_message(sent.chat, sent.text) if own else text_message(sent.text)
        sealed = contact.encrypt(peer, bundle, plain)
        self._contacts.save(account)
        chat = Jid.parse(sent.chat)
        attrs = {**envelope(account, 0, target, chat, message_id), "type": "text"}
        if own and (reader := self._accounts.find(chat)) is not None:
            attrs["peer_recipient_pn"] = reader.jid
        count = retry.child("retry") if retry is not None else None
        enc = _enc(sealed, count.text("count") if count is not None else "")
        self.fanout.deliver(target, number, Node("message", attrs, [enc]))

    def _read(self, account: Account, stanza: Node) -> None:
        sender = stanza.jid("from")
        author = self._accounts.find(sender)
        if sender is None or author is None:
            return
        contact = self._contacts.of(account)
        message_id = stanza.text("id")
        for enc in stanza.all("enc"):
            kind: Type = "pkmsg" if enc.text("type") == "pkmsg" else "msg"
            try:
                plain = contact.decrypt(_peer(author, sender.device), kind, enc.data)
            except Duplicate:
                self._confirm(account, author, sender, message_id)
            except OldCounter as error:  # real clients throw it away and confirm it
                self._fail(account, sender, message_id, error)
                self._confirm(account, author, sender, message_id)
            except SignalError as error:
                self._fail(account, sender, message_id, error)
                self._ask_again(account, sender, stanza, enc)
            else:
                self._contacts.save(account)
                name = COPIES if author is account else INBOX
                item = _text_item(sender, author, read_message(plain))
                self._add(account, name, message_id, item)
                self._confirm(account, author, sender, message_id)

    def _confirm(self, account: Account, author: Account, sender: Jid, message_id: str) -> None:
        if author is not account and account.phone not in self.silent:
            receipt = Node("receipt", {"id": message_id})
            self.fanout.pass_receipt(account, 0, sender, receipt)

    def _ask_again(self, account: Account, sender: Jid, stanza: Node, enc: Node) -> None:
        count = int(enc.text("count") or 0) + 1
        if count > _MAX_RETRIES:
            return
        keys = bundle_nodes(self._contacts.of(account).bundle())
        self._contacts.save(account)
        message_id = stanza.text("id")
        retry = {"count": str(count), "id": message_id, "t": stanza.text("t"), "v": "1"}
        content = [Node("retry", retry), keys[0], Node("keys", {}, keys[1:])]
        receipt = Node("receipt", {"id": message_id, "type": "retry"}, content)
        self.fanout.pass_receipt(account, 0, sender, receipt)

    def _note_receipt(self, account: Account, stanza: Node) -> None:
        sender = stanza.jid("from")
        reader = self._accounts.find(sender)
        if sender is None or reader is None:
            return
        listed = stanza.child("list")
        ids = [stanza.text("id")]
        ids += [item.text("id") for item in listed.all("item")] if listed else []
        kind = stanza.text("type") or "delivered"
        item = {"ids": ids, "type": kind, "from": str(sender), "phone": reader.phone}
        self._add(account, RECEIPTS, stanza.text("id"), item)
        found = self._store.item(account.phone, _SENT, stanza.text("id"))
        if kind == "retry" and found is not None:
            sent = msgspec.json.decode(found, type=_Sent)
            number = sender.device
            self._encrypt(account, reader, number, stanza.text("id"), sent, retry=stanza)

    def _fail(self, account: Account, sender: Jid, message_id: str, error: SignalError) -> None:
        item = {"from": str(sender), "error": type(error).__name__}
        self._add(account, FAILURES, message_id, item)

    def _add(self, account: Account, name: str, item_id: str, item: Mapping[str, object]) -> None:
        data = msgspec.json.encode({"id": item_id, **item, "time": time.time()})
        self._store.add_item(account.phone, name, item_id, data)
        waiting = self._news.pop(account.phone, None)
        if waiting is not None:
            waiting.set()


def _peer(account: Account, number: int) -> str:
    """One name for a device, however a stanza addresses it."""
    return str(Jid(account.lid, LID_SERVER, number))


def _text_item(sender: Jid, author: Account, text: Text) -> dict[str, object]:
    return {
        "from": str(sender),
        "phone": author.phone,
        "name": author.name,
        "text": text.text,
        "kind": text.kind,
        "to": text.destination,
    }


def _enc(sealed: Ciphertext, count: str) -> Node:
    attrs = {"v": "2", "type": sealed.type}
    return Node("enc", {**attrs, "count": count} if count else attrs, sealed.data)
