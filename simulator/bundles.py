"""Prekey bundles: what one device needs to start a Signal session with another."""

from dataclasses import replace

from .accounts import Account, Device
from .contacts import Contacts
from .signal.keys import KEY_TYPE, PreKeyBundle
from .store import Store
from .wire.nodes import Node


class Bundles:
    """Hands out the keys of every device, a one-time key never twice."""

    def __init__(self, store: Store, contacts: Contacts) -> None:
        self._store = store
        self._contacts = contacts

    def take(self, account: Account, number: int) -> PreKeyBundle | None:
        """A bundle of one device; device 0 is the phone."""
        if not number:
            bundle = self._contacts.of(account).bundle()
            self._contacts.save(account)
            return bundle
        device = account.devices.get(number)
        if device is None:
            return None
        key_id, public = self._store.take_prekey(*device.key) or (None, None)
        return replace(device.bundle, prekey_id=key_id, prekey=public)

    def count(self, device: Device) -> int:
        """How many one-time keys a device has left here."""
        return self._store.count_prekeys(*device.key)

    def digest(self, device: Device) -> list[Node]:
        """All keys of a device as they are known here, for it to compare with its own."""
        ids = [key_id.to_bytes(3) for key_id in self._store.prekey_ids(*device.key)]
        listed = Node("list", {}, [Node("id", {}, key_id) for key_id in ids])
        return [*bundle_nodes(device.bundle), listed]

    def accept(self, device: Device, upload: Node) -> bool:
        """Take what a device uploads; False if it is no set of keys."""
        listed = upload.child("list")
        bundle = read_bundle(upload)
        if listed is None or bundle is None:
            return False
        device.bundle = bundle
        keys = ((_number(key, "id"), key.child_data("value")) for key in listed.all("key"))
        self._store.add_prekeys(*device.key, keys)
        return True


def bundle_nodes(bundle: PreKeyBundle) -> list[Node]:
    """A bundle as the parts of a stanza."""
    nodes = [
        Node("registration", {}, bundle.registration_id.to_bytes(4)),
        Node("type", {}, KEY_TYPE),
        Node("identity", {}, bundle.identity_key),
    ]
    if bundle.prekey_id is not None and bundle.prekey is not None:
        nodes.append(Node("key", {}, _key(bundle.prekey_id, bundle.prekey)))
    signed = _key(bundle.signed_prekey_id, bundle.signed_prekey)
    signature = Node("signature", {}, bundle.signed_prekey_signature)
    nodes.append(Node("skey", {}, [*signed, signature]))
    return nodes


def read_bundle(node: Node) -> PreKeyBundle | None:
    """The bundle whose parts are in a stanza, or below `keys` in it, as in retry receipts."""
    keys = node.child("keys") or node
    signed = keys.child("skey")
    one_time = keys.child("key")
    if signed is None or not keys.child_data("identity"):
        return None
    return PreKeyBundle(
        registration_id=_number(node, "registration"),
        identity_key=keys.child_data("identity"),
        signed_prekey_id=_number(signed, "id"),
        signed_prekey=signed.child_data("value"),
        signed_prekey_signature=signed.child_data("signature"),
        prekey_id=_number(one_time, "id") if one_time else None,
        prekey=one_time.child_data("value") if one_time else None,
    )


def _key(key_id: int, public: bytes) -> list[Node]:
    return [Node("id", {}, key_id.to_bytes(3)), Node("value", {}, public)]


def _number(node: Node, tag: str) -> int:
    return int.from_bytes(node.child_data(tag))
