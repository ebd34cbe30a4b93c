"""Time as a dependency, so that tests can own it."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the server may ask about time."""

    def now(self) -> datetime:
        """The wall clock: aware, UTC. May jump."""
        ...

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back. For intervals."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Returns once `monotonic` has grown by `seconds`."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """As `Clock.now`."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """As `Clock.monotonic`."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """As `Clock.sleep`."""
        await asyncio.sleep(seconds)
