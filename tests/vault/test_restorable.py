"""Real backups, real retention, real collections: every device keeps a copy that restores."""

import asyncio
import shutil
import tempfile
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from server.vault import objects
from server.vault.history import Mark, MarkKind, add_mark, read_history
from server.vault.inventory import take_inventory
from server.vault.model import BackupKind, BackupState
from server.vault.retention import RetentionPolicy
from server.vault.rounds import Rules, run_round
from server.vault.trashing import bring_back, throw_away
from server.vault.turns import Turns
from storage_backends.memory import MemoryBackend
from tests.support.vault import SHOP, open_vault

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
policies = st.sampled_from(
    [
        RetentionPolicy(keep_last=1),
        RetentionPolicy(keep_within=HOUR),
        RetentionPolicy(hourly=1, daily=1),
        RetentionPolicy(keep_last=2, weekly=1, monthly=1),
    ]
)


class Storage(RuleBasedStateMachine):
    """What the pure planner promises, shown by restoring."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.device = 0

    def run(self, work):
        return self.runner.run(work)

    @initialize()
    def start(self) -> None:
        async def start() -> None:
            opened = open_vault(MemoryBackend(), self.folder)
            self.vault = await self.stack.enter_async_context(opened)
            self.turns = Turns(self.vault.storage, self.vault.clock)

        self.run(start())
        self.backup(BackupKind.PAIRED, BackupState.ACTIVE, 1)

    def teardown(self) -> None:
        self.run(self.stack.aclose())
        self.runner.close()
        shutil.rmtree(self.folder)

    @rule(
        kind=st.sampled_from(BackupKind),
        state=st.sampled_from([BackupState.ACTIVE] * 3 + [BackupState.SUSPECT]),
        changed=st.integers(0, 12),
    )
    def backup(self, kind: BackupKind, state: BackupState, changed: int) -> None:
        self.run(
            self.vault.backup(
                pages=12,
                changed=changed,
                kind=kind,
                state=state,
                device_fingerprint=f"{self.device:064}",
            )
        )

    @rule()
    def pair_anew(self) -> None:
        self.device += 1

    @rule(hours=st.sampled_from([2, 30, 24 * 9, -24 * 9]))
    def the_clock_moves(self, hours: int) -> None:
        self.vault.clock.ahead += hours * HOUR

    @rule(kind=st.sampled_from([MarkKind.SUSPECT, MarkKind.VERIFIED, MarkKind.PINNED]))
    def mark_the_newest(self, kind: MarkKind) -> None:
        async def mark() -> None:
            newest = await self.vault.repository.newest_name(SHOP)
            if newest is not None:
                mark = Mark(kind=kind, time=self.vault.clock.now())
                await add_mark(self.vault.repository, SHOP, newest.backup_id, mark)

        self.run(mark())

    @rule()
    def revoke(self) -> None:
        mark = Mark(kind=MarkKind.REVOKED, time=self.vault.clock.now())
        target = objects.lineage(f"{self.device:064}")
        self.run(add_mark(self.vault.repository, SHOP, target, mark))

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        names = sorted(self.run(self.vault.repository.names(SHOP)))
        if names:
            name = data.draw(st.sampled_from(names))

            async def delete() -> None:
                async with self.turns.take() as turn:
                    await throw_away(self.vault.repository, turn, name, "", HOUR)

            self.run(delete())

    @rule(data=st.data())
    def undelete(self, data: st.DataObject) -> None:
        inventory = self.run(take_inventory(self.vault.repository, SHOP))
        if inventory.trash:
            found = data.draw(st.sampled_from(inventory.trash))
            name = found.standing.manifest.name

            async def undelete() -> None:
                async with self.turns.take() as turn:
                    await bring_back(self.vault.repository, turn, name)

            self.run(undelete())

    @rule(policy=policies, grace=st.sampled_from([timedelta(), DAY]), everything=st.booleans())
    def clean(self, policy: RetentionPolicy, grace: timedelta, *, everything: bool) -> None:
        """Whatever had a good copy still has one, and it restores."""
        rules = Rules(policy=policy, trash=HOUR, grace=grace, fold_age=timedelta(), fold_least=2)

        async def clean() -> None:
            before = await take_inventory(self.vault.repository, SHOP)
            at_once = {each.standing.manifest.name for each in before.trash} if everything else ()
            async with self.turns.take() as turn:
                await run_round(self.vault.repository, turn, SHOP, rules, frozenset(at_once))
            after = await take_inventory(self.vault.repository, SHOP)
            assert good(after) == good(before)
            history = await read_history(self.vault.repository, SHOP)
            assert not history.unreadable
            for standing in history.standings:
                assert await self.vault.restores(standing.manifest.name)
            for each in after.trash:
                assert after.is_whole(each.standing.manifest)
            async with self.turns.take() as turn:
                again = await run_round(self.vault.repository, turn, SHOP, rules)
            assert not again.retention.remove

        self.run(clean())

    @rule()
    def check(self) -> None:
        """Nothing of all this looks like damage."""
        assert self.run(self.vault.check(read_data=True)).problems == ()


def good(inventory) -> set[str]:
    """Devices with a verified copy that has all its pages, live or in trash."""
    items = [*inventory.items(), *(each.item for each in inventory.trashed())]
    return {item.lineage for item in items if item.is_good}


TestStorage = Storage.TestCase
TestStorage.settings = settings(
    max_examples=30,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
