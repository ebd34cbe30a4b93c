"""Retention: what each rule keeps, and that no history and no policy loses the last good copy."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.core.errors import FieldInvalid
from server.core.names import BackupName, SessionName
from server.vault.model import BackupKind, BackupState
from server.vault.retention import (
    MIN_TRASH_AGE,
    UNUSABLE_AGE,
    Item,
    RetentionPolicy,
    Trashed,
    plan,
    plan_purge,
)

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LAST_ONE = RetentionPolicy(keep_last=1)
SESSION = SessionName("shop")


def item(sequence: int, age: timedelta = timedelta(), **fields) -> Item:
    return Item(
        **{
            "name": BackupName(SESSION, f"b{sequence:03}"),
            "create_time": NOW - age,
            "kind": BackupKind.HOT,
            "state": BackupState.ACTIVE,
            "lineage": "a",
            "schema_version": "14",
            **fields,
        }
    )


def kept(history, policy=LAST_ONE, now=NOW) -> list[int]:
    names = plan(history, policy, now).keep
    return [int(found.name.backup_id[1:]) for found in history if found.name in names]


def trashed(found: Item, since: timedelta = 8 * DAY, purge_in: timedelta = -DAY) -> Trashed:
    return Trashed(item=found, trash_time=NOW - since, purge_time=NOW + purge_in)


def test_keep_last_counts_from_the_newest():
    """The last n good backups stay."""
    history = [item(n, (9 - n) * HOUR) for n in range(9)]
    assert kept(history, RetentionPolicy(keep_last=3)) == [6, 7, 8]


def test_keep_within_is_told_from_the_newest_good_one():
    """A session that stopped a year ago keeps its last days."""
    history = [item(n, (400 - n) * DAY) for n in range(5)]
    assert kept(history, RetentionPolicy(keep_within=2 * DAY)) == [2, 3, 4]


@pytest.mark.parametrize(
    ("rule", "step", "expected"),
    [
        ("hourly", HOUR / 2, [7, 9]),
        ("daily", DAY / 2, [7, 9]),
        ("weekly", 2 * DAY, [8, 9]),
        ("monthly", 15 * DAY, [7, 9]),
    ],
)
def test_each_calendar_rule_keeps_the_newest_of_its_last_periods(rule, step, expected):
    """Two periods keep two backups, each the last one of its period."""
    now = datetime(2026, 11, 30, 23, 59, tzinfo=UTC)
    history = [item(n, create_time=now - (9 - n) * step) for n in range(10)]
    assert kept(history, RetentionPolicy(**{rule: 2}), now) == expected


def test_periods_without_backups_do_not_count():
    """Three days are the last three that have a backup."""
    history = [item(n, age * DAY) for n, age in enumerate((300, 200, 100, 99, 0))]
    assert kept(history, RetentionPolicy(daily=3)) == [2, 3, 4]


def test_suspects_never_push_good_ones_out():
    """Ten newer suspect backups change nothing about which good ones stay."""
    good = [item(n, (100 - n) * DAY) for n in range(5)]
    bad = [item(n, (100 - n) * DAY, state=BackupState.SUSPECT) for n in range(5, 15)]
    policy = RetentionPolicy(keep_last=2, daily=3)
    assert set(kept(good, policy)) == set(kept([*good, *bad], policy)) - set(range(5, 15))


def test_suspects_stay_until_there_is_a_newer_good_one():
    """A suspect copy may be all that is left of what came after the last good one."""
    history = [
        item(1, 90 * DAY, state=BackupState.SUSPECT),
        item(2, 80 * DAY),
        item(3, 70 * DAY, state=BackupState.SUSPECT),
    ]
    assert kept(history) == [2, 3]
    decided = plan(history, LAST_ONE, NOW)
    assert decided.remove[history[0].name] == "not verified, and the session has a newer good copy"


def test_each_device_keeps_its_last_good_copy():
    """Pairing anew does not expire what the device before had."""
    history = [
        item(1, 900 * DAY, lineage="old"),
        item(2, 800 * DAY, lineage="old"),
        item(3, DAY, lineage="new"),
        item(4, lineage="new"),
    ]
    assert kept(history) == [2, 4]


def test_the_newest_copy_at_rest_stays():
    """Only a quiesced copy can be restored exactly."""
    history = [item(1, 9 * DAY, kind=BackupKind.QUIESCED), item(2, 8 * DAY), item(3)]
    assert kept(history) == [1, 3]


def test_the_last_before_a_schema_change_stays():
    """An older server can read it, whatever the upgrade did."""
    history = [
        item(1, 9 * DAY, schema_version="13"),
        item(2, 8 * DAY, schema_version="13"),
        item(3, 7 * DAY),
        item(4),
    ]
    assert kept(history) == [2, 4]


@pytest.mark.parametrize(
    "kind", ["pre_restore", "pre_delete", "pre_cleanup", "pre_upgrade", "import"]
)
def test_copies_from_before_something_risky_stay_a_month(kind):
    """For 30 days, counted from the newest good backup."""
    history = [item(1, 31 * DAY, kind=BackupKind(kind)), item(2, 29 * DAY, kind=BackupKind(kind))]
    assert kept([*history, item(3)]) == [2, 3]


def test_pinned_ones_stay_whatever_they_are():
    """Even a suspect one."""
    history = [
        item(1, 900 * DAY, pinned=True),
        item(2, 800 * DAY, pinned=True, state=BackupState.SUSPECT),
        item(3),
    ]
    assert kept(history) == [1, 2, 3]


def test_the_last_copy_of_a_revoked_device_goes_after_a_grace_time():
    """Never while the session has nothing newer; else 90 days after it was revoked."""
    revoked = [
        item(n, 500 * DAY, lineage="old", state=BackupState.REVOKED, state_time=NOW - 89 * DAY)
        for n in (1, 2)
    ]
    assert kept(revoked) == [1, 2]
    assert kept([*revoked, item(3)]) == [2, 3]
    later = NOW + UNUSABLE_AGE
    assert kept([*revoked, item(3)], now=later) == [3]


def test_a_backup_from_the_future_is_kept_and_not_counted():
    """A clock that once ran a year ahead neither loses its backups nor the others."""
    history = [item(1, 2 * HOUR), item(2, HOUR), item(3, -365 * DAY), item(4)]
    assert kept(history, RetentionPolicy(keep_last=2)) == [2, 3, 4]


def test_a_clock_that_went_back_does_not_hide_the_newest():
    """The chain says which copy is the last."""
    history = [item(1, HOUR), item(2), item(3, 3650 * DAY)]
    assert 3 in kept(history, RetentionPolicy(daily=1))


def test_a_clock_that_ran_ahead_makes_nothing_old():
    """Ten years later by the clock the same backups stay."""
    history = [item(n, (9 - n) * DAY) for n in range(9)]
    policy = RetentionPolicy(keep_within=5 * DAY)
    assert kept(history, policy) == kept(history, policy, NOW + 3650 * DAY)


def test_every_decision_has_its_reason():
    """In English, for the command line."""
    history = [
        item(1, 40 * DAY),
        item(2, 26 * HOUR, kind=BackupKind.QUIESCED),
        item(3, pinned=True),
    ]
    decided = plan(
        history,
        RetentionPolicy(keep_within=timedelta(days=1, hours=3), keep_last=2, hourly=1, weekly=1),
        NOW,
    )
    assert decided.keep == {
        history[1].name: (
            "the newest good copy of its device taken at rest",
            "within 1 d 3 h",
            "one of the last 2",
        ),
        history[2].name: (
            "the newest good copy of its device",
            "pinned",
            "within 1 d 3 h",
            "one of the last 2",
            "the newest of hour 2026-11-22 12:00 UTC",
            "the newest of week 2026-W47",
        ),
    }
    assert decided.remove == {history[0].name: "no rule keeps it"}


def test_an_import_pushes_nothing_out():
    """An old copy that somebody brought today is not the session's last."""
    history = [item(1, HOUR), item(2), item(3, kind=BackupKind.IMPORT)]
    assert kept(history) == [2, 3]
    assert kept([item(3, 900 * DAY, kind=BackupKind.IMPORT)]) == [3]


