"""Events as bytes."""

import msgspec
import pytest

from server.engine.base import Account
from server.events.stored import KINDS, TYPES, EventKind, decode, encode
from server.sessions.model import (
    BackupChanged,
    Condition,
    DesiredState,
    SessionChanged,
    State,
    UserAction,
)
from tests.support.builders import (
    ANN,
    make_backup,
    make_message,
    make_raw,
    make_receipt,
    make_session,
)
from tests.support.clock import START

FULL = make_session(
    state=State.BACKING_OFF,
    desired=DesiredState.RUNNING,
    condition=Condition(reason="R", message="m", user_action=UserAction.WAIT, engine_code="402"),
    account=ANN,
    display_name="Grüße 🦉",
    labels={"a": "b", "": "\n"},
    proxy_url="socks5://u:p@h:1",
    next_attempt_time=START,
    delete_time=START,
    purge_time=START,
    store_epoch=3,
    last_store_epoch=4,
    connect_epoch=2**40,
    clean_epoch=7,
)
BODIES = [
    SessionChanged(session=make_session()),
    SessionChanged(session=FULL),
    make_message(text="Grüße 🦉\x00", raw=bytes(range(256)), undecryptable=True, group=True),
    make_receipt(),
    make_raw(payload=b""),
    BackupChanged(backup=make_backup()),
]


@pytest.mark.parametrize("body", BODIES)
def test_an_event_reads_back_as_it_was_written(body):
    """Every kind, every field."""
    assert decode(KINDS[type(body)], encode(body)) == body


def test_every_kind_has_one_type():
    """A new kind of event cannot be forgotten here."""
    assert set(TYPES) == set(EventKind)
    assert {type(body) for body in BODIES} == set(KINDS)


def test_an_event_of_an_older_server_gets_the_defaults_of_newer_fields():
    """Fields may be added to events that are already in a log."""
    old = msgspec.msgpack.decode(encode(make_message()))
    del old["undecryptable"]
    old["gone"] = 1
    assert decode(EventKind.MESSAGE, msgspec.msgpack.encode(old)) == make_message()


def test_an_event_that_is_no_text_is_refused():
    """A lone surrogate fails its own caller, before it can fail a commit that others share."""
    with pytest.raises(UnicodeEncodeError):
        encode(make_message(text="\ud800"))


def test_an_account_reads_back(tmp_path):
    """The account's device number is part of it."""
    data = msgspec.json.encode(ANN)
    assert msgspec.json.decode(data, type=Account) == ANN
