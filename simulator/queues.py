"""What devices still have to receive: kept until they answer, sent again at every login."""

from .accounts import Device
from .connection import Connection, Stage
from .faults import Faults, Point
from .logins import Logins
from .store import Store
from .wire.jid import SERVER
from .wire.nodes import Codec, Node

_KINDS = ("message", "notification", "receipt")


class Queues:
    """One queue per linked device."""

    def __init__(self, store: Store, logins: Logins, codec: Codec, faults: Faults) -> None:
        self._store = store
        self._logins = logins
        self._codec = codec
        self._faults = faults

    def push(self, device: Device, stanza: Node) -> None:
        """Send a stanza now if the device is online, and until it has answered."""
        self._store.enqueue(*device.key, _key(stanza, "from"), self._codec.encode(stanza))
        connection = self._logins.online(device)
        if connection is None:
            return
        if stanza.tag == "message" and self._faults.take(Point.DELIVERY, device.phone):
            return  # it comes with the next login, after those that were sent later
        connection.post(stanza)

    def answered(self, device: Device, kind: str, answer: Node) -> bool:
        """The device has dealt with a stanza of that kind; False if it had none such."""
        return self._store.dequeue(*device.key, _key(answer, "to", kind))

    def waiting(self, device: Device) -> int:
        """How many stanzas the device has not answered."""
        return len(self._store.queued(*device.key))

    def open(self, connection: Connection) -> None:
        """The device takes stanzas from now on: send what it has missed."""
        connection.stage = Stage.ACTIVE
        device = connection.device
        if device is None:
            return
        missed = [self._codec.decode(data) for data in self._store.queued(*device.key)]
        if missed:
            count = {kind: sum(node.tag == kind for node in missed) for kind in _KINDS}
            attrs = {kind: str(number) for kind, number in count.items()}
            attrs |= {"count": str(len(missed)), "appdata": "0"}
            connection.post(Node("ib", {"from": SERVER}, [Node("offline_preview", attrs)]))
        for number, node in enumerate(missed):
            connection.post(Node(node.tag, {**node.attrs, "offline": str(number)}, node.content))
        end = Node("offline", {"count": str(len(missed))})
        connection.post(Node("ib", {"from": SERVER}, [end]))


def _key(stanza: Node, address: str, kind: str = "") -> str:
    """What a stanza and the answer to it have in common."""
    kind = kind or stanza.tag
    variant = stanza.text("type") if kind != "message" else ""
    participant = stanza.text("participant")
    return "|".join((kind, stanza.text("id"), stanza.text(address), participant, variant))
