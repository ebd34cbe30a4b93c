"""A WhatsApp account as a test handles it: the user with the phone in hand."""

from dataclasses import dataclass
from typing import Any

from .client_api import Api


@dataclass(frozen=True, slots=True)
class LinkedDevice:
    """A companion device of an account."""

    number: int
    jid: str
    lid: str
    linked_at: int


@dataclass(frozen=True, slots=True)
class Message:
    """A text that has come to a phone, read."""

    position: int
    """Its place among all that has come; pass the last to wait for more."""
    id: str
    sender: str
    """The device that wrote it, by hidden address."""
    phone: str
    """Whose number that is."""
    text: str
    """Empty if it is no text."""
    kind: str
    """What it is, by the name of the field in WhatsApp's protobuf."""
    to: str
    """The chat, of a copy of what an own device has sent."""
    group: str = ""
    """The group's address, if it was written in one."""
    sealed: str = ""
    """How it was encrypted: `msg`, `pkmsg` (which starts a session), or `skmsg` in groups. Empty
    for what another phone has written: phones hand that over directly."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group that accounts can write to each other in."""

    jid: str
    name: str
    members: tuple[str, ...]
    """Phone numbers."""
    addressing_mode: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a device did with texts of the account."""

    position: int
    ids: tuple[str, ...]
    type: str
    """`delivered`, `inactive` (delivered, without a tick), `read`, `retry`..."""
    sender: str
    """The device, by hidden address."""
    phone: str
    """Whose number that is."""


class Phone:
    """The phone of one account."""

    def __init__(self, api: Api, state: dict[str, Any]) -> None:
        self._api = api
        self.phone: str = state["phone"]
        """The number, digits only."""
        self.name: str = state["name"]
        self.jid: str = state["jid"]
        """Its address by number."""
        self.lid: str = state["lid"]
        """Its hidden address, which is what devices see."""

    def scan(self, qr: str) -> LinkedDevice:
        """Point the camera at a client's QR code and confirm.

        Raises:
            QrMalformed, QrExpired: it is not a code that a client shows now.
            PairingRefused, ClientLost: the client did not go along.
        """
        return LinkedDevice(**self._api.post("accounts", self.phone, "scan", qr=qr))

    def enter_code(self, code: str) -> LinkedDevice:
        """Type the pairing code that a client shows.

        Raises:
            NoCodeRequested: no client shows one for this number.
            WrongCode: it shows another.
            PairingRefused, ClientLost: the client did not go along.
        """
        return LinkedDevice(**self._api.post("accounts", self.phone, "code", code=code))

    def devices(self) -> list[LinkedDevice]:
        """The linked devices."""
        state = self._api.get("accounts", self.phone)
        return [LinkedDevice(**device) for device in state["devices"]]

    def remove_device(self, device: LinkedDevice | str) -> None:
        """Log a linked device out; it is told so at once if it is online.

        Args:
            device: The device, or its address.

        Raises:
            DeviceNotFound: it is not linked.
        """
        jid = device if isinstance(device, str) else device.jid
        number = jid.partition("@")[0].partition(":")[2]
        self._api.delete("accounts", self.phone, "devices", number or "0")

    def send_text(self, to: "Phone | str", text: str) -> str:
        """Write to somebody; the message's id.

        Args:
            to: A phone, a number or an address.
            text: What.

        Raises:
            AccountNotFound: nobody has that number.
        """
        address = to.phone if isinstance(to, Phone) else to
        sent = self._api.post("accounts", self.phone, "messages", to=address, text=text)
        return str(sent["id"])

    def send_group_text(self, group: Group | str, text: str) -> str:
        """Write to a group; the message's id.

        Raises:
            GroupNotFound: the account is in no such group.
        """
        return self.send_text(group.jid if isinstance(group, Group) else group, text)

    def inbox(self, count: int = 0, *, after: int = 0, timeout: float = 10.0) -> list[Message]:
        """What others have written, oldest first, once there are `count`.

        Args:
            count: How many to wait for.
            after: Leave out what came up to this position.
            timeout: Seconds to wait.

        Raises:
            NothingCame: there were not as many in time.
        """
        return [_message(item) for item in self._list("inbox", count, after, timeout)]

    def copies(self, count: int = 0, *, after: int = 0, timeout: float = 10.0) -> list[Message]:
        """What the account's own linked devices have sent; otherwise as `inbox`."""
        return [_message(item) for item in self._list("copies", count, after, timeout)]

    def receipts(self, count: int = 0, *, after: int = 0, timeout: float = 10.0) -> list[Receipt]:
        """What others have done with the account's texts; otherwise as `inbox`."""
        return [
            Receipt(item["position"], tuple(item["ids"]), item["type"], item["from"], item["phone"])
            for item in self._list("receipts", count, after, timeout)
        ]

    def failures(self, count: int = 0, *, after: int = 0, timeout: float = 10.0) -> list[str]:
        """Why texts could not be read, by the name of the error; otherwise as `inbox`."""
        return [item["error"] for item in self._list("failures", count, after, timeout)]

    def identity_changes(self) -> list[str]:
        """Devices that wrote with another identity than before: "security code changed"."""
        found: list[str] = self._api.get("accounts", self.phone, "identity-changes")
        return found

    def send_receipt(self, message: Message | str, type: str = "read") -> None:  # noqa: A002
        """Tell the author of a text in the inbox what happened to it.

        Args:
            message: The text, or its id.
            type: `read`, `played`...; empty for "delivered".

        Raises:
            MessageNotFound: no such text has come.
        """
        message_id = message if isinstance(message, str) else message.id
        self._api.post("accounts", self.phone, "receipts", id=message_id, type=type)

    def set_delivery_receipts(self, *, wanted: bool) -> None:
        """Whether the phone confirms texts by itself, as it does at first."""
        self._api.patch("accounts", self.phone, delivery_receipts=wanted)

    def _list(self, name: str, count: int, after: int, timeout: float) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._api.get(
            "accounts", self.phone, name, count=count, after=after, timeout=timeout
        )
        return found


def _message(item: dict[str, Any]) -> Message:
    return Message(
        position=item["position"],
        id=item["id"],
        sender=item["from"],
        phone=item["phone"],
        text=item["text"],
        kind=item["kind"],
        to=item["to"],
        group=item["group"],
        sealed=item["sealed"],
    )
