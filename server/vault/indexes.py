"""The page ids of packs that were used lately, so that a hot session's are not read every time."""

from collections import OrderedDict
from collections.abc import Sequence

PAGES = 1 << 20  # about 60 MB of memory in Python objects at the most


class Indexes:
    """Least recently used first out; bounded by the number of pages."""

    def __init__(self, pages: int = PAGES) -> None:
        self._pages = pages
        self._used = 0
        self._entries: OrderedDict[str, Sequence[bytes]] = OrderedDict()

    def get(self, pack_id: str) -> Sequence[bytes] | None:
        """The ids of a pack's pages, if they are here."""
        if (ids := self._entries.get(pack_id)) is not None:
            self._entries.move_to_end(pack_id)
        return ids

    def put(self, pack_id: str, ids: Sequence[bytes]) -> None:
        """Keeps them while there is room."""
        if pack_id not in self._entries:
            self._entries[pack_id] = ids
            self._used += len(ids)
        while self._used > self._pages and len(self._entries) > 1:
            _, oldest = self._entries.popitem(last=False)
            self._used -= len(oldest)
