"""Proves at the start of the server that each master key opens what it wraps, and only that."""

import secrets
from collections.abc import Sequence

import structlog

from .base import (
    MasterKey,
    MasterKeyBroken,
    MasterKeyUnavailable,
    MasterKeyUnusable,
    Recipient,
    WrapBroken,
)
from .wrapping import KEY_BYTES

REPOSITORY = "0" * 32
CONTEXT = b"roost self-test"

log = structlog.get_logger(__name__)


def self_test(masters: Sequence[MasterKey]) -> None:
    """Blocks. A key that is away is only warned of, as long as another one works.

    Raises:
        MasterKeyUnusable: one of them would lose what it wraps, or none answers.
    """
    working = 0
    for master in masters:
        try:
            _test(master.for_repository(REPOSITORY))
            working += 1
        except MasterKeyBroken as error:
            raise MasterKeyUnusable(str(error)) from error
        except MasterKeyUnavailable as error:
            log.warning("vault.master_key_away", kind=master.kind, problem=str(error))
    if not working:
        raise MasterKeyUnusable("no master key answers; without one no backup can be made or read")


def _test(recipient: Recipient) -> None:
    secret = secrets.token_bytes(KEY_BYTES)
    wrapped = recipient.wrap(secret, CONTEXT)
    tampered = wrapped[:-1] + bytes([wrapped[-1] ^ 1])
    if not _opens(recipient, wrapped, CONTEXT, secret):
        raise MasterKeyUnusable(f"the {recipient.kind} master key does not open what it wrapped")
    for other, context in ((tampered, CONTEXT), (wrapped, CONTEXT + b"x")):
        if _opens(recipient, other, context, None):
            raise MasterKeyUnusable(f"the {recipient.kind} master key opens what it did not wrap")


def _opens(recipient: Recipient, wrapped: bytes, context: bytes, secret: bytes | None) -> bool:
    try:
        found = recipient.unwrap(wrapped, context)
    except WrapBroken:
        return False
    return secret is None or found == secret
