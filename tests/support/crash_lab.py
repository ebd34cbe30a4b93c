"""A process in which servers are killed: `python -m tests.support.crash_lab <root> <template>`.

It imports everything once, stays single-threaded, and forks a child for each job, one JSON object
a line on standard input; for each it prints one with the child's exit status and result.
"""

import asyncio
import contextlib
import json
import os
import random
import shutil
import sqlite3
import sys
import traceback
from contextlib import AsyncExitStack, asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path

from server.backups.locations import Locations
from server.backups.model import RestoreMode
from server.backups.operations import Operations
from server.backups.rekeying import protect
from server.backups.scratch import Scratch
from server.backups.service import BackupService
from server.backups.verify import drill
from server.core.names import BackupName, SessionName
from server.engine.base import Account
from server.sessions.model import State
from server.state.database import Database
from server.vault.checking import check
from server.vault.findings import Head
from server.vault.inventory import sessions as sessions_in
from server.vault.inventory import take_inventory
from server.vault.masterkeys.file import FileKey
from server.vault.model import BackupState
from server.vault.replicating import replicate
from server.vault.retention import RetentionPolicy
from server.vault.rounds import Rules, run_round
from server.vault.turns import Turns
from storage_backends.faults import KillAt, Moment
from storage_backends.file import FileBackend, FileConfig
from storage_backends.layers import Checked
from storage_backends.registry import stack
from tests.backups.fakes import FakeSessions
from tests.support.stores import StoreMaker, add_sessions
from tests.support.vault import MovableClock

ANN, BEA, CAT, DAN = (SessionName(name) for name in ("ann", "bea", "cat", "dan"))
DEVICES = {ANN: 7, BEA: 8, CAT: 9}
RULES = Rules(
    policy=RetentionPolicy(keep_last=1), trash=timedelta(hours=1), grace=timedelta(hours=1)
)
MASTERS = [FileKey(bytes([number]) * 32) for number in (1, 2)]


def account(device):
    return Account(
        jid="15550001111@s.whatsapp.net",
        lid="90000000000001@lid",
        push_name="Ann",
        device=device,
    )


class Server:
    """A server over the data folder `root`, with storage that may kill it."""

    def __init__(self, root, kill_at=0, moment=Moment.BEFORE, masters=MASTERS[:1]):
        self.root = root
        self.masters = masters
        self.clock = MovableClock()
        self.calls = []
        self.storages = {
            name: KillAt(FileBackend(FileConfig(root=place)), kill_at, moment, calls=self.calls)
            for name, place in (("backups", root / "backups"), ("mirror", root / "mirror"))
            if name == "backups" or place.exists()
        }
        self.sessions = FakeSessions(root / "sessions")
        self.journal = root / "journal"

    @asynccontextmanager
    async def running(self):
        for folder in sorted((self.root / "sessions").glob("*")):
            self._find(SessionName(folder.name), folder)
        async with AsyncExitStack() as exits:
            enter = exits.enter_async_context
            database = await enter(Database.open(f"sqlite:///{self.root}/roost.db"))
            backends = {name: stack(Checked(each)) for name, each in self.storages.items()}
            locations = await enter(Locations(backends, dict.fromkeys(backends, "file")))
            self.operations = await enter(Operations(database, self.clock))
            self.service = await enter(
                BackupService(
                    sessions=self.sessions,
                    operations=self.operations,
                    locations=locations,
                    masters=self.masters,
                    clock=self.clock,
                    scratch=Scratch(self.root / "scratch"),
                    engine_version="neonize/0.5.2",
                )
            )
            places = [location.name for location in locations.list()]
            repositories = [await self.service._catalog.repository(place) for place in places]
            self.repository, *self.mirrors = repositories
            self.turns = {
                each.location: Turns(each.storage, self.clock, owner="server")
                for each in repositories
            }
            yield self

    def _find(self, name, folder):
        """What the state database would know."""
        epochs = [int(store.parent.name) for store in folder.glob("*/store.db")]
        if epochs:
            self.sessions.add(name, account(7), state=State.STOPPED, connect_epoch=3, clean_epoch=2)
            self.sessions.change(name, store_epoch=max(epochs))

    async def back_up(self, name):
        """Makes a backup, and notes what it was a copy of once it is told that it is done."""
        backup = await self.service.backup_now(name)
        manifest, sha256 = await self.repository.read_manifest_and_hash(backup.name)
        with self.journal.open("a") as file:
            print(backup.name, manifest.layout.image_sha256, sha256, file=file)

    async def prune(self, name):
        async with self.turns[self.repository.location].take() as turn:
            return await run_round(self.repository, turn, name, RULES)

    async def mirror(self, *names):
        """Back what the primary lacks, then on what the mirror lacks."""
        for name in names:
            for mirror in self.mirrors:
                for source, target in ((mirror, self.repository), (self.repository, mirror)):
                    async with self.turns[target.location].take() as turn:
                        leading = target is mirror
                        done = await replicate(source, target, name, turn, leading=leading)
                        assert done.problems == []

    async def restore(self, name, into, mode=RestoreMode.REKEY):
        operation, _ = await self.service.restore(name, into, mode, force=True)
        async with asyncio.timeout(30):
            done = [update async for update in self.operations.watch(operation.name)][-1]
        assert done.failure is None, done.failure

    def change(self, name, count, *, rewrite=False):
        """What an engine would do: some rows more, or nearly all of them anew."""
        store = self.sessions.store_path(name)
        with closing(sqlite3.connect(store)) as connection, connection:
            (jid,) = connection.execute("SELECT jid FROM whatsmeow_device").fetchone()
            if rewrite:
                connection.execute("DELETE FROM whatsmeow_sessions")
            start = random.randrange(10**6, 10**12)
            add_sessions(connection, jid, count, start)

    def pass_hours(self, hours):
        """Makes the clock go on and everything in storage older."""
        self.clock.ahead += timedelta(hours=hours)
        for path in (self.root / "backups").rglob("*"):
            if path.is_file():
                time = path.stat().st_mtime - hours * 3600
                os.utime(path, (time, time))

    def newest(self, name):
        ids = [path.name for path in (self.root / "backups/snapshots" / name.session_id).iterdir()]
        return BackupName(name, max(each for each in ids if not each.startswith("~")))


