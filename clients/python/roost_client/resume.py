"""Streams that outlive their connection."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import timedelta
from typing import TypeVar

import grpc

from .backoff import Backoff
from .errors import RoostError

Item = TypeVar("Item")

# What a broken connection or a proxy on the way reports, besides UNAVAILABLE.
BROKEN = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.CANCELLED}


def is_interruption(error: RoostError) -> bool:
    """The stream broke, but a new one can go on where it was."""
    return (
        error.is_transient
        or error.reason == "SUBSCRIBER_TOO_SLOW"
        or (error.code in BROKEN and not error.is_from_roost)
    )


async def resuming(
    opened: Callable[[], AsyncGenerator[Item, None]],
    *,
    survives: Callable[[RoostError], bool] = is_interruption,
    patience: timedelta | None = None,
) -> AsyncGenerator[Item, None]:
    """Yields from `opened()`, and from `opened()` again whenever that ends.

    Never ends by itself: the caller knows which item is the last. A failure that `survives` denies
    is raised, and so is any when nothing has come for `patience` (None: wait for ever).
    """
    backoff, heard = Backoff(), time.monotonic()
    while True:
        delay: timedelta | None = None
        try:
            async with aclosing(opened()) as items:
                async for item in items:
                    backoff.reset()
                    yield item
                    heard = time.monotonic()
        except RoostError as error:
            waited = time.monotonic() - heard
            if not survives(error) or (patience is not None and waited > patience.total_seconds()):
                raise
            delay = error.retry_delay
        await asyncio.sleep(backoff.pause(delay))
