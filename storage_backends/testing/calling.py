"""Calling a backend from many threads, and asking only for the class of the answer."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from ..errors import StorageError

T = TypeVar("T")


def in_threads(count: int, work: Callable[[int], T]) -> list[T]:
    """Runs `work(0)` to `work(count - 1)` at the same moment and gives the results in order."""
    start = threading.Barrier(count)

    def run(index: int) -> T:
        start.wait(timeout=30)
        return work(index)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def attempt(call: Callable[..., object], *args: Any, **named: Any) -> type[StorageError] | None:
    """The class of the StorageError that the call raises, or None."""
    try:
        call(*args, **named)
    except StorageError as exc:
        return type(exc)
    return None
