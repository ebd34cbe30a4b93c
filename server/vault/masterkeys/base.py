"""The port of a master key."""

from typing import Protocol


class MasterKeyUnusable(Exception):
    """A master key is not fit for use, so the server does not start.

    The text is for the operator and holds no secret.
    """


class MasterKeyUnavailable(Exception):
    """A master key that is kept elsewhere did not answer. The same call may succeed later."""


class MasterKeyBroken(MasterKeyUnavailable):
    """A master key that is kept elsewhere answers, but what it answers would lose or tell keys."""


class WrapBroken(Exception):
    """This is not what the key wrapped in this context: changed, cut, or wrapped by another."""


class Recipient(Protocol):
    """A master key as one repository sees it. All methods block; any thread may call them."""

    @property
    def kind(self) -> str:
        """`file`, `passphrase` or `external`."""

    @property
    def id(self) -> str:
        """16 hex digits that name the key and tell nothing of it. The same on every server."""

    def wrap(self, secret: bytes, context: bytes) -> bytes:
        """Encrypts and authenticates `secret`; the result opens in the same `context` only.

        Raises:
            MasterKeyUnavailable: the key is away.
        """

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Undoes `wrap`.

        Raises:
            WrapBroken: another key wrapped it, it was changed, or belongs into another context.
            MasterKeyUnavailable: the key is away.
        """


class MasterKey(Protocol):
    """A configured master key."""

    @property
    def kind(self) -> str:
        """As of the recipient."""

    def for_repository(self, repository_id: str) -> Recipient:
        """The key as this repository's recipient. May take a second: a passphrase is slow."""
