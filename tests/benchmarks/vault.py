"""The vault beside other backup programs and beside bare storage: `./roost bench vault`.

One store of 25 MB with 5,000 Signal sessions. Roost's time is that of a backup in a running server:
copy, encryption, storing, reading back. "Drilled" has the integrity check too, running beside it;
the others have that as a command of its own, or not at all. Theirs is the time of their process.
Everything is repeated round by round, so that a busy machine slows all of them down alike: compare
the ratios.
"""

import argparse
import asyncio
import hashlib
import logging
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from pathlib import Path

import psycopg
import structlog

from server.backups.locations import Locations
from server.backups.making import find_parent
from server.backups.operations import Operations
from server.backups.scratch import Scratch
from server.backups.service import BackupService
from server.backups.snapshot import take
from server.core.clock import SystemClock
from server.core.names import SessionName, StorageLocationName
from server.engine.base import Account
from server.sessions.model import State
from server.state.database import Database
from server.vault.masterkeys.file import FileKey
from server.vault.packs import PACK_BYTES
from server.vault.reading import read_image
from server.vault.storing import store_image
from storage_backends.registry import Registry, stack
from storage_backends.threaded import AsyncStorage
from tests.backups.fakes import FakeSessions
from tests.benchmarks import vault_stores, vault_tools
from tests.benchmarks.figures import Table, report
from tests.benchmarks.vault_engine import in_a_server
from tests.support import postgres, s3

ANN = SessionName("ann")
MESSAGES = (10, 100, 1000)


