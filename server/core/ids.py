"""Identifiers made by the server."""

import re
import secrets
import time
from datetime import UTC, datetime, timedelta

ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIME_DIGITS = 9
_TIME_ORDERED = re.compile(r"[0-9a-z]{16}")
TIME_DIGITS = 9


def random_id(length: int = 12) -> str:
    """A random id of lower-case letters and digits that starts with a letter (59 bits for 12)."""
    return secrets.choice(ALPHABET[10:]) + "".join(
        secrets.choice(ALPHABET) for _ in range(length - 1)
    )


def time_ordered_id(after: str = "") -> str:
    """An id that sorts by creation: 9 base-36 digits of milliseconds, 7 random ones.

    It sorts behind the older id `after` even if the clock was set back since.
    """
    millis = time.time_ns() // 1_000_000
    if after:
        millis = max(millis, int(after[:TIME_DIGITS], 36) + 1)
    digits = ""
    for _ in range(TIME_DIGITS):
        millis, digit = divmod(millis, 36)
        digits = ALPHABET[digit] + digits
    return digits + "".join(secrets.choice(ALPHABET) for _ in range(7))


def time_of(identifier: str) -> datetime | None:
    """When a `time_ordered_id` was made, by its maker's clock; None for any other text."""
    if not _TIME_ORDERED.fullmatch(identifier):
        return None
    return EPOCH + timedelta(milliseconds=int(identifier[:TIME_DIGITS], 36))
