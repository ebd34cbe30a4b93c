"""Rows for the engine's tables, and what could not become one."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from .encodings import Unusable
from .records import Record

T = TypeVar("T")
Row = Mapping[str, object]


@dataclass(slots=True)
class Rows:
    """Rows by table, in an order that their references allow."""

    tables: dict[str, list[Row]] = field(default_factory=dict, repr=False)
    dropped: Counter[str] = field(default_factory=Counter)
    damage: list[str] = field(default_factory=list)

    def add(self, table: str, row: Row) -> None:
        """Adds one row."""
        self.tables.setdefault(f"whatsmeow_{table}", []).append(row)

    def convert(
        self, records: Mapping[str, Record], table: str, one: Callable[[str, Record], T | None]
    ) -> dict[str, T]:
        """What `one` makes of each record; those it cannot map are counted, None is left out."""
        made: dict[str, T] = {}
        for record_id, record in records.items():
            try:
                value = one(record_id, record)
            except Unusable:
                self.dropped[table] += 1
            else:
                if value is not None:
                    made[record_id] = value
        return made
