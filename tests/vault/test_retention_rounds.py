"""Any sequence of backups, marks, clock jumps, retention, purge and collection rounds."""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from server.core.ids import ALPHABET
from server.core.names import BackupName, SessionName
from server.vault.garbage import GRACE, garbage
from server.vault.model import BackupKind, BackupState
from server.vault.retention import Item, RetentionPolicy, Trashed, plan, plan_purge
from storage_backends.base import ObjectInfo

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SESSION = SessionName("shop")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)

policies = st.sampled_from(
    [
        RetentionPolicy(keep_last=1),
        RetentionPolicy(keep_within=DAY),
        RetentionPolicy(hourly=2, daily=2, monthly=1),
        RetentionPolicy(keep_within=3 * DAY, keep_last=3, weekly=2),
    ]
)


def identifier(time: datetime, number: int) -> str:
    millis, digits = int(time.timestamp() * 1000), ""
    while millis:
        millis, digit = divmod(millis, 36)
        digits = ALPHABET[digit] + digits
    return f"{digits:0>9}{number:07}"


@dataclass(frozen=True)
class Stored:
    """A backup and the packs that it needs."""

    item: Item
    packs: frozenset[str]


@dataclass
class Vault:
    live: dict[BackupName, Stored] = field(default_factory=dict)
    trash: dict[BackupName, tuple[Stored, datetime, datetime]] = field(default_factory=dict)
    packs: dict[str, ObjectInfo] = field(default_factory=dict)
    released: dict[str, datetime] = field(default_factory=dict)

    def stored(self) -> list[Stored]:
        return [*self.live.values(), *(stored for stored, _, _ in self.trash.values())]


