"""Which backups of a session may go: a pure decision, and the reasons for it.

Rules count good backups only (verified, not suspect, not revoked): a broken or forged one never
pushes a good one out. Whatever the rules say, each device keeps its newest good copy, the newest
one that was taken at rest, and the last one before its store's schema changed.

Age is told from the newest good backup, not from the present: a session that stopped long ago, or
a clock that ran ahead, makes nothing old. Newest is what has the last id: a session's ids grow
whatever the clock does, so one that went back changes nothing about which copy is the last. A
backup dated in the future is kept until the clock has passed it, and no rule counts it.

Imported copies are not counted while there are others: what somebody brings from elsewhere may be
older than what it would push out.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TypeVar

from server.core.errors import FieldInvalid
from server.core.names import BackupName, SessionName

from .model import BackupKind, BackupState

K = TypeVar("K")

SPECIAL_KINDS = frozenset(
    {
        BackupKind.PRE_RESTORE,
        BackupKind.PRE_DELETE,
        BackupKind.PRE_CLEANUP,
        BackupKind.PRE_UPGRADE,
        BackupKind.IMPORT,
    }
)
SPECIAL_AGE = timedelta(days=30)
"""How long a copy from before something risky is kept at least."""
UNUSABLE_AGE = timedelta(days=90)
"""How long the last copy of a device without a good one is kept after the session got another."""
MIN_TRASH_AGE = timedelta(hours=1)
"""Nothing leaves trash sooner, whatever its purge time says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """A backup stays if one of these keeps it; 0 switches one off, and they cannot all be off.

    Hours, days, weeks (from Monday) and months are of UTC; those without a backup do not count.
    """

    keep_within: timedelta = timedelta()
    """Every backup that is at most this much older than the newest good one."""
    keep_last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0

    def __post_init__(self) -> None:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, value in values.items():
            if value < type(value)():
                raise FieldInvalid(field=f"retention.{name}", problem="must not be negative")
        if not any(values.values()):
            raise FieldInvalid(
                field="retention", problem="an empty policy would keep next to nothing"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What retention knows of a backup, its marks included."""

    name: BackupName
    create_time: datetime
    kind: BackupKind
    state: BackupState
    lineage: str
    """The device's fingerprint; empty: the drill could not tell."""
    schema_version: str = ""
    pinned: bool = False
    state_time: datetime | None = None
    """When it became suspect or revoked, if a mark says so."""

    @property
    def is_good(self) -> bool:
        """Whether it can be restored: verified, and nothing known against it."""
        return self.state is BackupState.ACTIVE

    @property
    def device(self) -> tuple[SessionName, str]:
        """What it is a copy of."""
        return self.name.session, self.lineage

    @property
    def age_key(self) -> tuple[bool, str]:
        """Sorts by age, the oldest first, imports before everything else."""
        return self.kind is not BackupKind.IMPORT, self.name.backup_id


@dataclass(frozen=True, slots=True)
class Plan:
    """Every backup of the history is in one of the two, with the reasons in English."""

    keep: Mapping[BackupName, tuple[str, ...]]
    remove: Mapping[BackupName, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trashed:
    """A backup in trash."""

    item: Item
    trash_time: datetime
    purge_time: datetime


def plan(history: Iterable[Item], policy: RetentionPolicy, now: datetime) -> Plan:
    """Decides about the live backups of any number of sessions, each by itself.

    The same `now` and policy remove nothing more from what a first round kept.
    """
    keep: dict[BackupName, tuple[str, ...]] = {}
    remove: dict[BackupName, str] = {}
    for items in _by(history, lambda item: item.name.session).values():
        kept = _Session(items, policy, now).decide()
        for item in items:
            if item.name in kept:
                keep[item.name] = tuple(kept[item.name])
            else:
                remove[item.name] = _why_not(item)
    return Plan(keep, remove)


def plan_purge(
    live: Iterable[Item],
    trashed: Iterable[Trashed],
    now: datetime,
    at_once: AbstractSet[BackupName] = frozenset(),
) -> Plan:
    """Decides which backups in trash may be destroyed; those `at_once` need not wait.

    A good one goes only if its device has a good live copy, or a newer good one that stays in
    trash. A session without any good copy keeps its newest one that is not revoked.
    """
    present = list(live)
    names = {item.name for item in present}
    bin_ = [trash for trash in trashed if trash.item.name not in names]
    last = _last_resorts(present, [trash.item for trash in bin_])
    keep: dict[BackupName, tuple[str, ...]] = {}
    remove: dict[BackupName, str] = {}
    for trash in bin_:
        name = trash.item.name
        reasons = [last[name]] if name in last else []
        if trash.item.pinned:
            reasons.append("pinned")
        due = max(trash.purge_time, trash.trash_time + MIN_TRASH_AGE)
        if now < due and name not in at_once:
            reasons.append(f"in trash until {due:%Y-%m-%d %H:%M} UTC")
        if reasons:
            keep[name] = tuple(reasons)
        else:
            remove[name] = "its time in trash is over"
    return Plan(keep, remove)


class _Session:
    """The decision about one session."""

    def __init__(self, items: Sequence[Item], policy: RetentionPolicy, now: datetime) -> None:
        self._items = sorted(items, key=lambda item: item.age_key, reverse=True)
        self._good = [item for item in self._items if item.is_good]
        self._policy = policy
        self._now = now
        self._present = min(self._good[0].create_time, now) if self._good else now
        self._reasons: dict[BackupName, list[str]] = defaultdict(list)

    def decide(self) -> dict[BackupName, list[str]]:
        """The reasons for what stays."""
        self._keep_last_resorts()
        self._keep_by_date()
        self._keep_by_rules()
        self._keep_unusable()
        return self._reasons

    def _keep(self, item: Item, reason: str) -> None:
        self._reasons[item.name].append(reason)

    def _keep_last_resorts(self) -> None:
        for copies in _by(self._good, lambda item: item.lineage).values():
            self._keep(copies[0], "the newest good copy of its device")
            at_rest = next((item for item in copies if item.kind is BackupKind.QUIESCED), None)
            if at_rest is not None:
                self._keep(at_rest, "the newest good copy of its device taken at rest")
            for newer, older in pairwise(copies):
                if newer.schema_version != older.schema_version:
                    self._keep(older, "the last before the store's schema changed")
        for item in self._items:
            if item.pinned:
                self._keep(item, "pinned")

    def _keep_by_date(self) -> None:
        within = self._policy.keep_within
        special = max(within, SPECIAL_AGE)
        for item in self._items:
            age = self._present - item.create_time
            if item.create_time > self._now:
                self._keep(item, "dated in the future: a clock was wrong")
            elif within and age <= within:
                self._keep(item, f"within {_span(within)}")
            elif item.kind in SPECIAL_KINDS and age <= special:
                self._keep(item, f"a {item.kind.value} copy, kept for {_span(special)}")

    def _keep_by_rules(self) -> None:
        own = [item for item in self._good if item.kind is not BackupKind.IMPORT]
        counted = [item for item in own or self._good if item.create_time <= self._now]
        for item in counted[: self._policy.keep_last]:
            self._keep(item, f"one of the last {self._policy.keep_last}")
        for count, unit, bucket in (
            (self._policy.hourly, "hour", "%Y-%m-%d %H:00 UTC"),
            (self._policy.daily, "day", "%Y-%m-%d"),
            (self._policy.weekly, "week", "%G-W%V"),
            (self._policy.monthly, "month", "%Y-%m"),
        ):
            newest: dict[str, Item] = {}
            for item in counted:
                newest.setdefault(_in_bucket(item.create_time, bucket), item)
            for label in sorted(newest, reverse=True)[:count]:
                self._keep(newest[label], f"the newest of {unit} {label}")

    def _keep_unusable(self) -> None:
        """Suspect and revoked copies stay for as long as they may be all that there is."""
        newest_good = self._good[0].age_key if self._good else None
        devices = {item.lineage for item in self._good}
        for item in self._items:
            if item.is_good:
                continue
            if newest_good is None or item.age_key > newest_good:
                self._keep(item, "the session has no newer good copy")
            elif item.lineage not in devices:
                devices.add(item.lineage)  # newest first: the others of this device may go
                if self._now - (item.state_time or item.create_time) <= UNUSABLE_AGE:
                    self._keep(item, f"the last copy of its device, kept for {_span(UNUSABLE_AGE)}")


def _last_resorts(live: Sequence[Item], trashed: Sequence[Item]) -> dict[BackupName, str]:
    """Which backups in trash must not be destroyed."""
    found: dict[BackupName, str] = {}
    safe = {item.device for item in live if item.is_good}
    newest_first = sorted(trashed, key=lambda item: item.age_key, reverse=True)
    for item in newest_first:
        if item.is_good and item.device not in safe:
            safe.add(item.device)
            found[item.name] = "the last good copy of its device"
    sessions = {session for session, _ in safe} | {
        item.name.session for item in live if item.state is not BackupState.REVOKED
    }
    for item in newest_first:
        if item.state is not BackupState.REVOKED and item.name.session not in sessions:
            sessions.add(item.name.session)
            found[item.name] = "the last copy of its session"
    return found


def _by(items: Iterable[Item], key: Callable[[Item], K]) -> dict[K, list[Item]]:
    groups: dict[K, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def _in_bucket(time: datetime, form: str) -> str:
    """A label that sorts by time."""
    return time.astimezone(UTC).strftime(form)


def _why_not(item: Item) -> str:
    match item.state:
        case BackupState.ACTIVE:
            return "no rule keeps it"
        case BackupState.REVOKED:
            return "revoked, and the session has a newer good copy"
        case _:
            return "not verified, and the session has a newer good copy"


def _span(span: timedelta) -> str:
    """For people: `3 d 4 h`; seconds do not matter."""
    hours, minutes = divmod(int(span.total_seconds()) // 60, 60)
    days, hours = divmod(hours, 24)
    parts = [
        f"{value} {unit}" for value, unit in ((days, "d"), (hours, "h"), (minutes, "min")) if value
    ]
    return " ".join(parts) or "0 min"
