"""Checks of request fields. All bad fields of a request are reported together."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast
from urllib.parse import urlsplit
from uuid import UUID

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from server.core.errors import FieldInvalid, FieldViolation
from server.core.names import BackupName, SessionName

T = TypeVar("T")
P = ParamSpec("P")

ALL_SESSIONS = "sessions/-"
NEWEST = "/backups/-"
MOST_LABELS = 64
LONGEST_DISPLAY_NAME = 256
LONGEST_LABEL_VALUE = 256
LONGEST_TEXT_BYTES = 65_536
LONGEST_PROXY_URL = 512
SHORTEST_PASSPHRASE = 8
PASSWORD_MASK = "***"  # noqa: S105  (what is shown instead of one)
_LABEL_KEY = re.compile(r"[a-z0-9]([a-z0-9._/-]{0,61}[a-z0-9])?")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_PROXY_SCHEMES = ("http", "https", "socks5")


class Checks:
    """Collects violations; leaving the `with` block raises one FieldInvalid with all of them.

    After a failed check the returned value is a stand-in that must not be used inside the block;
    behind the block every value is good.
    """

    def __init__(self) -> None:
        self._found: list[FieldViolation] = []

    def __enter__(self) -> Self:
        return self

    def __call__(self, check: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs one check and keeps what it finds wrong."""
        try:
            return check(*args, **kwargs)
        except FieldInvalid as error:
            self._found += error.violations
            return cast("T", None)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Raises what was found."""
        if kind is None and self._found:
            first, *more = self._found
            raise FieldInvalid(field=first.field, problem=first.problem, more=tuple(more))


def session_or_all(text: str, field: str) -> SessionName | None:
    """`sessions/{session_id}`; None: all of them, `sessions/-`."""
    return None if text == ALL_SESSIONS else SessionName.parse(text, field)


@dataclass(frozen=True, slots=True)
class BackupWanted:
    """A backup by name; without one: the newest good one of the session."""

    session: SessionName
    name: BackupName | None


def backup_or_newest(text: str, field: str = "name") -> BackupWanted:
    """`sessions/{session_id}/backups/{backup_id}`, or `-` for the newest good one."""
    if text.endswith(NEWEST):
        return BackupWanted(SessionName.parse(text.removesuffix(NEWEST), field), None)
    name = BackupName.parse(text, field)
    return BackupWanted(name.session, name)


def moment(value: Timestamp, field: str) -> datetime:
    """A point in time."""
    try:
        found: datetime = value.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise FieldInvalid(field=field, problem="is out of range") from None
    return found


def display_name(value: str, field: str) -> str:
    """Free text without control characters."""
    if len(value) > LONGEST_DISPLAY_NAME:
        raise FieldInvalid(field=field, problem=f"at most {LONGEST_DISPLAY_NAME} characters")
    if not value.isprintable():
        raise FieldInvalid(field=field, problem="must not hold control characters")
    return value


def labels(value: Mapping[str, str], field: str) -> dict[str, str]:
    """At most 64 pairs of short keys and values."""
    with Checks() as check:
        if len(value) > MOST_LABELS:
            raise FieldInvalid(field=field, problem=f"at most {MOST_LABELS} labels")
        for key, text in value.items():
            check(_label, key, text, field)
    return dict(value)


def _label(key: str, value: str, field: str) -> None:
    if not _LABEL_KEY.fullmatch(key):
        raise FieldInvalid(field=field, problem=f"a key must match {_LABEL_KEY.pattern}")
    if len(value) > LONGEST_LABEL_VALUE or not value.isprintable():
        problem = f"at most {LONGEST_LABEL_VALUE} characters, none of them control characters"
        raise FieldInvalid(field=f"{field}.{key}", problem=problem)


def proxy_url(value: str, field: str) -> str:
    """A proxy's URL, or nothing. The value is not repeated in the error: it may hold a password."""
    if not value:
        return value
    problem = ""
    try:
        url = urlsplit(value)
        if len(value) > LONGEST_PROXY_URL or not value.isascii() or not value.isprintable():
            problem = f"must be at most {LONGEST_PROXY_URL} printable ASCII characters"
        elif url.scheme not in _PROXY_SCHEMES:
            problem = "must begin with http://, https:// or socks5://"
        elif not url.hostname or url.port == 0:
            problem = "must name a host"
        elif url.path not in {"", "/"} or url.query or url.fragment:
            problem = "must end after host and port"
        elif url.password == PASSWORD_MASK:
            problem = "give the password again: what reads back is only its mask"
    except ValueError:
        problem = "is not a URL"
    if problem:
        raise FieldInvalid(field=field, problem=problem)
    return value


