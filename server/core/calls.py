"""Which API call the current task works for, for log lines. Costs nothing until somebody asks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextvars import ContextVar

from .ids import random_id

REQUEST_ID_HEADER = "x-request-id"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Call:
    """One call in progress. The request id is the caller's `x-request-id`, or made on demand."""

    __slots__ = ("_metadata", "_request_id", "is_over", "rpc")

    def __init__(self, rpc: str, metadata: Iterable[tuple[str, str | bytes]] | None = None) -> None:
        self.rpc = rpc
        self.is_over = False  # tasks that it started inherit it and may live for ever
        self._metadata = metadata
        self._request_id = ""

    @property
    def request_id(self) -> str:
        """The same on every reading."""
        if not self._request_id:
            self._request_id = self._given() or random_id(16)
        return self._request_id

    def _given(self) -> str:
        for key, value in self._metadata or ():
            if key == REQUEST_ID_HEADER and isinstance(value, str) and _REQUEST_ID.fullmatch(value):
                return value
        return ""


CURRENT_CALL: ContextVar[Call | None] = ContextVar("roost_call", default=None)
