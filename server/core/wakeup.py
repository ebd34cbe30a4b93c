"""One signal for many waiting tasks."""

import asyncio


class Wakeup:
    """Wakes everybody who waits now. Look at the condition, then `wait`, without awaiting between.

    Unlike `asyncio.Condition` it needs no lock and `wake` is an ordinary call, so that a change
    and its announcement happen in one step of the loop.
    """

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def wake(self) -> None:
        """Ends every `wait` that has begun."""
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self) -> None:
        """Returns at the next `wake`."""
        await self._event.wait()