class Rounds(RuleBasedStateMachine):
    """Only a user's deletion may take the last *live* copy; nothing may take the last one."""

    def __init__(self) -> None:
        super().__init__()
        self.vault = Vault()
        self.clock = START  # may jump
        self.storage_clock = START  # only goes on
        self.sequence = 0
        self.newest = START  # by the ids of backups, which only grow
        self.lineage = 0
        self.under_way: tuple[Stored, list[ObjectInfo]] | None = None

    @initialize()
    def first_backup(self) -> None:
        self.backup(BackupState.ACTIVE, merge=False)

    @rule(state=st.sampled_from(BackupState) | st.just(BackupState.ACTIVE), merge=st.booleans())
    @precondition(lambda self: self.under_way is None)
    def backup(self, state: BackupState, *, merge: bool) -> None:
        self.begin(BackupKind.HOT, state, merge=merge)
        self.finish()

    @rule(hours=st.sampled_from([1, 12, 25, 8 * 24]))
    def time_passes(self, hours: int) -> None:
        if self.under_way is not None:
            hours = min(hours, GRACE // HOUR - 1)  # no backup takes longer; see below
            self.under_way_hours += hours
            if self.under_way_hours >= GRACE // HOUR:
                self.give_up()
        self.clock += hours * HOUR
        self.storage_clock += hours * HOUR

    @rule(days=st.sampled_from([-4000, -9, 2, 9, 4000]))
    def the_clock_jumps(self, days: int) -> None:
        self.clock = min(max(self.clock + days * DAY, START - 9000 * DAY), START + 30000 * DAY)

    @rule()
    def the_clock_is_set_right(self) -> None:
        self.clock = self.storage_clock

    @rule(kind=st.sampled_from(BackupKind), state=st.sampled_from(BackupState), merge=st.booleans())
    @precondition(lambda self: self.under_way is None)
    def begin(self, kind: BackupKind, state: BackupState, *, merge: bool) -> None:
        """A backup stores its pack, building on the packs of the newest live one."""
        self.sequence += 1
        self.under_way_hours = 0
        pack = ObjectInfo(
            key=f"packs/shop/{identifier(self.clock, self.sequence)}",
            size_bytes=1,
            modify_time=self.storage_clock,
        )
        self.vault.packs[pack.key] = pack
        parent = max(
            (stored for stored in self.vault.live.values()),
            key=lambda stored: stored.item.age_key,
            default=None,
        )
        older = frozenset() if parent is None or merge else parent.packs
        self.newest = max(self.clock, self.newest + timedelta(milliseconds=1))
        item = Item(
            name=BackupName(SESSION, identifier(self.newest, self.sequence)),
            create_time=self.clock,
            kind=kind,
            state=state,
            lineage=f"device{self.lineage}",
            schema_version=str(self.sequence // 20),
        )
        self.under_way = Stored(item, older | {pack.key}), []

    @rule()
    @precondition(lambda self: self.under_way is not None)
    def finish(self) -> None:
        """Its manifest is written, if all packs are there still: the writer looks."""
        stored, _ = self.under_way
        assert stored.packs <= self.vault.packs.keys(), "a pack was taken from a backup under way"
        self.vault.live[stored.item.name] = stored
        self.under_way = None

    @rule()
    @precondition(lambda self: self.under_way is not None)
    def give_up(self) -> None:
        """The server was killed: the pack stays behind."""
        self.under_way = None

    @rule()
    def pair_anew(self) -> None:
        self.lineage += 1

    @rule(data=st.data(), state=st.sampled_from(BackupState))
    @precondition(lambda self: self.vault.live)
    def mark(self, data: st.DataObject, state: BackupState) -> None:
        name = data.draw(st.sampled_from([*self.vault.live]))
        stored = self.vault.live[name]
        self.vault.live[name] = replace(
            stored, item=replace(stored.item, state=state, state_time=self.clock)
        )

    @rule(data=st.data(), pinned=st.booleans())
    @precondition(lambda self: self.vault.live)
    def pin(self, data: st.DataObject, *, pinned: bool) -> None:
        name = data.draw(st.sampled_from([*self.vault.live]))
        stored = self.vault.live[name]
        self.vault.live[name] = replace(stored, item=replace(stored.item, pinned=pinned))

    @rule(data=st.data())
    @precondition(lambda self: self.vault.live)
    def delete(self, data: st.DataObject) -> None:
        self._throw(data.draw(st.sampled_from([*self.vault.live])), 7 * DAY)

    @rule(data=st.data())
    @precondition(lambda self: self.vault.trash)
    def undelete(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from([*self.vault.trash]))
        self.vault.live[name] = self.vault.trash.pop(name)[0]

    @rule(policy=policies, days=st.integers(0, 7))
    def apply_retention(self, policy: RetentionPolicy, days: int) -> None:
        before = self.restorable(self.vault.live.values())
        decided = plan([stored.item for stored in self.vault.live.values()], policy, self.clock)
        for name in decided.remove:
            self._throw(name, days * DAY)
        assert self.restorable(self.vault.live.values()).keys() == before.keys()
        again = plan([stored.item for stored in self.vault.live.values()], policy, self.clock)
        assert again.remove == {}

    @rule(everything=st.booleans())
    def purge(self, *, everything: bool) -> None:
        before = self.restorable(self.vault.stored())
        decided = plan_purge(
            [stored.item for stored in self.vault.live.values()],
            [
                Trashed(item=stored.item, trash_time=at, purge_time=due)
                for stored, at, due in self.vault.trash.values()
            ],
            self.clock,
            frozenset(self.vault.trash if everything else ()),
        )
        for name in decided.remove:
            stored, _, _ = self.vault.trash.pop(name)
            self.vault.released |= dict.fromkeys(stored.packs, self.storage_clock)
        assert self.restorable(self.vault.stored()).keys() == before.keys()

    @rule()
    def collect(self) -> None:
        before = self.restorable(self.vault.stored())
        used = frozenset().union(*(stored.packs for stored in self.vault.stored()))
        for pack in garbage(
            self.vault.packs.values(),
            used,
            self.vault.released,
            now=self.clock,
            storage_now=self.storage_clock,
        ):
            del self.vault.packs[pack.key]
        assert self.restorable(self.vault.stored()) == before

    @rule(data=st.data(), jump=st.sampled_from([0, 9]))
    @precondition(lambda self: self.vault.live)
    def delete_for_good(self, data: st.DataObject, jump: int) -> None:
        """Somebody deletes, purges and collects in one go, with the clock running away."""
        self.delete(data)
        self.purge(everything=True)
        self.the_clock_jumps(jump)
        self.collect()

    def _throw(self, name: BackupName, keep: timedelta) -> None:
        self.vault.trash[name] = (self.vault.live.pop(name), self.clock, self.clock + keep)

    def restorable(self, among) -> Counter[str]:
        """How many verified copies with all their packs each device has."""
        return Counter(
            stored.item.lineage
            for stored in among
            if stored.item.is_good and stored.packs <= self.vault.packs.keys()
        )

    @invariant()
    def every_backup_has_its_packs(self) -> None:
        for stored in self.vault.stored():
            assert stored.packs <= self.vault.packs.keys()


TestRounds = Rounds.TestCase
TestRounds.settings = settings(
    max_examples=200,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
