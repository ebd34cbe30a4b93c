"""When a session's next backup is due: pure. Times are monotonic seconds."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

# What `stat` says of a store's files: modification time and size of each. Any change of the
# database changes it; nothing has to be opened.
Marks = tuple[tuple[int, int], ...]

FIRST_RETRY = 30.0
LONGEST_RETRY = 3600.0
JITTER = 0.1  # of `every` and of retries, so that sessions do not go in step


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How often a session is backed up."""

    # A change is copied once the store was quiet for `debounce`, or has been changed but not
    # copied for `max_delay`.
    on_change: bool = True
    debounce: timedelta = timedelta(seconds=30)
    max_delay: timedelta = timedelta(minutes=5)
    # A good backup is never older than this, give or take the jitter, changed or not. None: it may.
    every: timedelta | None = timedelta(hours=6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What is known of one session's store and its copies."""

    seen: Marks  # as last looked at
    changed_at: float  # when that was new
    saved_at: float | None = None  # when the last copy was made; None: not known of any
    dirty_since: float | None = None  # the first change that is in no copy
    failures: int = 0  # in a row
    retry_at: float = 0.0
    spread: float = 0.0  # this session's share of the jitter, from -1 to 1


def first_look(marks: Marks, now: float) -> Watch:
    """A store nothing is known of: taken for changed."""
    return Watch(seen=marks, changed_at=now, dirty_since=now)


def looked(watch: Watch, marks: Marks, now: float) -> Watch:
    """The files were looked at."""
    if marks == watch.seen:
        return watch
    since = now if watch.dirty_since is None else watch.dirty_since
    return replace(watch, seen=marks, changed_at=now, dirty_since=since)


def saved(
    watch: Watch, marks: Marks, at: float, *, seen: Marks, now: float, spread: float
) -> Watch:
    """A copy was made, at the time `at`, of the store as it was with `marks`; now it has `seen`."""
    return replace(
        watch,
        seen=seen,
        changed_at=watch.changed_at if seen == marks else now,
        saved_at=at,
        dirty_since=None if seen == marks else now,
        failures=0,
        retry_at=0.0,
        spread=spread,
    )


def failed(watch: Watch, now: float, uniform: Callable[[], float]) -> Watch:
    """A copy could not be made: another try, ever later."""
    delay = min(FIRST_RETRY * 2.0**watch.failures, LONGEST_RETRY)
    delay *= 1 + JITTER * (2 * uniform() - 1)
    return replace(watch, failures=watch.failures + 1, retry_at=now + delay)


def due_at(watch: Watch, timing: Timing) -> float:
    """When the next copy is to be made."""
    due = [float("inf")]
    if watch.saved_at is not None and timing.every is not None:
        due.append(watch.saved_at + timing.every.total_seconds() * (1 + JITTER * watch.spread))
    if watch.dirty_since is not None and (timing.on_change or watch.saved_at is None):
        quiet = watch.changed_at + timing.debounce.total_seconds()
        late = watch.dirty_since + timing.max_delay.total_seconds()
        due.append(min(quiet, late))
    return max(min(due), watch.retry_at)
