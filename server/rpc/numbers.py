"""Enums of the domain as numbers of the contract."""

from enum import Enum
from typing import Any, TypeVar

E = TypeVar("E", bound=Enum)


def numbers(
    kind: type[E], proto: Any, prefix: str, *, unspecified: E | None = None
) -> dict[E, Any]:
    """The proto's number of each value; one that the proto lacks fails the import."""
    return {
        value: proto.Value(f"{prefix}_{'UNSPECIFIED' if value is unspecified else value.name}")
        for value in kind
    }
