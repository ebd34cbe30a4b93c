"""Whom a message goes to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.core.errors import FieldInvalid
from server.sessions.recipient import Recipient, parse_phone


@pytest.mark.parametrize(
    ("text", "jid"),
    [
        ("+15551234567", "15551234567@s.whatsapp.net"),
        ("+4915112345678", "4915112345678@s.whatsapp.net"),
        ("15551234567@s.whatsapp.net", "15551234567@s.whatsapp.net"),
        ("123456789012345@lid", "123456789012345@lid"),
        ("120363012345678901@g.us", "120363012345678901@g.us"),
        ("15551234567-1400000000@g.us", "15551234567-1400000000@g.us"),
    ],
)
def test_numbers_and_jids_become_jids(text, jid):
    """A number is a person; JIDs stay as they are."""
    assert Recipient.parse(text) == Recipient(jid)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "15551234567",
        "+0155512345",
        "+1555",
        "+1234567890123456",
        "+1 555 123 4567",
        "+1555123456a",
        "+\uff11\uff15\uff15\uff15\uff11\uff12\uff13\uff14",
        "+15551234567\n",
        "@s.whatsapp.net",
        "15551234567:3@s.whatsapp.net",
        "15551234567.0:1@s.whatsapp.net",
        "15551234567@c.us",
        "15551234567@s.whatsapp.net ",
        "15551234567@S.WHATSAPP.NET",
        "a@lid",
        "status@broadcast",
        "+15551234567@s.whatsapp.net",
    ],
)
def test_anything_else_is_refused_by_its_field(text):
    """Before an engine sees it."""
    with pytest.raises(FieldInvalid) as error:
        Recipient.parse(text, "recipient")
    assert error.value.violations[0].field == "recipient"


@given(st.text())
def test_no_text_breaks_the_parser(text):
    """Whatever is typed is refused, or is a JID of a known form."""
    try:
        found = Recipient.parse(text).jid
    except FieldInvalid:
        found = "@lid"
    assert found.endswith(("@s.whatsapp.net", "@lid", "@g.us"))


def test_a_phone_number_for_a_pairing_code():
    """Digits only, as the engine wants them."""
    assert parse_phone("+15551234567", "phone.phone_number") == "15551234567"
    with pytest.raises(FieldInvalid) as error:
        parse_phone("15551234567", "phone.phone_number")
    assert error.value.violations[0].field == "phone.phone_number"
