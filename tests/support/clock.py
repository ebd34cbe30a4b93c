"""Time that stands still until a test moves it."""

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class FakeClock:
    """A `server.core.clock.Clock`. Sleepers wake when `advance` has passed their time."""

    def __init__(self) -> None:
        self._elapsed = 0.0
        self._numbers = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._changed = asyncio.Event()

    def now(self) -> datetime:
        """As `Clock.now`."""
        return START + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """As `Clock.monotonic`."""
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        """As `Clock.sleep`."""
        if seconds > 0:
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            due = self._elapsed + seconds
            heapq.heappush(self._sleepers, (due, next(self._numbers), done))
            self._changed.set()
            await done

    def advance(self, seconds: float) -> None:
        """Moves the time on and wakes whose time has come."""
        self._elapsed += seconds
        while self._sleepers and self._sleepers[0][0] <= self._elapsed:
            _, _, done = heapq.heappop(self._sleepers)
            if not done.done():
                done.set_result(None)

    def sleeps(self) -> list[float]:
        """How long each sleeper still has to wait."""
        return [due - self._elapsed for due, _, done in sorted(self._sleepers) if not done.done()]

    async def sleeping(self, seconds: float, tolerance: float = 1e-6) -> None:
        """Waits until somebody sleeps for `seconds` from now, give or take `tolerance`."""
        while not any(abs(left - seconds) <= tolerance for left in self.sleeps()):
            self._changed.clear()
            await self._changed.wait()
