"""How a phone writes: a session with every linked device, a sender key for every group."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from .accounts import Account, Accounts
from .bundles import Bundles, read_bundle
from .contacts import Contacts
from .fanout import Fanout, envelope, group_envelope
from .groups import Group, Groups
from .lists import SENT, Lists
from .signal.messages import Ciphertext
from .texts import report_message, sender_key_message, text_message
from .wire.jid import LID_SERVER, Jid
from .wire.nodes import Node, Value


@dataclass(frozen=True, slots=True)
class Sent:
    """A text that a phone has sent."""

    chat: str
    text: str


class Writer:
    """Encrypts what phones say, for every device on its own."""

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
        self._contacts = contacts
        self._bundles = bundles
        self._lists = lists
        self._fanout = fanout

    def to_account(self, account: Account, target: Account, message_id: str, text: str) -> None:
        """Write to the linked devices of an account, and to the own ones."""
        sent = self._remember(account, target.lid_jid, message_id, text)
        both = [target] if target is account else [target, account]
        for reader in both:
            for number in reader.devices:
                self._to_device(account, reader, number, message_id, sent)

    def to_group(self, account: Account, group: Group, message_id: str, text: str) -> None:
        """Write to the linked devices of all members, the own ones too."""
        self._remember(account, group.jid, message_id, text)
        contact = self._contacts.of(account)
        name = str(group.jid)
        devices = {
            peer_name(member, number): (member, number)
            for member in self._groups.members(group)
            for number in member.devices
        }
        without_key = contact.hand_out_sender_key(name, devices)
        key = sender_key_message(name, contact.sender_key(name))
        shared = _enc(contact.encrypt_for_group(name, text_message(text)))
        self._contacts.save(account)
        attrs = {**group_envelope(group, account, 0, message_id), "type": "text"}
        for peer, (member, number) in devices.items():
            own = [_enc(self._seal(account, member, number, key))] if peer in without_key else []
            self._fanout.deliver(member, number, Node("message", attrs, [*own, shared]))

    def again(self, account: Account, reader: Account, number: int, request: Node) -> None:
        """Answer a device that could not read a text; nothing if the phone never wrote it."""
        message_id = request.text("id")
        found = self._lists.latest(account, SENT, message_id)
        if found is None:
            return
        sent = msgspec.json.decode(found, type=Sent)
        group = self._groups.find(Jid.parse(sent.chat))
        if group is None:
            self._to_device(account, reader, number, message_id, sent, request=request)
            return
        distribution = self._contacts.of(account).sender_key(sent.chat)
        plain = sender_key_message(sent.chat, distribution, sent.text)
        sealed = self._seal(account, reader, number, plain, request)
        attrs = {**group_envelope(group, account, 0, message_id), "type": "text"}
        message = Node("message", attrs, [_enc(sealed, _count(request))])
        self._fanout.deliver(reader, number, message)

    def _remember(self, account: Account, chat: Jid, message_id: str, text: str) -> Sent:
        sent = Sent(str(chat), text)
        self._lists.add(account, SENT, message_id, {"chat": sent.chat, "text": sent.text})
        return sent

    def _to_device(
        self,
        account: Account,
        target: Account,
        number: int,
        message_id: str,
        sent: Sent,
        *,
        request: Node | None = None,
    ) -> None:
        own = target is account and sent.chat != str(account.lid_jid)
        plain = report_message(sent.chat, sent.text) if own else text_message(sent.text)
        sealed = self._seal(account, target, number, plain, request)
        chat = Jid.parse(sent.chat)
        envelope_: Mapping[str, Value] = envelope(account, 0, target, chat, message_id)
        attrs = {**envelope_, "type": "text"}
        if own and (reader := self._accounts.find(chat)) is not None:
            attrs["peer_recipient_pn"] = reader.jid
        message = Node("message", attrs, [_enc(sealed, _count(request))])
        self._fanout.deliver(target, number, message)

    def _seal(
        self,
        account: Account,
        target: Account,
        number: int,
        plain: bytes,
        request: Node | None = None,
    ) -> Ciphertext:
        """Encrypt for one linked device; with the keys in its request a session begins anew."""
        contact = self._contacts.of(account)
        peer = peer_name(target, number)
        bundle = read_bundle(request) if request is not None else None
        if bundle is None and not contact.has_session(peer):
            bundle = self._bundles.take(target, number)
        sealed = contact.encrypt(peer, bundle, plain)
        self._contacts.save(account)
        return sealed


def peer_name(account: Account, number: int) -> str:
    """One name for a device, however a stanza addresses it."""
    return str(Jid(account.lid, LID_SERVER, number))


def _count(request: Node | None) -> str:
    retry = request.child("retry") if request is not None else None
    return retry.text("count") if retry is not None else ""


def _enc(sealed: Ciphertext, count: str = "") -> Node:
    attrs = {"v": "2", "type": sealed.type}
    return Node("enc", {**attrs, "count": count} if count else attrs, sealed.data)