class Bench:
    """One server's backups of one session, in one location."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.sessions = FakeSessions(folder / "sessions")

    async def open(self, stack: AsyncExitStack, store: Path) -> None:
        account = Account(jid="15550001111@s.whatsapp.net", lid="", push_name="Ann", device=7)
        session = self.sessions.add(ANN, account, state=State.ACTIVE, connect_epoch=1)
        path = self.sessions.path(session)
        path.parent.mkdir(parents=True)
        vault_stores.settle(store)
        shutil.copy(store, path)
        self.source = path
        database = await stack.enter_async_context(
            Database.open(f"sqlite:///{self.folder / 'roost.db'}")
        )
        locations = await stack.enter_async_context(
            Locations.from_urls({"bench": self.url}, Registry.with_plugins())
        )
        self.service = await stack.enter_async_context(
            BackupService(
                sessions=self.sessions,
                operations=await stack.enter_async_context(Operations(database, SystemClock())),
                locations=locations,
                masters=[FileKey.generate()],
                clock=SystemClock(),
                scratch=Scratch(self.folder / "scratch"),
                engine_version="bench",
            )
        )

    async def backup(self) -> tuple[float, int]:
        """Milliseconds, and new bytes."""
        begun = time.perf_counter()
        made = await self.service.backup_now(ANN)
        return (time.perf_counter() - begun) * 1000, made.new_bytes

    async def store_only(self) -> float:
        """Milliseconds of a backup without its drill: copied, sealed, stored, read back."""
        repository = await self.service.catalog.repository(StorageLocationName("bench"))
        image = self.folder / "image.db"
        begun = time.perf_counter()
        name = await self.service.catalog.new_name(ANN, repository.location)
        await repository.workers.run(take, self.source, image)
        before, link = await find_parent(repository, name)
        assert before is not None
        layout = await store_image(repository, name, image, before, lambda _: None)
        await repository.commit(replace(before, name=name, parent=link, layout=layout))
        took = (time.perf_counter() - begun) * 1000
        image.unlink()
        return took

    async def restore(self) -> float:
        """Milliseconds of reading the newest backup back into a file."""
        (newest,) = await self.service.list(ANN, limit=1)
        repository = await self.service._catalog.repository(StorageLocationName("bench"))
        target = self.folder / "restored.db"
        begun = time.perf_counter()
        manifest = await repository.read_manifest(newest.name)
        await read_image(repository, manifest, target)
        took = (time.perf_counter() - begun) * 1000
        with closing(sqlite3.connect(target)) as image:
            assert image.execute("PRAGMA quick_check").fetchone() == ("ok",)
        target.unlink()
        return took

    def stored_bytes(self) -> int:
        """All files of a filesystem location."""
        root = Path(self.url.removeprefix("file://"))
        return sum(file.stat().st_size for file in root.rglob("*") if file.is_file())


async def beside_tools(folder: Path, rounds: int) -> tuple[Table, list[str]]:
    """First backup, three increments, restore and check, by all four programs, round by round."""
    table = Table()
    for number in range(rounds):
        place = folder / f"round-{number}"
        place.mkdir()
        store = vault_stores.make(place)
        tools: list[vault_tools.Tool] = [
            vault_tools.Litestream(place / "litestream"),
            vault_tools.Borg(place / "borg"),
            vault_tools.Restic(place / "restic"),
        ]
        for tool in tools:
            tool.prepare()
        (place / "roost").mkdir()
        async with AsyncExitStack() as stack:
            bench = Bench(place / "roost", f"file://{place / 'roost' / 'vault'}")
            await bench.open(stack, store)
            followed = place / "followed" / store.name
            followed.parent.mkdir()
            shutil.copy(store, followed)
            for tool in tools:
                stack.callback(tool.close)
            for count in (0, *MESSAGES):
                step = _step(count)
                vault_stores.exchange(bench.source, count)
                before = bench.stored_bytes()
                took, _ = await bench.backup()
                table.add(f"{step}: roost, drilled", took)
                table.add(f"{step}: roost stored", (bench.stored_bytes() - before) / 1e3, "kB")
                if count:
                    vault_stores.exchange(bench.source, count)
                    table.add(f"{step}: roost", await bench.store_only())
                vault_stores.exchange(store, count)
                vault_stores.settle(store)
                vault_stores.exchange(followed, count)
                for tool in tools:
                    source = followed if tool.name == "litestream" else store
                    before = tool.stored_bytes()
                    table.add(f"{step}: {tool.name}", await asyncio.to_thread(tool.backup, source))
                    grown = (tool.stored_bytes() - before) / 1e3
                    table.add(f"{step}: {tool.name} stored", grown, "kB")
            table.add("restore: roost", await bench.restore())
            for tool in tools:
                target = place / f"restored-{tool.name}"
                target.mkdir()
                table.add(
                    f"restore: {tool.name}", await asyncio.to_thread(tool.restore, store, target)
                )
                table.add(f"verify: {tool.name}", await asyncio.to_thread(tool.verify))
            table.add("verify: roost", await _verify(bench))
        shutil.rmtree(place)
    return table, _tool_ratios(table)


async def _verify(bench: Bench) -> float:
    begun = time.perf_counter()
    for backup in await bench.service.list(ANN):
        repository = await bench.service._catalog.repository(StorageLocationName("bench"))
        manifest = await repository.read_manifest(backup.name)
        target = bench.folder / "verified.db"
        await read_image(repository, manifest, target)
        target.unlink()
    return (time.perf_counter() - begun) * 1000


def _step(messages: int) -> str:
    return f"after {messages} messages" if messages else "first"


def _tool_ratios(table: Table) -> list[str]:
    lines = [
        table.ratio("first backup, drilled / borg", "first: roost, drilled", "first: borg", 0.5)
    ]
    for count in MESSAGES:
        step = _step(count)
        lines.append(table.ratio(f"{step} / borg", f"{step}: roost", f"{step}: borg", 0.3))
        whole = table.median(f"{step}: roost, drilled") / table.median(f"{step}: borg")
        lines.append(f"{f'{step}, drilled / borg':<52} {whole:>6.2f} x")
        ours, theirs = f"{step}: roost stored", f"{step}: litestream stored"
        lines.append(table.ratio(f"{step}: bytes / litestream", ours, theirs, 1.1))
    restored = table.ratio("restore / litestream", "restore: roost", "restore: litestream", 1.0)
    return [*lines, restored]


async def beside_bare_storage(folder: Path, rounds: int) -> tuple[Table, list[str]]:
    """A first backup in PostgreSQL and S3, and what its own objects take without a vault."""
    table = Table()
    store = vault_stores.make(folder)
    with postgres.running_server(durable=True) as database, s3.running_server() as buckets:
        for number in range(rounds):
            for place in (Postgres(database), S3(buckets)):
                work = folder / f"{place.name}-{number}"
                work.mkdir()
                async with AsyncExitStack() as opened:
                    bench = Bench(work, place.url())
                    await bench.open(opened, store)
                    await bench.service.list(ANN)  # connected, and the repository made
                    took, size = await bench.backup()
                table.add(f"first backup: {place.name}", took)
                table.add(f"bare put: {place.name}", await asyncio.to_thread(place.put, size))
                await _time_storage(table, place, size)
    lines = []
    for name in (Postgres.name, S3.name):
        bare = f"bare put: {name}"
        lines.append(table.ratio(f"storing / bare put, {name}", f"storing: {name}", bare, 2))
        whole = table.median(f"first backup: {name}") / table.median(bare)
        lines.append(f"{f'whole first backup / bare put, {name}':<52} {whole:>6.2f} x")
    return table, lines


class Postgres:
    """A real server that is durable."""

    name = "postgresql"

    def __init__(self, server: postgres.PostgresServer) -> None:
        self.server = server

    def url(self) -> str:
        """A database of its own."""
        return self.server.create_database()

    def put(self, size: int) -> float:
        """One insert of as many bytes, by the driver alone."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute("CREATE TABLE bare (data bytea)")
            connection.execute("ALTER TABLE bare ALTER data SET STORAGE EXTERNAL")
            data = os.urandom(size)
            begun = time.perf_counter()
            connection.execute("INSERT INTO bare VALUES (%b)", [data])
            return (time.perf_counter() - begun) * 1000


