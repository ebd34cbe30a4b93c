"""Whoever can write to storage cannot change a backup unseen, nor make a wrong one restore."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from server.core.errors import BackupCorrupt, BackupKeyMissing, BackupNotFound, VaultCorrupt
from server.core.ids import time_ordered_id
from server.core.names import BackupName, SessionName
from server.vault import objects
from server.vault.findings import Head, ProblemKind, VaultCheck
from server.vault.history import Mark, MarkKind, add_mark, newest_mark, read_standing
from server.vault.masterkeys.file import FileKey
from server.vault.model import BackupState
from server.vault.retention import RetentionPolicy
from server.vault.rounds import Rules, run_round
from server.vault.trashing import throw_away
from server.vault.turns import TURN, Turns
from storage_backends.faults import flip_bit
from storage_backends.file import FileBackend, FileConfig
from storage_backends.layers import Checked
from storage_backends.memory import MemoryBackend
from storage_backends.postgres import PostgresBackend, PostgresConfig
from storage_backends.s3 import S3Backend, S3Config
from tests.support.s3 import BUCKET, KEYS
from tests.support.vault import MASTER, SHOP, open_vault

CAFE = SessionName("cafe")
SESSIONS = (SHOP, CAFE)
MASTERS = (MASTER, FileKey(b"\x08" * 32))
ROOTS = (
    objects.KEYS,
    objects.PACKS,
    objects.SNAPSHOTS,
    objects.MARKS,
    objects.TRASH,
    objects.TOMBSTONES,
)
RULES = Rules(policy=RetentionPolicy(keep_last=3), trash=timedelta(hours=1), grace=timedelta(0))
EXAMPLES = {"memory": 100, "file": 40, "postgresql": 20, "s3": 12}
only_local = pytest.mark.parametrize("backend", ["memory", "file"], indirect=True)


@pytest.fixture(params=EXAMPLES)
def backend(request, tmp_path):
    """An empty storage of each kind."""
    match request.param:
        case "memory":
            made = MemoryBackend()
        case "file":
            (tmp_path / "storage").mkdir()
            made = FileBackend(FileConfig(root=tmp_path / "storage"))
        case "postgresql":
            url = request.getfixturevalue("postgres_url")
            made = PostgresBackend(PostgresConfig.from_url(urlsplit(url)))
        case _:
            s3 = request.getfixturevalue("s3")
            config = S3Config(
                bucket=BUCKET,
                prefix=s3.fresh_prefix(),
                endpoint=s3.endpoint,
                region="us-east-1",
                path_style=True,
            )
            made = S3Backend(config, **KEYS)
    with Checked(made) as opened:
        opened.examples = EXAMPLES[request.param]
        yield opened


@dataclass(repr=False)
class Scene:
    """A vault with every kind of object, and how it was at some time before."""

    backend: Checked
    folder: Path
    heads: dict[SessionName, Head]
    sound: dict[str, bytes]
    earlier: dict[str, bytes]
    images: dict[BackupName, bytes]

    def __repr__(self) -> str:
        return "the scene"

    def objects(self) -> dict[str, bytes]:
        return contents(self.backend)

    def put(self, changes: dict[str, bytes | None]) -> None:
        for key, data in changes.items():
            if data is None:
                self.backend.delete(key)
            else:
                self.backend.put(key, data)

    def repair(self) -> None:
        now = self.objects()
        self.put({key: None for key in now if key not in self.sound})
        self.put({key: data for key, data in self.sound.items() if now.get(key) != data})

    def check(self, *, read_data=True) -> VaultCheck | None:
        """None: the vault cannot even be opened, and that is said of its config."""

        async def run() -> VaultCheck:
            async with open_vault(Reopened(self.backend), self.folder, MASTERS) as vault:
                return await vault.check(heads=self.heads, read_data=read_data)

        try:
            return asyncio.run(run())
        except VaultCorrupt:
            return None

    def restore(self) -> tuple[dict[BackupName, BackupCorrupt | None], list[BackupName]]:
        """Every backup that storage says is there: what was wrong, and what came out right.

        Fails if anything else than the image that was backed up comes out.
        """
        refused, right = {}, []

        async def run() -> None:
            async with open_vault(Reopened(self.backend), self.folder, MASTERS) as vault:
                vault.images = self.images
                for session in SESSIONS:
                    for name in await vault.repository.names(session):
                        try:
                            await read_standing(vault.repository, name)
                            assert await vault.restores(name), name
                            right.append(name)
                        except BackupCorrupt as error:
                            refused[name] = error
                        except (BackupKeyMissing, BackupNotFound):
                            refused[name] = None

        with suppress(VaultCorrupt):
            asyncio.run(run())
        return refused, right


class Reopened:
    """The same storage, which stays open when its user closes it."""

    def __init__(self, inner) -> None:
        self._inner = inner

    def __getattr__(self, name):
        return (lambda: None) if name in {"open", "close"} else getattr(self._inner, name)


def contents(backend) -> dict[str, bytes]:
    return {
        info.key: backend.get(info.key)
        for info in backend.list()
        if not info.key.startswith((objects.LEASES, objects.SERVERS))
    }


@pytest.fixture
def scene(backend, tmp_path) -> Scene:
    """Two sessions with incrementals, marks, trash, tombstones and a rotated key."""

    async def build() -> Scene:
        async with open_vault(Reopened(backend), tmp_path / "images", MASTERS) as vault:
            repository, heads, earlier = vault.repository, {}, {}
            turns = Turns(vault.storage, vault.clock)
            for session in SESSIONS:
                for number in range(6):
                    made = await vault.backup(
                        session,
                        pages=12,
                        state=BackupState.SUSPECT if number == 3 else BackupState.ACTIVE,
                    )
                    if number in {2, 5}:
                        mark = Mark(kind=MarkKind.VERIFIED, time=vault.clock.now(), level=5)
                        await add_mark(repository, session, made.name.backup_id, mark)
                    if number == 3:
                        await repository.keys.rotate(session.session_id)
                        now = contents(backend)
                        earlier |= {
                            key: now[key] for key in now if objects.session_of(key) != SHOP
                        } | ({} if earlier else now)
                    async with turns.take() as turn:
                        await run_round(repository, turn, session, RULES)
                    vault.clock.ahead += timedelta(hours=2)
                async with turns.take() as turn:
                    oldest = min(await repository.names(session), key=lambda name: name.backup_id)
                    await throw_away(repository, turn, oldest, "a test", timedelta(hours=1))
                _, sha256 = await repository.read_manifest_and_hash(made.name)
                heads[session] = Head(
                    repository_id=repository.config.repository_id,
                    backup_id=made.name.backup_id,
                    sha256=sha256,
                    mark=await newest_mark(repository, session),
                )
            return Scene(backend, vault.folder, heads, contents(backend), earlier, vault.images)

    scene = asyncio.run(build())
    for root in ROOTS:
        for session in SESSIONS:
            assert any(key.startswith(f"{root}/{session.session_id}/") for key in scene.sound), root
    report = scene.check()
    assert report is not None
    assert report.problems == ()
    return scene


def place(key: str) -> str:
    """What a problem may be called by: that a tombstone or trash is gone shows as the backup's."""
    name = objects.backup_of(key)
    return str(name) if name else key


