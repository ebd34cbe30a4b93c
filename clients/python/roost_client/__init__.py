"""Roost's Python client.

    with Client() as roost:
        roost.messages.send_text("shop", to="+15551234567", text="hello")

`Client` blocks, `AsyncClient` is for asyncio; both have the same methods, in groups by service.
Results are the messages of `roost.v1`.
"""

from .aio import AsyncClient
from .blocking import Client
from .cursors import CursorStore, FileCursor
from .discovery import Target
from .errors import FieldViolation, RoostError

__all__ = [
    "AsyncClient",
    "Client",
    "CursorStore",
    "FieldViolation",
    "FileCursor",
    "RoostError",
    "Target",
]