class S3:
    """A real server."""

    name = "s3"

    def __init__(self, server: s3.S3Server) -> None:
        self.server = server

    def url(self) -> str:
        """A prefix of its own."""
        os.environ |= {
            "AWS_ACCESS_KEY_ID": s3.ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": s3.SECRET_KEY,
        }
        prefix, endpoint = self.server.fresh_prefix(), self.server.endpoint
        return f"s3://{s3.BUCKET}/{prefix}?endpoint={endpoint}&path_style=true"

    def put(self, size: int) -> float:
        """One put of as many bytes, by the library alone."""
        with closing(self.server.client()) as client:
            data = os.urandom(size)
            begun = time.perf_counter()
            client.put_object(Bucket=s3.BUCKET, Key=self.server.fresh_prefix(), Body=data)
            return (time.perf_counter() - begun) * 1000


async def _time_storage(table: Table, place: Postgres | S3, size: int) -> None:
    """The storage's share of a backup: its packs put through every layer, one after the other."""
    backend = stack(Registry.with_plugins().create(place.url()))
    async with AsyncStorage(backend) as storage:
        data = os.urandom(size)
        begun = time.perf_counter()
        for number, start in enumerate(range(0, size, PACK_BYTES)):
            part = data[start : start + PACK_BYTES]
            sha256 = hashlib.sha256(part).hexdigest()
            await storage.put(f"packs/{number}", part, if_absent=True, sha256=sha256)
        table.add(f"storing: {place.name}", (time.perf_counter() - begun) * 1000)


def main() -> None:
    """Parses the command line and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    logging.getLogger().setLevel(logging.WARNING)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    if absent := vault_tools.missing():
        sys.exit(f"first install {' and '.join(absent)} (Debian: apt-get install)")
    ratios: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for number, part in enumerate((beside_tools, beside_bare_storage, in_a_server)):
            place = Path(folder) / str(number)
            place.mkdir()
            table, lines = asyncio.run(part(place, options.rounds))
            print(report([*table.figures.values()]), flush=True)
            ratios += lines
    print("", *ratios, sep="\n")


if __name__ == "__main__":
    main()
