"""What may be written to a log: the last line of defence for secrets.

Known secret fields are masked, and what looks like a phone number, a JID, a QR payload, a pairing
code, a key or a URL's user and password is replaced inside any text. Nothing should try to log such
things in the first place.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import Enum
from pathlib import PurePath
from types import TracebackType
from typing import Any

from .errors import DomainError
from .names import BackupName, OperationName, SessionName, StorageLocationName

MASK = "***"
SECRET_FIELDS = frozenset(
    {
        "account",
        "authorization",
        "body",
        "code",
        "jid",
        "key",
        "lid",
        "message_text",
        "passphrase",
        "password",
        "payload",
        "phone",
        "phone_number",
        "proxy_url",
        "push_name",
        "qr",
        "raw",
        "recipient",
        "root_key",
        "secret",
        "sender",
        "text",
        "token",
    }
)
_LOOKS_SECRET = (
    (re.compile(r"\b\d{5,20}(?:[.:]\d+)*@(?:s\.whatsapp\.net|lid|c\.us)\b"), "<jid>"),
    (re.compile(r"\b\d{5,20}(?:-\d+)?@g\.us\b"), "<jid>"),
    (re.compile(r"\b\d@[A-Za-z0-9+/=]{8,}(?:,[A-Za-z0-9+/=]{8,})+\S*"), "<qr>"),
    (re.compile(r"\b[1-9A-HJ-NP-TV-Z]{4}-[1-9A-HJ-NP-TV-Z]{4}\b"), "<code>"),
    (re.compile(r"\+\d[\d ()-]{6,18}\d"), "<phone>"),
    (re.compile(r"(?<![\w.+-])\d{10,15}(?![\w.-])"), "<number>"),
    (re.compile(r"(?i)\bbearer\s+\S+"), "bearer ***"),
    (re.compile(r"\broost_[A-Za-z0-9_-]{20,}"), "<key>"),
    (re.compile(r"(?<=://)[^\s/@]+@"), "***@"),
)
# Exceptions whose text is written by code and does not quote the data it was working on.
_PLAIN_SPOKEN = (
    DomainError,
    OSError,
    RuntimeError,
    TypeError,
    AttributeError,
    AssertionError,
    ImportError,
)
_LONGEST_TEXT = 2000
_DEEPEST = 4


def scrub(text: str) -> str:
    """`text` without anything that looks like a secret, and not longer than a log line may be."""
    if len(text) > _LONGEST_TEXT:
        text = text[:_LONGEST_TEXT] + "…"
    for pattern, replacement in _LOOKS_SECRET:
        text = pattern.sub(replacement, text)
    return text


_PLAIN: dict[type, Callable[[Any], Any]] = {
    bool: bool,
    int: int,
    float: float,
    str: scrub,
    datetime: datetime.isoformat,
    timedelta: timedelta.total_seconds,
    SessionName: str,
    BackupName: str,
    OperationName: str,
    StorageLocationName: str,
}


def scrubbed(value: Any, depth: int = 0) -> Any:
    """`value` as plain JSON types; never raises, never calls a foreign `repr`."""
    if value is None:
        return None
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, BaseException):
        return _named(value)
    if isinstance(value, PurePath):
        value = str(value)
    for kind, plain in _PLAIN.items():
        if isinstance(value, kind):
            return plain(value)
    if isinstance(value, Mapping) and depth < _DEEPEST:
        return {str(key): field(str(key), each, depth + 1) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and depth < _DEEPEST:
        return [scrubbed(each, depth + 1) for each in value]
    return f"<{type(value).__name__}>"


def field(name: str, value: Any, depth: int = 0) -> Any:
    """A named value: masked when the name says that it is secret."""
    return MASK if value and name.lower() in SECRET_FIELDS else scrubbed(value, depth)


def _named(error: BaseException) -> str:
    text = scrub(str(error)) if isinstance(error, _PLAIN_SPOKEN) else ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def describe(error: BaseException) -> list[str]:
    """A traceback as lines, causes first; source lines and variables are left out on purpose."""
    lines: list[str] = []
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        lines += [*describe(cause), "then:"]
    lines.append(_named(error))
    step: TracebackType | None = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        lines.append(f"  {code.co_filename}:{step.tb_lineno} {code.co_qualname}")
        step = step.tb_next
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            lines += [f"  | {line}" for line in describe(inner)]
    return lines
