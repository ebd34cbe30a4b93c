"""Addresses of users, devices and servers."""

from dataclasses import dataclass, replace

PN_SERVER = "s.whatsapp.net"
LID_SERVER = "lid"
GROUP_SERVER = "g.us"

SERVERS_BY_DOMAIN = {0: PN_SERVER, 1: LID_SERVER, 128: "hosted", 129: "hosted.lid"}
"""What the domain byte of a device address on the wire means."""
DOMAINS_BY_SERVER = {server: domain for domain, server in SERVERS_BY_DOMAIN.items()}


@dataclass(frozen=True, slots=True)
class Jid:
    """`user:device@server`; device 0 is the phone, and also stands for the whole user."""

    user: str
    server: str
    device: int = 0

    @classmethod
    def parse(cls, text: str) -> "Jid":
        """The address written as `text`.

        Raises:
            ValueError: `text` is not an address.
        """
        left, at, server = text.rpartition("@")
        user, _, device = left.partition(":")
        if not at or not server or (device and not device.isdigit()):
            raise ValueError("not a JID")
        return cls(user, server, int(device or 0))

    def bare(self) -> "Jid":
        """The user, whatever the device."""
        return self if not self.device else replace(self, device=0)

    def on(self, device: int) -> "Jid":
        """The same user's device with that number."""
        return replace(self, device=device)

    def __str__(self) -> str:
        user = f"{self.user}:{self.device}" if self.device else self.user
        return f"{user}@{self.server}" if user else self.server


SERVER = Jid("", PN_SERVER)
"""The service itself."""