async def make_base(root, template):
    """The state that every job starts from: three sessions with some history."""
    server = Server(root)
    for name, device in DEVICES.items():
        session = server.sessions.add(name, account(device))
        StoreMaker(template)(server.sessions.path(session), device=device)
        protect(server.sessions.path(session))
    async with server.running():
        for name, backups in ((ANN, 4), (BEA, 3), (CAT, 1)):
            server.change(name, 300)
            for _ in range(backups):
                server.change(name, 5)
                await server.back_up(name)


async def backups(server):
    """Incremental ones, one that stores most pages anew, one after a rotation, two at once."""
    server.change(ANN, 5)
    await server.back_up(ANN)
    server.change(BEA, 400, rewrite=True)
    await server.back_up(BEA)
    await server.service.keys.rotate(CAT)
    await server.back_up(CAT)
    server.change(ANN, 5)
    server.change(BEA, 5)
    async with asyncio.TaskGroup() as group:
        group.create_task(server.back_up(ANN))
        group.create_task(server.back_up(BEA))


async def prune(server):
    """To trash by the policy, then out of it and the packs that nobody needs any more."""
    await server.prune(ANN)
    server.pass_hours(2)
    await server.prune(ANN)
    server.pass_hours(2)
    await server.prune(ANN)
    server.change(BEA, 400, rewrite=True)
    async with asyncio.TaskGroup() as group:
        group.create_task(server.back_up(BEA))
        group.create_task(server.prune(BEA))
    server.pass_hours(2)
    await server.prune(BEA)


async def restore(server):
    """Over the present credentials, and as another session; then a backup of what came of it."""
    await server.restore(server.newest(ANN), ANN)
    await server.back_up(ANN)
    await server.restore(server.newest(BEA), DAN)
    await server.back_up(DAN)


async def keys(server):
    """A second master key, a new data key for everybody, and the first master key retired."""
    server.masters.append(MASTERS[1])
    await server.service.keys.rewrap(None)
    await server.service.keys.rotate(None)
    await server.back_up(ANN)


async def mirrors(server):
    """All of it to another place, and what came, went to trash, and was purged since."""
    await server.mirror(ANN, BEA)
    server.change(ANN, 5)
    await server.back_up(ANN)
    await server.prune(ANN)
    await server.mirror(ANN)
    server.pass_hours(2)
    await server.prune(ANN)
    await server.mirror(ANN)


SCENARIOS = {each.__name__: each for each in (backups, prune, restore, keys, mirrors)}


async def crash(root, scenario, kill_at, moment):
    """Runs until it is killed, or says how many calls there were."""
    if scenario == "mirrors":
        (root / "mirror").mkdir()
    server = Server(root, kill_at, Moment[moment], masters=MASTERS[:1])
    async with server.running():
        await SCENARIOS[scenario](server)
    return {"calls": [f"{call.verb} {call.key.split('/')[0]}" for call in server.calls]}


async def verify(root):
    """What a fresh server finds in the folder of one that was killed: nothing that is wrong."""
    server = Server(root, masters=MASTERS)
    problems = []
    async with server.running():
        if any((root / "scratch").iterdir()):
            problems.append("there are plain copies left in scratch")
        await server.service.keys.rewrap(None)  # a server does so at its start
        await _check_all(server, problems)
        restored = set()
        for name in await sessions_in(server.repository):
            await _check(server, name, problems)
            if await _restore_newest_good(server, name, problems):
                restored.add(name)
        told = _told(server.journal)
        problems += [f"no good copy of {name}" for name in told.keys() - restored]
        await _go_on(server, problems)
        await _check_all(server, problems)
    return {"problems": problems, "told": sum(map(len, told.values()))}