def test_sessions_are_decided_each_by_itself():
    """Another session's backups do not count."""
    other = replace(item(9), name=BackupName(SessionName("other"), "b009"))
    assert kept([item(1, 9 * DAY), other]) == [1, 9]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, "retention"),
        ({"keep_last": -1, "daily": 3}, "retention.keep_last"),
        ({"keep_within": -DAY}, "retention.keep_within"),
    ],
)
def test_a_policy_that_keeps_nothing_is_refused(fields, named):
    """An empty one is a mistake; so is a negative one."""
    with pytest.raises(FieldInvalid) as caught:
        RetentionPolicy(**fields)
    assert caught.value.field == named


def test_trash_is_emptied_when_its_time_is_over():
    """Not before the purge time, and never within the first hour."""
    live = [item(9)]
    due, early, fresh = (
        trashed(item(1)),
        trashed(item(2), purge_in=HOUR),
        trashed(item(3), since=MIN_TRASH_AGE / 2),
    )
    decided = plan_purge(live, [due, early, fresh], NOW)
    assert set(decided.remove) == {due.item.name}
    assert decided.keep[early.item.name] == ("in trash until 2026-11-22 13:00 UTC",)
    assert set(plan_purge(live, [due, early], NOW, {early.item.name}).remove) == {
        due.item.name,
        early.item.name,
    }


def test_the_last_good_copy_of_a_device_never_leaves_trash():
    """Not even when somebody asks for it; the others go."""
    bin_ = [trashed(item(n, lineage=device)) for n, device in enumerate("aabb")]
    decided = plan_purge([item(9, lineage="b")], bin_, NOW, {found.item.name for found in bin_})
    assert decided.keep == {bin_[1].item.name: ("the last good copy of its device",)}


def test_the_last_copy_of_a_session_never_leaves_trash_unless_revoked():
    """A suspect one may still be worth something; a revoked one is not."""
    suspect = trashed(item(1, state=BackupState.SUSPECT, lineage=""))
    revoked = trashed(item(2, state=BackupState.REVOKED))
    assert plan_purge([], [suspect, revoked], NOW).keep == {
        suspect.item.name: ("the last copy of its session",)
    }


