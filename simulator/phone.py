"""A WhatsApp account as a test handles it: the user with the phone in hand."""

from dataclasses import dataclass
from typing import Any

from .api import Api


@dataclass(frozen=True, slots=True)
class LinkedDevice:
    """A companion device of an account."""

    number: int
    jid: str
    lid: str
    linked_at: int


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