async def _check_all(server, problems):
    """The vault's own check of everything, with what was told as what must be there."""
    repository = server.repository
    heads = {
        name: Head(
            repository_id=repository.config.repository_id,
            backup_id=max(backups),
            sha256=backups[max(backups)][1],
        )
        for name, backups in _told(server.journal).items()
    }
    scratch, heard = server.root / "scratch", lambda *_: None
    for each in (repository, *server.mirrors):
        turns, known = server.turns[each.location], heads if each is repository else {}
        report = await check(each, turns, scratch, known, heard, read_data=True)
        problems += [f"{each.location}: {problem}" for problem in report.problems]


async def _check(server, name, problems):
    """What was told is there, and is a copy of what it was a copy of; in trash, too."""
    inventory = await take_inventory(server.repository, name)
    told = _told(server.journal).get(name, {})
    known = {each.backup_id for each in inventory.tombstones}
    for standing in (*inventory.live, *(each.standing for each in inventory.trash)):
        backup_id, digest = standing.manifest.name.backup_id, standing.manifest.layout.image_sha256
        known.add(backup_id)
        if told.get(backup_id, (digest, ""))[0] != digest:  # `_check_all` has read the image
            problems.append(f"{standing.manifest.name} is of another image")
    problems += [f"{each} of {name} was told, and is gone" for each in told.keys() - known]


async def _restore_newest_good(server, name, problems):
    """Restores it as another session, and compares the device; whether there is one."""
    found = await server.service.list(name, limit=100)
    good = [backup for backup in found if backup.state is BackupState.ACTIVE]
    if not good:
        return False
    newest = good[0].name
    if newest.backup_id < max(_told(server.journal).get(name, [""])):
        problems.append(f"{newest} is not the newest that was told")
    present = server.root / "sessions" / name.session_id
    for store in present.glob("*/store.db"):
        if drill(store).problems:
            problems.append(f"the store of {name} is damaged")
    into = SessionName(f"again-{name.session_id}")
    await server.restore(newest, into)
    findings = drill(server.sessions.store_path(into))
    if findings.problems or findings.device.fingerprint != good[0].device_fingerprint:
        problems.append(f"{newest} restores to something else")
    return True


async def _go_on(server, problems):
    """Work goes on at once: a backup, and a round of housekeeping after which all is well too."""
    for name in (ANN, BEA, CAT):
        server.pass_hours(2)
        done = await server.prune(name)
        if done.collected.stopped:
            problems.append(f"housekeeping stopped: {done.collected.stopped}")
    server.change(BEA, 3)
    await server.back_up(BEA)
    await _check(server, BEA, problems)
    await server.mirror(ANN, BEA, CAT)
    for mirror in server.mirrors:  # it can stand in for the primary
        for name in (ANN, BEA, CAT):
            here, there = [{*await each.names(name)} for each in (server.repository, mirror)]
            problems += [f"{mirror.location} lacks {each}" for each in here - there]
            problems += [f"{mirror.location} still has {each}" for each in there - here]


def _told(journal):
    """By session and id, the backups of which it was told that they are done, with two digests."""
    found = {}
    for line in journal.read_text().splitlines():
        with contextlib.suppress(ValueError):  # cut off
            name, image, manifest = line.split(" ")
            backup = BackupName.parse(name)
            found.setdefault(backup.session, {})[backup.backup_id] = (image, manifest)
    return found


def job(root, template, order):
    match order.pop("job"):
        case "base":
            return asyncio.run(make_base(root / "base", template)) or {}
        case "crash":
            place = root / "crashed"
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(root / "base", place)
            return asyncio.run(crash(place, **order))
        case "verify":
            return asyncio.run(verify(root / "crashed"))
    raise AssertionError(order)


def main():
    root, template = map(Path, sys.argv[1:])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # logs go elsewhere
    for line in sys.stdin:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                answer = job(root, template, json.loads(line))
            except BaseException:  # noqa: BLE001  this is the child's last word
                answer = {"error": traceback.format_exc()}
            os.write(writing, json.dumps(answer).encode())
            os._exit(0)
        os.close(writing)
        with open(reading, "rb") as pipe:  # noqa: PTH123
            answer = json.loads(pipe.read() or b"{}")
        _, status = os.waitpid(child, 0)
        status = os.waitstatus_to_exitcode(status)
        print(json.dumps({**answer, "status": status}), file=answers, flush=True)


if __name__ == "__main__":
    main()
