"""What phones have collected: one list per account and kind, for tests to wait on."""

import asyncio
import time
from collections.abc import Mapping

import msgspec

from .accounts import Account
from .errors import NothingCame
from .store import Store

INBOX = "inbox"
"""Texts from others."""
COPIES = "copies"
"""Texts that the account's own linked devices have sent."""
RECEIPTS = "receipts"
"""What others did with the account's texts."""
FAILURES = "failures"
"""What could not be read."""
SENT = "sent"
"""What the phone has sent, in case that it must encrypt it again."""


class Lists:
    """The lists, kept in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._news: dict[str, asyncio.Event] = {}

    def add(self, account: Account, name: str, item_id: str, item: Mapping[str, object]) -> None:
        """Append something and wake who waits for it."""
        data = msgspec.json.encode({"id": item_id, **item, "time": time.time()})
        self._store.add_item(account.phone, name, item_id, data)
        waiting = self._news.pop(account.phone, None)
        if waiting is not None:
            waiting.set()

    def latest(self, account: Account, name: str, item_id: str) -> bytes | None:
        """The newest item with that id."""
        return self._store.item(account.phone, name, item_id)

    async def wait(
        self, account: Account, name: str, after: int, count: int, seconds: float
    ) -> list[tuple[int, bytes]]:
        """What is in a list behind a position, once there are `count`.

        Raises:
            NothingCame: there were not, in time.
        """
        found: list[tuple[int, bytes]] = []
        try:
            async with asyncio.timeout(seconds):
                while len(found := self._store.items(account.phone, name, after)) < count:
                    await self._news.setdefault(account.phone, asyncio.Event()).wait()
                return found
        except TimeoutError:
            raise NothingCame(f"{len(found)} of {count} in {name}") from None
