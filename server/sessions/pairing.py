"""One pairing attempt: owned by the session, watched by any number of callers."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from server.core.wakeup import Wakeup
from server.engine.base import Account

from .model import Session

# From the first QR code on, WhatsApp keeps the connection this long (60 s, then five times 20 s);
# a pairing code dies with it. Source: whatsmeow, Client.PairPhone.
CODE_LIFETIME = timedelta(seconds=160)


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """Something to show; a new one replaces the one before."""

    payload: str = field(repr=False)
    expire_time: datetime
    attempt: int  # counts the challenges of this kind, from 1


class QrChallenge(Challenge):
    """Draw it as a QR code."""

    __slots__ = ()


class CodeChallenge(Challenge):
    """A code to type on the phone."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PairingCompleted:
    """The device is linked."""

    account: Account


PairingStep = QrChallenge | CodeChallenge | PairingCompleted


class PairingAttempt:
    """What has been shown, and how it ended. Changed by the session's supervisor only."""

    def __init__(self, *, before: Session, epoch: int) -> None:
        self.before = before  # the session as it was, to go back to
        self.epoch = epoch  # where its store is
        self.phone = ""  # digits, once somebody wants to type a code
        self.wants_code = False  # somebody does and it was not asked for yet
        self.failure: Exception | None = None  # why it was called off, until the engine has ended
        self._qr: QrChallenge | None = None
        self._code: CodeChallenge | None = None
        self._code_expire_time: datetime | None = None
        self._end: PairingCompleted | Exception | None = None
        self._changed = Wakeup()

    @property
    def can_request_code(self) -> bool:
        """WhatsApp is there: the first QR code has come."""
        return self._qr is not None

    def show_qr(self, payload: str, now: datetime, lifetime: timedelta) -> None:
        """A QR code replaces the one before."""
        if self._code_expire_time is None:
            self._code_expire_time = now + CODE_LIFETIME
        number = self._qr.attempt + 1 if self._qr else 1
        self._qr = QrChallenge(payload=payload, expire_time=now + lifetime, attempt=number)
        self._changed.wake()

    def show_code(self, payload: str) -> None:
        """A pairing code replaces the one before."""
        assert self._code_expire_time is not None
        number = self._code.attempt + 1 if self._code else 1
        self._code = CodeChallenge(
            payload=payload, expire_time=self._code_expire_time, attempt=number
        )
        self._changed.wake()

    def end(self, end: PairingCompleted | Exception) -> None:
        """The attempt is over; the first end counts."""
        self._end = self._end or end
        self._changed.wake()

    async def follow(self, *, by_code: bool) -> AsyncIterator[PairingStep]:
        """The present challenge, each one that follows, and the completion. Raises the failure.

        A watcher that leaves does not end the attempt.
        """
        shown: Challenge | None = None
        while True:
            if isinstance(self._end, Exception):
                raise self._end
            if self._end is not None:
                yield self._end
                return
            challenge = self._code if by_code else self._qr
            if challenge is not None and challenge is not shown:
                shown = challenge
                yield challenge
            else:
                await self._changed.wait()
