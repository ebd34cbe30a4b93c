"""How a phone reads: it confirms what it could read, and asks again for what it could not.

Source: https://github.com/tulir/whatsmeow/blob/main/message.go (decryptMessages) and retry.go
"""

from .accounts import Account, Accounts
from .bundles import bundle_nodes
from .contacts import Contacts
from .fanout import Fanout
from .lists import COPIES, FAILURES, INBOX, Lists
from .signal.errors import Duplicate, OldCounter, SignalError
from .signal.messages import Type
from .texts import Text, read_message
from .wire.jid import GROUP_SERVER, Jid
from .wire.nodes import Node, Value
from .writing import peer_name

_MAX_RETRIES = 4


class Reader:
    """Decrypts what comes to phones."""

    def __init__(
        self, accounts: Accounts, contacts: Contacts, lists: Lists, fanout: Fanout
    ) -> None:
        self.silent: set[str] = set()
        """Numbers whose phones send no delivery receipts."""
        self._accounts = accounts
        self._contacts = contacts
        self._lists = lists
        self._fanout = fanout

    def read(self, account: Account, stanza: Node) -> None:
        """Take a message as the account's phone."""
        sender = author_of(stanza)
        author = self._accounts.find(sender)
        encrypted = list(stanza.all("enc"))
        if sender is None or author is None or not encrypted:
            return
        for enc in encrypted:
            try:
                plain = self._open(account, peer_name(author, sender.device), stanza, enc)
                self._take(account, author, stanza, enc.text("type"), plain)
            except Duplicate:
                continue
            except OldCounter as error:  # real clients throw it away, and confirm it below
                self._fail(account, sender, stanza, error)
            except SignalError as error:
                self._fail(account, sender, stanza, error)
                self._ask_again(account, stanza, enc)
                return
        if author is not account and account.phone not in self.silent:
            self._answer(account, stanza, Node("receipt", {"id": stanza.text("id")}))

    def _open(self, account: Account, peer: str, stanza: Node, enc: Node) -> bytes:
        contact = self._contacts.of(account)
        if enc.text("type") == "skmsg":
            plain = contact.decrypt_from_group(stanza.text("from"), peer, enc.data)
        else:
            kind: Type = "pkmsg" if enc.text("type") == "pkmsg" else "msg"
            plain = contact.decrypt(peer, kind, enc.data)
        self._contacts.save(account)
        return plain

    def _take(
        self, account: Account, author: Account, stanza: Node, sealed: str, plain: bytes
    ) -> None:
        sender = author_of(stanza) or author.lid_jid
        text = read_message(plain)
        if text.sender_key:
            peer = peer_name(author, sender.device)
            self._contacts.of(account).learn_sender_key(
                text.sender_key_group, peer, text.sender_key
            )
            self._contacts.save(account)
        if text.sender_key and not text.kind:
            return
        chat = stanza.jid("from")
        group = str(chat) if chat is not None and chat.server == GROUP_SERVER else ""
        name = COPIES if author is account else INBOX
        item = text_item(sender, author, text, group, sealed)
        self._lists.add(account, name, stanza.text("id"), item)

    def _ask_again(self, account: Account, stanza: Node, enc: Node) -> None:
        count = int(enc.text("count") or 0) + 1
        if count > _MAX_RETRIES:
            return
        keys = bundle_nodes(self._contacts.of(account).bundle())
        self._contacts.save(account)
        message_id = stanza.text("id")
        retry = {"count": str(count), "id": message_id, "t": stanza.text("t"), "v": "1"}
        content = [Node("retry", retry), keys[0], Node("keys", {}, keys[1:])]
        receipt = Node("receipt", {"id": message_id, "type": "retry"}, content)
        self._answer(account, stanza, receipt)

    def _answer(self, account: Account, stanza: Node, receipt: Node) -> None:
        to = stanza.jid("from")
        attrs: dict[str, Value] = dict(receipt.attrs)
        if "participant" in stanza.attrs:
            attrs["participant"] = stanza.attrs["participant"]
        if to is not None:
            self._fanout.pass_receipt(account, 0, to, Node("receipt", attrs, receipt.content))

    def _fail(self, account: Account, sender: Jid, stanza: Node, error: SignalError) -> None:
        item = {"from": str(sender), "error": type(error).__name__}
        self._lists.add(account, FAILURES, stanza.text("id"), item)


def author_of(stanza: Node) -> Jid | None:
    """The device that a stanza comes from, in a group or not."""
    return stanza.jid("participant") or stanza.jid("from")


def text_item(
    sender: Jid, author: Account, text: Text, group: str, sealed: str = ""
) -> dict[str, object]:
    """A text as it is listed."""
    return {
        "from": str(sender),
        "phone": author.phone,
        "name": author.name,
        "text": text.text,
        "kind": text.kind,
        "to": text.destination,
        "group": group,
        "sealed": sealed,
    }
