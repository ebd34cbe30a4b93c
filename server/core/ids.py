"""Identifiers made by the server."""

import secrets
import time

ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


def random_id(length: int = 12) -> str:
    """A random id of lower-case letters and digits that starts with a letter (59 bits for 12)."""
    return secrets.choice(ALPHABET[10:]) + "".join(
        secrets.choice(ALPHABET) for _ in range(length - 1)
    )


def time_ordered_id() -> str:
    """An id that sorts by creation: 9 base-36 digits of milliseconds, 7 random ones."""
    millis, digits = time.time_ns() // 1_000_000, ""
    for _ in range(9):
        millis, digit = divmod(millis, 36)
        digits = ALPHABET[digit] + digits
    return digits + "".join(secrets.choice(ALPHABET) for _ in range(7))
