"""Pauses between attempts."""

from datetime import timedelta
from random import SystemRandom

RANDOM = SystemRandom()


class Backoff:
    """Doubling pauses with jitter; `reset` after something worked.

    Each pause is drawn from the upper half of its range, so that many clients which lost the same
    server do not come back at once, and none comes back without a pause.
    """

    def __init__(
        self,
        first: timedelta = timedelta(milliseconds=200),
        longest: timedelta = timedelta(seconds=5),
    ) -> None:
        self._first = first.total_seconds()
        self._longest = longest.total_seconds()
        self._next = self._first

    def reset(self) -> None:
        """The next pause is the first again."""
        self._next = self._first

    def pause(self, at_least: timedelta | None = None) -> float:
        """Seconds to wait now; at least what the server asked for."""
        seconds = RANDOM.uniform(self._next / 2, self._next)
        self._next = min(self._next * 2, self._longest)
        return max(seconds, at_least.total_seconds()) if at_least else seconds
