"""Page sizes and page tokens (AIP-158)."""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import Message

from server.core.errors import FieldInvalid, PageTokenMismatch

T = TypeVar("T")
DEFAULT_SIZE = 50
LARGEST_SIZE = 500
_VERSION = "1"


@dataclass(frozen=True, slots=True)
class Page:
    """Which page is wanted: at most `size` items behind `after` (empty: the first)."""

    size: int
    after: str
    _query: str

    @property
    def look_ahead(self) -> int:
        """How many items to fetch: one more than the page holds tells whether there is another."""
        return self.size + 1

    def cut(self, found: Sequence[T], position: Callable[[T], str]) -> tuple[Sequence[T], str]:
        """The page of what was fetched with `look_ahead`, and the token of the next page."""
        if len(found) <= self.size:
            return found, ""
        return found[: self.size], self.next_token(position(found[self.size - 1]))

    def next_token(self, last: str) -> str:
        """The token that goes on after the item at `last`."""
        text = json.dumps([_VERSION, self._query, last], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def page_of(request: Message) -> Page:
    """Reads `page_size` and `page_token` of a List request; every other field is its query.

    Raises:
        FieldInvalid: negative size, or a token that this server never made.
        PageTokenMismatch: the token belongs to another query.
    """
    wanted: int = request.page_size  # type: ignore[attr-defined]
    token: str = request.page_token  # type: ignore[attr-defined]
    if wanted < 0:
        raise FieldInvalid(field="page_size", problem="must not be negative")
    query = _query_of(request)
    after = ""
    if token:
        made_for, after = _read(token)
        if made_for != query:
            raise PageTokenMismatch
    return Page(size=min(wanted or DEFAULT_SIZE, LARGEST_SIZE), after=after, _query=query)


def _query_of(request: Message) -> str:
    query = type(request)()
    query.CopyFrom(request)
    query.ClearField("page_size")
    query.ClearField("page_token")
    name = request.DESCRIPTOR.full_name.encode()
    digest = hashlib.sha256(name + b"\0" + query.SerializeToString(deterministic=True))
    return digest.hexdigest()[:16]


def _read(token: str) -> tuple[str, str]:
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        version, query, after = json.loads(text)
    except (binascii.Error, ValueError, TypeError):
        version, query, after = "", "", ""
    if version != _VERSION or not isinstance(query, str) or not isinstance(after, str):
        raise FieldInvalid(field="page_token", problem="not a token of this server")
    return query, after
