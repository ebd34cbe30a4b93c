"""What can be made to go wrong, and when it strikes.

A fault either strikes the connections there are (`POINTS[kind] is Point.NOW`), or is armed
and waits for the next occasion of its point: the next dial, the next login, and so on.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from .errors import RequestInvalid


class Point(StrEnum):
    """The occasions at which an armed fault strikes."""

    NOW = "now"
    TUNNEL = "tunnel"
    DIAL = "dial"
    HANDSHAKE = "handshake"
    REGISTRATION = "registration"
    PAIRING = "pairing"
    LOGIN = "login"
    SEND = "send"
    DELIVERY = "delivery"


POINTS: Mapping[str, Point] = {
    "reset": Point.NOW,
    "close": Point.NOW,
    "stream_error": Point.NOW,
    "replaced": Point.NOW,
    "device_removed": Point.NOW,
    "silence": Point.NOW,
    "tunnel_refused": Point.TUNNEL,
    "http_status": Point.DIAL,
    "handshake_untrusted": Point.HANDSHAKE,
    "handshake_silence": Point.HANDSHAKE,
    "handshake_reset": Point.HANDSHAKE,
    "registration_failure": Point.REGISTRATION,
    "registration_reset": Point.REGISTRATION,
    "pairing_hmac_mismatch": Point.PAIRING,
    "pairing_signature_mismatch": Point.PAIRING,
    "pairing_reset": Point.PAIRING,
    "pairing_close": Point.PAIRING,
    "login_failure": Point.LOGIN,
    "login_silence": Point.LOGIN,
    "login_reset": Point.LOGIN,
    "send_ignored": Point.SEND,
    "send_refused": Point.SEND,
    "delivery_late": Point.DELIVERY,
}
"""Every kind and its point."""


@dataclass(slots=True)
class Fault:
    """One armed fault."""

    id: int
    kind: str
    phone: str | None
    """The account it is for; None strikes whoever comes."""
    args: Mapping[str, str | int | float] = field(default_factory=dict)
    times: int | None = 1
    """How often it strikes yet; None until it is cleared."""

    def number(self, name: str, default: int) -> int:
        """A whole number among the arguments."""
        value = self.args.get(name, default)
        if not isinstance(value, int):
            raise RequestInvalid(name)
        return value

    def attributes(self, *names: str) -> dict[str, str]:
        """Those arguments that were given, as attributes of a stanza."""
        return {name: str(self.args[name]) for name in names if name in self.args}


class Faults:
    """The armed faults."""

    def __init__(self) -> None:
        self._armed: list[Fault] = []
        self._ids = itertools.count(1)

    def __iter__(self) -> "itertools.chain[Fault]":
        return itertools.chain(self._armed)

    def arm(
        self,
        kind: str,
        phone: str | None = None,
        args: Mapping[str, str | int | float] | None = None,
        times: int | None = 1,
    ) -> Fault:
        """Let a fault wait for its occasion.

        Raises:
            RequestInvalid: there is no such kind.
        """
        if kind not in POINTS:
            raise RequestInvalid(f"fault kind {kind!r}")
        fault = Fault(next(self._ids), kind, phone, args or {}, times)
        if POINTS[kind] is not Point.NOW:
            self._armed.append(fault)
        return fault

    def take(self, point: Point, phone: str | None = None) -> Fault | None:
        """The fault that strikes at this occasion, once less from now on."""
        for fault in self._armed:
            if POINTS[fault.kind] is point and fault.phone in (None, phone):
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        self._armed.remove(fault)
                return fault
        return None

    def clear(self, phone: str | None = None) -> None:
        """Disarm every fault, or those for one account."""
        self._armed = [f for f in self._armed if phone is not None and f.phone != phone]