def test_pinned_ones_never_leave_trash():
    """A pin holds there too."""
    found = trashed(item(1, pinned=True))
    assert plan_purge([item(2)], [found], NOW).keep == {found.item.name: ("pinned",)}


def test_a_backup_both_live_and_in_trash_is_live():
    """Its copy in trash is no business of the purge."""
    both = item(1)
    assert plan_purge([both], [trashed(both)], NOW, {both.name}).remove == {}


patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
times = st.integers(-40 * 24, 400 * 24).map(lambda hours: NOW - hours * HOUR)
policies = st.builds(
    RetentionPolicy,
    keep_within=st.integers(0, 100).map(lambda days: days * DAY),
    keep_last=st.integers(0, 5),
    hourly=st.integers(0, 5),
    daily=st.integers(0, 5),
    weekly=st.integers(0, 3),
    monthly=st.integers(1, 3),
) | st.just(LAST_ONE)


@st.composite
def items(draw: st.DrawFn) -> Item:
    found = draw(
        st.builds(
            Item,
            name=st.builds(
                BackupName, st.sampled_from([SESSION, SessionName("other")]), st.just("")
            ),
            create_time=times,
            kind=st.sampled_from(BackupKind),
            state=st.sampled_from([*BackupState, *[BackupState.ACTIVE] * 6]),
            lineage=st.sampled_from(["a", "b", "c", ""]),
            schema_version=st.sampled_from(["13", "14"]),
            pinned=st.sampled_from([False] * 9 + [True]),
            state_time=st.none() | times,
        )
    )
    number = draw(st.integers(0, 40))
    return replace(found, name=BackupName(found.name.session, f"b{number:03}"))


histories = st.lists(items(), max_size=40, unique_by=lambda found: found.name)


def good_devices(history) -> set:
    return {found.device for found in history if found.is_good}


@patient
@given(histories, policies, times)
def test_any_policy_leaves_each_device_its_newest_good_copy(history, policy, now):
    """And decides about every backup exactly once, with a reason."""
    decided = plan(history, policy, now)
    assert decided.keep.keys() | decided.remove.keys() == {found.name for found in history}
    assert not decided.keep.keys() & decided.remove.keys()
    assert all(decided.keep.values())
    survivors = [found for found in history if found.name in decided.keep]
    assert good_devices(survivors) == good_devices(history)
    for device in good_devices(history):
        newest = max(
            (found for found in history if found.is_good and found.device == device),
            key=lambda found: found.age_key,
        )
        assert newest in survivors
    assert {found.name for found in history if found.pinned} <= decided.keep.keys()


@patient
@given(histories, policies, times)
def test_a_second_round_removes_nothing_more(history, policy, now):
    """What is kept once is kept by the same policy at the same time."""
    decided = plan(history, policy, now)
    survivors = [found for found in history if found.name in decided.keep]
    assert plan(survivors, policy, now).remove == {}


@patient
@given(histories, policies, times)
def test_a_wider_policy_keeps_at_least_as_much(history, policy, now):
    """Raising every number of a policy removes nothing that stayed before."""
    wider = RetentionPolicy(
        keep_within=policy.keep_within + DAY if policy.keep_within else timedelta(),
        keep_last=policy.keep_last + 1,
        hourly=policy.hourly + 1,
        daily=policy.daily + 1,
        weekly=policy.weekly + 1,
        monthly=policy.monthly + 1,
    )
    assert plan(history, policy, now).keep.keys() <= plan(history, wider, now).keep.keys()


@patient
@given(histories, policies, times, st.lists(items(), max_size=10))
def test_backups_that_are_not_good_change_nothing_for_the_good(history, policy, now, more):
    """However many suspect or revoked ones appear, the same good ones stay."""
    bad = [replace(found, state=BackupState.SUSPECT) for found in more]
    names = {found.name for found in history}
    bad = [
        found for found in {found.name: found for found in bad}.values() if found.name not in names
    ]
    good = {found.name for found in history if found.is_good}
    before = plan(history, policy, now).keep.keys() & good
    after = plan([*history, *bad], policy, now).keep.keys() & good
    assert before == after


@patient
@given(histories, st.lists(st.tuples(items(), times, times), max_size=20), times, st.data())
def test_any_purge_leaves_each_device_a_good_copy(live, bin_, now, data):
    """Whatever is in trash, whatever is asked for, and whatever the clock says."""
    found = {item.name: Trashed(item=item, trash_time=at, purge_time=due) for item, at, due in bin_}
    at_once = data.draw(st.frozensets(st.sampled_from([*found]))) if found else frozenset()
    decided = plan_purge(live, found.values(), now, at_once)
    left = [*live, *(t.item for t in found.values() if t.item.name not in decided.remove)]
    assert good_devices([*live, *(t.item for t in found.values())]) == good_devices(left)
    assert not decided.remove.keys() & {item.name for item in live}
    rest = [t for t in found.values() if t.item.name not in decided.remove]
    assert plan_purge(live, rest, now, at_once).remove == {}
