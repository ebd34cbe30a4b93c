"""Whom a message goes to."""

import re
from dataclasses import dataclass
from typing import Self

from server.core.errors import FieldInvalid

# E.164: at most 15 digits with the country code, which never begins with 0.
_PHONE = re.compile(r"\+([1-9][0-9]{6,14})", re.ASCII)
_JID = re.compile(
    r"[1-9][0-9]{6,14}@s\.whatsapp\.net"  # a person by phone number
    r"|[1-9][0-9]{4,19}@lid"  # a person by LID
    r"|[1-9][0-9]{4,24}(-[0-9]{6,12})?@g\.us",  # a group
    re.ASCII,
)


def parse_phone(text: str, field: str) -> str:
    """The digits of an E.164 number like `+15551234567`; raises FieldInvalid."""
    match = _PHONE.fullmatch(text)
    if not match:
        problem = "must be an E.164 phone number: + and 7 to 15 digits, nothing between them"
        raise FieldInvalid(field=field, problem=problem)
    return match[1]


@dataclass(frozen=True, slots=True)
class Recipient:
    """A person or a group, as a JID without device part."""

    jid: str

    @classmethod
    def parse(cls, text: str, field: str = "recipient") -> Self:
        """Takes an E.164 number, a phone number JID, a LID JID or a group JID.

        Raises FieldInvalid. Whether such an account exists is not known before sending.
        """
        if "@" not in text:
            return cls(f"{parse_phone(text, field)}@s.whatsapp.net")
        if not _JID.fullmatch(text):
            problem = (
                "must be an E.164 phone number or a JID of the form digits@s.whatsapp.net, "
                "digits@lid or digits@g.us"
            )
            raise FieldInvalid(field=field, problem=problem)
        return cls(text)