def text_body(value: str, field: str) -> str:
    """The text of a message."""
    if not value:
        raise FieldInvalid(field=field, problem="must not be empty")
    if len(value.encode()) > LONGEST_TEXT_BYTES:
        raise FieldInvalid(field=field, problem=f"at most {LONGEST_TEXT_BYTES} bytes of UTF-8")
    return value


def request_id(value: str, field: str = "request_id") -> str:
    """A UUID4 in lower case, or nothing."""
    if value and (not _UUID.fullmatch(value) or UUID(value).version != 4):  # noqa: PLR2004
        raise FieldInvalid(field=field, problem="must be a UUID4")
    return value.lower()


def passphrase(value: str, field: str = "passphrase") -> str:
    """Long enough to be worth the sealing. The value is never repeated."""
    if len(value) < SHORTEST_PASSPHRASE:
        raise FieldInvalid(field=field, problem=f"at least {SHORTEST_PASSPHRASE} characters")
    return value


def duration(
    value: Duration, field: str, *, default: timedelta, longest: timedelta | None = None
) -> timedelta:
    """A length of time, not negative; `default` when absent or zero."""
    try:
        given = value.ToTimedelta()
    except (ValueError, OverflowError):
        raise FieldInvalid(field=field, problem="is out of range") from None
    if given < timedelta(0):
        raise FieldInvalid(field=field, problem="must not be negative")
    if longest is not None and given > longest:
        raise FieldInvalid(field=field, problem=f"at most {longest.total_seconds():g} s")
    return given or default


def clamped(
    value: Duration, field: str, *, default: timedelta, within: tuple[timedelta, timedelta]
) -> timedelta:
    """As `duration`, moved into the range `within`."""
    lowest, highest = within
    return min(max(duration(value, field, default=default), lowest), highest)


def update_mask(value: FieldMask, allowed: frozenset[str], field: str) -> frozenset[str]:
    """The paths to change: one at least, each allowed; `*` means all."""
    paths = frozenset(value.paths)
    if not paths:
        raise FieldInvalid(field=field, problem=f"name the fields to change: {_listed(allowed)}")
    if paths == {"*"}:
        return allowed
    with Checks() as check:
        for path in sorted(paths - allowed):
            check(_refuse_path, path, allowed, field)
    return paths


def _refuse_path(path: str, allowed: frozenset[str], field: str) -> None:
    raise FieldInvalid(field=f"{field}.paths", problem=f"{path!r} is not one of {_listed(allowed)}")


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(names))


def enum_value(value: int, known: Mapping[int, T], field: str) -> T:
    """The domain's value of a proto enum."""
    if value not in known:
        raise FieldInvalid(field=field, problem="is not a value that this server knows")
    return known[value]


def chosen(message: Any, oneof: str) -> str:
    """Which member of a oneof is set."""
    name: str | None = message.WhichOneof(oneof)
    if name is None:
        members = message.DESCRIPTOR.oneofs_by_name[oneof].fields
        names = ", ".join(each.name for each in members)
        raise FieldInvalid(field=oneof, problem=f"set one of {names}")
    return name


def at_most(count: int, value: Sequence[Any], field: str) -> None:
    """Bounds a repeated field."""
    if len(value) > count:
        raise FieldInvalid(field=field, problem=f"at most {count}")
