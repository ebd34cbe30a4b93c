"""Streams of requests: a header, then parts."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, TypeVar

from server.backups.imports.model import CredentialsFile
from server.core.errors import FieldInvalid

from . import validate

R = TypeVar("R")
MOST_BYTES = 256 << 20
MOST_FILES = 500_000
LONGEST_NAME = 1024


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


async def files(requests: AsyncIterator[Any]) -> list[CredentialsFile]:
    """The files that follow the header, their parts put together; raises FieldInvalid."""
    parts: list[tuple[str, datetime | None, bytearray]] = []
    size = 0
    async for request in requests:
        if part_of(request, "part") != "file":
            raise FieldInvalid(field="part", problem="only files may follow the header")
        file = request.file
        if not file.name or len(file.name) > LONGEST_NAME:
            problem = f"must have 1 to {LONGEST_NAME} characters"
            raise FieldInvalid(field="file.name", problem=problem)
        size += len(file.data)
        if not parts or parts[-1][0] != file.name:
            parts.append((file.name, _time(file), bytearray()))
        parts[-1][2].extend(file.data)
        if size > MOST_BYTES or len(parts) > MOST_FILES:
            problem = f"at most {MOST_FILES} files with {MOST_BYTES >> 20} MiB in all"
            raise FieldInvalid(field="file", problem=problem)
    return [
        CredentialsFile(name=name, data=bytes(data), modify_time=time) for name, time, data in parts
    ]


def _time(file: Any) -> datetime | None:
    if not file.HasField("modify_time"):
        return None
    return validate.moment(file.modify_time, "file.modify_time")


def part_of(request: Any, oneof: str) -> str:
    """Which part it is; empty: none, or no valid message."""
    which = getattr(request, "WhichOneof", None)
    return which(oneof) or "" if which else ""


def required(value: str, field: str) -> str:
    """Must be given. The value is never repeated."""
    if not value:
        raise FieldInvalid(field=field, problem="must not be empty")
    return value
