"""Cursors."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.core.errors import FieldInvalid
from server.events.cursor import Cursor, Epoch, Epochs, format_cursor, parse_cursor

A, B, C = b"aaaaaaaa", b"bbbbbbbb", b"cccccccc"


@given(
    st.builds(
        Cursor,
        token=st.binary(min_size=8, max_size=8),
        position=st.integers(0, 2**63 - 1),
        in_snapshot=st.booleans(),
    )
)
def test_a_cursor_reads_back_as_it_was_written(cursor):
    """Formatting and parsing are inverse."""
    assert parse_cursor(format_cursor(cursor)) == cursor


@given(st.text(max_size=60) | st.binary(max_size=40).map(lambda b: base64.b64encode(b).decode()))
def test_anything_else_is_malformed(text):
    """Foreign text is never taken for a cursor and never raises another error."""
    with pytest.raises(FieldInvalid) as error:
        parse_cursor(text)
    assert error.value.field == "after_cursor"


def test_every_changed_character_is_found():
    """The checksum covers the whole cursor; there is one spelling of each."""
    text = format_cursor(Cursor(token=A, position=12345))
    for index, character in enumerate(text):
        other = "A" if character != "A" else "B"
        with pytest.raises(FieldInvalid):
            parse_cursor(text[:index] + other + text[index + 1 :])
    for spelling in (text + "=", text + "==", " " + text, text + "\n"):
        with pytest.raises(FieldInvalid):
            parse_cursor(spelling)


EPOCHS = Epochs([Epoch(token=A, base=0), Epoch(token=B, base=100), Epoch(token=C, base=100)])


@pytest.mark.parametrize(
    ("token", "position", "known"),
    [
        (A, 0, True),
        (A, 100, True),
        (A, 101, False),  # the database was put back: this position was given out twice
        (B, 99, False),
        (B, 100, True),
        (B, 101, False),
        (C, 100, True),
        (C, 150, True),
        (C, 151, False),  # ahead of the head
        (b"dddddddd", 10, False),  # an epoch that was lost with the database
    ],
)
def test_a_cursor_belongs_to_the_epoch_that_gave_it_out(token, position, known):
    """Only positions of this log's own history are known."""
    assert EPOCHS.know(Cursor(token=token, position=position), head=150) is known


@pytest.mark.parametrize(("position", "token"), [(0, A), (99, A), (100, C), (150, C)])
def test_a_position_is_given_out_in_its_epoch(position, token):
    """So that the cursor stays valid in later epochs."""
    cursor = EPOCHS.cursor(position)
    assert cursor.token == token
    assert EPOCHS.know(cursor, head=150)
