"""Whom a message goes to: what callers may write, and the JID it means."""

import re
from dataclasses import dataclass

from server.core.errors import FieldInvalid

_PHONE = re.compile(r"\+([1-9][0-9]{6,14})")
_JIDS = (
    re.compile(r"[1-9][0-9]{6,14}@s\.whatsapp\.net"),
    re.compile(r"[0-9]{5,20}@lid"),
    re.compile(r"[0-9]{10,20}(-[0-9]{5,15})?@g\.us"),
)


@dataclass(frozen=True, slots=True)
class Recipient:
    """A JID without device part."""

    jid: str

    @classmethod
    def parse(cls, text: str, field: str = "recipient") -> "Recipient":
        """Takes an E.164 number with `+`, or a person's or group's JID; raises FieldInvalid."""
        if phone := _PHONE.fullmatch(text):
            return cls(f"{phone[1]}@s.whatsapp.net")
        if any(jid.fullmatch(text) for jid in _JIDS):
            return cls(text)
        raise FieldInvalid(
            field=field,
            problem="must be an E.164 number such as +15551234567, or a phone number, LID or group "
            "JID without device part",
        )


def parse_phone(text: str, field: str) -> str:
    """The digits of an E.164 number with `+`; raises FieldInvalid."""
    if phone := _PHONE.fullmatch(text):
        return phone[1]
    raise FieldInvalid(field=field, problem="must be an E.164 number such as +15551234567")
