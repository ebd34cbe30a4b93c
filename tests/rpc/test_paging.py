"""Page tokens."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from roost.v1.backup_service_pb2 import ListBackupsRequest
from roost.v1.session_service_pb2 import ListSessionsRequest

from server.core.errors import FieldInvalid, PageTokenMismatch
from server.rpc.paging import page_of


@pytest.mark.parametrize(("wanted", "size"), [(0, 50), (1, 1), (500, 500), (100_000, 500)])
def test_sizes(wanted, size):
    """None is 50; too many is 500."""
    assert page_of(ListSessionsRequest(page_size=wanted)).size == size


def test_a_negative_size_is_refused():
    """AIP-158."""
    with pytest.raises(FieldInvalid) as error:
        page_of(ListSessionsRequest(page_size=-1))
    assert error.value.field == "page_size"


@given(st.text(max_size=80))
def test_a_token_goes_on_where_it_was_made(position):
    """Whatever the position holds."""
    token = page_of(ListSessionsRequest(states=[4])).next_token(position)
    page = page_of(ListSessionsRequest(states=[4], page_token=token, page_size=7))
    assert (page.after, page.size) == (position, 7)


def test_a_token_belongs_to_its_query():
    """Other filters or another method would skip or repeat items."""
    token = page_of(ListSessionsRequest(states=[4])).next_token("sessions/a")
    for other in (
        ListSessionsRequest(page_token=token),
        ListSessionsRequest(states=[4], show_deleted=True, page_token=token),
        ListBackupsRequest(parent="sessions/-", page_token=token),
    ):
        with pytest.raises(PageTokenMismatch):
            page_of(other)


def test_the_last_page_has_no_token():
    """One item more than the page is fetched, to know."""
    page = page_of(ListSessionsRequest(page_size=2))
    assert page.look_ahead == 3
    assert page.cut(["a", "b"], str) == (["a", "b"], "")
    items, token = page.cut(["a", "b", "c"], str)
    assert items == ["a", "b"]
    assert page_of(ListSessionsRequest(page_size=2, page_token=token)).after == "b"


def forged(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "....",
        "é",
        "A" * 1000,
        forged([]),
        forged({}),
        forged(["1", 2, "a"]),
        forged(["0", "", ""]),
    ],
)
def test_a_made_up_token_is_a_bad_field(token):
    """Not a crash."""
    with pytest.raises(FieldInvalid) as error:
        page_of(ListSessionsRequest(page_token=token))
    assert error.value.field == "page_token"
