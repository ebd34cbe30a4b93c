"""Streams of requests: a header, then parts."""

from collections.abc import AsyncIterator
from typing import Any, TypeVar

from server.core.errors import FieldInvalid

R = TypeVar("R")


async def first(requests: AsyncIterator[R], oneof: str) -> R:
    """The request with the header; raises FieldInvalid."""
    async for request in requests:
        if part_of(request, oneof) == "header":
            return request
        break
    raise FieldInvalid(field="header", problem="must come first")


async def chunks(requests: AsyncIterator[Any]) -> AsyncIterator[bytes]:
    """The chunks that follow the header; raises FieldInvalid for anything else."""
    async for request in requests:
        if part_of(request, "part") != "chunk":
            raise FieldInvalid(field="part", problem="only chunks may follow the header")
        yield request.chunk


def part_of(request: Any, oneof: str) -> str:
    """Which part it is; empty: none, or no valid message."""
    which = getattr(request, "WhichOneof", None)
    return which(oneof) or "" if which else ""


def required(value: str, field: str) -> str:
    """Must be given. The value is never repeated."""
    if not value:
        raise FieldInvalid(field=field, problem="must not be empty")
    return value
