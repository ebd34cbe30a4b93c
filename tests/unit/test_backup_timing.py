"""When the next backup is due."""

from datetime import timedelta

import pytest

from server.backups.timing import (
    FIRST_RETRY,
    LONGEST_RETRY,
    Timing,
    due_at,
    failed,
    first_look,
    looked,
    saved,
)

A, B, C = (((number, 4096), (0, 0)) for number in range(3))
TIMING = Timing(
    debounce=timedelta(seconds=30), max_delay=timedelta(minutes=5), every=timedelta(hours=6)
)
HOUR = 3600.0


def clean(now=0.0, marks=A):
    return saved(first_look(marks, now), marks, now, seen=marks, now=now, spread=0.0)


def test_a_store_that_nothing_is_known_of_counts_as_changed():
    """Whatever happened while no server was looking."""
    assert due_at(first_look(A, 100.0), TIMING) == 130.0


def test_a_change_is_copied_once_the_store_is_quiet():
    """Every further change puts it off."""
    watch = looked(clean(), B, 100.0)
    assert due_at(watch, TIMING) == 130.0
    watch = looked(watch, B, 110.0)
    assert due_at(watch, TIMING) == 130.0
    watch = looked(watch, C, 120.0)
    assert due_at(watch, TIMING) == 150.0


def test_a_store_that_is_never_quiet_is_copied_all_the_same():
    """`max_delay` after the first change that is in no copy."""
    watch = clean()
    for second in range(100, 500, 10):
        watch = looked(watch, ((second, 0), (0, 0)), float(second))
    assert due_at(watch, TIMING) == 400.0


def test_a_change_during_the_copying_is_not_forgotten():
    """The copy may or may not have it."""
    watch = saved(looked(clean(), B, 100.0), B, 130.0, seen=C, now=132.0, spread=0.0)
    assert due_at(watch, TIMING) == 162.0


def test_an_unchanged_store_is_copied_when_its_copy_gets_old():
    """With a jitter of a tenth, each session its own."""
    assert due_at(clean(), TIMING) == 6 * HOUR
    for spread, hours in ((-1.0, 5.4), (1.0, 6.6)):
        watch = saved(first_look(A, 0.0), A, 0.0, seen=A, now=0.0, spread=spread)
        assert due_at(watch, TIMING) == pytest.approx(hours * HOUR)


def test_without_on_change_only_age_counts():
    """Unless there is no copy at all yet."""
    timing = Timing(on_change=False)
    assert due_at(looked(clean(), B, 100.0), timing) == 6 * HOUR
    assert due_at(first_look(A, 100.0), timing) == 130.0


def test_failures_are_tried_again_ever_later():
    """Doubling from half a minute to an hour; a copy that was made forgets them."""
    watch, delays = looked(clean(), B, 100.0), []
    for _ in range(9):
        watch = failed(watch, 1000.0, lambda: 0.5)
        delays.append(due_at(watch, TIMING) - 1000.0)
    assert delays[:3] == [FIRST_RETRY, 2 * FIRST_RETRY, 4 * FIRST_RETRY]
    assert delays[-1] == LONGEST_RETRY
    watch = saved(watch, B, 5000.0, seen=B, now=5000.0, spread=0.0)
    assert (watch.failures, due_at(watch, TIMING)) == (0, 5000.0 + 6 * HOUR)


def test_retries_do_not_go_in_step():
    """A tenth more or less."""
    watch = looked(clean(), B, 0.0)
    assert failed(watch, 0.0, lambda: 0.0).retry_at == pytest.approx(0.9 * FIRST_RETRY)
    assert failed(watch, 0.0, lambda: 1.0).retry_at == pytest.approx(1.1 * FIRST_RETRY)


def test_without_age_only_changes_count():
    """A copy of an unchanged store is good for ever."""
    assert due_at(clean(), Timing(every=None)) == float("inf")
    assert due_at(looked(clean(), B, 100.0), Timing(every=None)) == 130.0