def damage(draw, scene: Scene) -> dict[str, bytes | None]:
    """Objects changed behind the vault's back; each must be named."""
    key = draw(st.sampled_from(sorted(scene.sound)))
    data = scene.sound[key]
    kind = draw(st.sampled_from(["flip", "cut", "extend", "remove", "exchange", "copy"]))
    root = key.partition("/")[0]
    alike = sorted(each for each in scene.sound if each.startswith(root) and each != key)
    match kind:
        case "flip":
            at = draw(st.integers(0, len(data) - 1))
            bit = 1 << draw(st.integers(0, 7))
            return {key: data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]}
        case "cut":
            return {key: data[: draw(st.integers(0, len(data) - 1))]}
        case "extend":
            return {key: data + draw(st.binary(min_size=1, max_size=40))}
        case "remove":
            return {key: None}
        case "exchange":
            assume(alike)
            other = draw(st.sampled_from(alike))
            return {key: scene.sound[other], other: data}
        case _:  # an old object under a name that nobody has used
            assume(root not in {"config", objects.KEYS})
            folder = key.rpartition("/")[0]
            return {f"{folder}/{time_ordered_id()}": data}


def test_any_damage_is_named_and_never_restored(scene):
    """A flipped bit, a cut, exchanged, copied or missing object: found, named, refused."""

    @settings(
        max_examples=scene.backend.examples,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(st.data())
    def damaged(data: st.DataObject) -> None:
        changes = damage(data.draw, scene)
        scene.put(changes)
        try:
            report = scene.check()
            refused, right = scene.restore()
        finally:
            scene.repair()
        if report is None:
            assert changes.keys() == {objects.CONFIG}
            return
        named = {place(problem.object) for problem in report.problems}
        assert {place(key) for key in changes} <= named
        for error in refused.values():
            assert error is None or error.object in named | changes.keys()
        for found in report.sessions:
            assert found.newest_good is None or found.newest_good in right

    damaged()


@only_local
def test_small_objects_are_proved_without_reading_packs(scene):
    """Every kind but packs, by one flipped bit in each object; packs by their size."""
    packs = {key for key in scene.sound if key.startswith(objects.PACKS)}
    small = scene.sound.keys() - packs - {objects.CONFIG}
    scene.put({key: flip_bit(scene.sound[key], len(scene.sound[key]) * 2 // 3) for key in small})
    report = scene.check(read_data=False)
    assert small <= {problem.object for problem in report.problems}
    scene.repair()
    scene.put({key: scene.sound[key][:-1] for key in packs})
    report = scene.check(read_data=False)
    assert {problem.object: problem.kind for problem in report.problems} == dict.fromkeys(
        packs, ProblemKind.WRONG_SIZE
    )


@only_local
def test_a_purged_backup_that_is_back_is_named_and_refused(scene):
    """Its manifest is genuine, and so are its pages."""
    gone = {
        key: data
        for key, data in scene.earlier.items()
        if key.startswith((objects.SNAPSHOTS, objects.PACKS)) and key not in scene.sound
    }
    replayed = [
        key
        for key in gone
        if objects.tombstone(objects.backup_of(key) or BackupName(SHOP, "x")) in scene.sound
    ]
    assert replayed
    scene.put(gone)
    report = scene.check()
    kinds = {problem.object: problem.kind for problem in report.problems}
    refused, _ = scene.restore()
    for key in replayed:
        assert kinds[key] is ProblemKind.REPLAYED
        assert refused[objects.backup_of(key)].object == key


@only_local
@pytest.mark.parametrize("sessions", [SESSIONS, (SHOP,)])
def test_a_location_rolled_back_is_found_out(scene, sessions):
    """Every object is genuine, only old: what this server saw there last is missing."""
    old = {
        key: data
        for key, data in scene.earlier.items()
        if objects.session_of(key) in sessions or key == objects.CONFIG
    }
    changes = {
        key: old.get(key) for key in scene.sound if objects.session_of(key) in sessions
    } | old
    scene.put(changes)
    report = scene.check()
    kinds = {problem.object: problem.kind for problem in report.problems}
    for session in sessions:
        head = scene.heads[session]
        key = objects.snapshot(BackupName(session, head.backup_id))
        assert kinds[key] is ProblemKind.MISSING
        assert kinds[head.mark] is ProblemKind.MISSING
    _, right = scene.restore()
    assert right


@only_local
def test_another_vault_in_its_place_is_found_out(scene, tmp_path):
    """A vault that is as sound as can be, but not the one that was here."""

    async def build(backend) -> None:
        async with open_vault(backend, tmp_path / "other", MASTERS) as vault:
            await vault.backup(SHOP)

    other = MemoryBackend()
    asyncio.run(build(other))
    scene.put(dict.fromkeys(scene.sound) | contents(other))
    report = scene.check()
    kinds = {problem.object: problem.kind for problem in report.problems}
    assert kinds[objects.CONFIG] is ProblemKind.REPLAYED


@only_local
def test_an_emptied_location_is_found_out(scene):
    """A new vault is made there; what this server saw is missing."""
    scene.put(dict.fromkeys(scene.sound))
    report = scene.check()
    kinds = {problem.object: problem.kind for problem in report.problems}
    assert kinds[objects.CONFIG] is ProblemKind.REPLAYED
    for session, head in scene.heads.items():
        assert kinds[objects.snapshot(BackupName(session, head.backup_id))] is ProblemKind.MISSING
    scene.put({objects.CONFIG: None, TURN: None})
