"""Checking one stored backup as thoroughly as is wanted, and writing down what came out.

Levels, each with those before it: 0 its manifest opens, and the one before it is what it says;
1 its packs are there; 2 every page decrypts and the image is the one that was stored; 3 it is a
whole database; 4 its keys belong together; 5 the engine itself opens it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import structlog

from server.core.clock import Clock
from server.core.errors import BackupCorrupt, BackupNotFound, ServerDraining, SessionNotFound
from server.core.names import BackupName
from server.engine.trial import EngineRefused, devices_found
from server.vault.history import Mark, MarkKind, Standing, add_mark, read_standing
from server.vault.model import Backup, BackupState
from server.vault.reading import check_packs, read_image
from server.vault.repository import Repository
from server.vault.workers import Workers

from .catalog import Catalog
from .identity import Device
from .model import VerifyResult, VerifyStep
from .operations import Report
from .ports import Sessions
from .scratch import Scratch
from .showing import shown
from .verify import inspect, understand

logger = structlog.get_logger(__name__)

DATABASE, DRILLED, ENGINE = 3, 4, 5
NAMES = ("MANIFEST", "PACKS", "DATA", "DATABASE", "IDENTITY", "ENGINE")
SAMPLED = 50  # one of so many copies of a session is opened by the engine
OpenByEngine = Callable[[Path], Awaitable[list[str]]]


def wants_engine(
    *, seq: int, fingerprint: str, engine: str, parent: tuple[str, str] | None
) -> bool:
    """Whether the engine should open a new copy: pure.

    `parent`: the fingerprint and the engine version of the copy before it, if there is one. The
    first of a device, the first that another engine wrote, and samples.
    """
    return parent != (fingerprint, engine) or seq % SAMPLED == 0


class _Failed(Exception):
    """A level that was not passed: the problem, in English."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """Reads a backup back from storage and drills it."""

    sessions: Sessions
    catalog: Catalog
    workers: Workers
    scratch: Scratch
    clock: Clock
    open_by_engine: OpenByEngine = devices_found

    async def verify(self, name: BackupName, level: int, report: Report) -> VerifyResult:
        """Checks up to `level`; the first level that does not pass is the last.

        The backup is marked as verified or suspect accordingly, and subscribers hear of it. Damage
        in this location is told but not marked, because the mark would go to others, too. An
        engine that does not answer in time proves nothing: then the level before it counts.

        Raises BackupNotFound, BackupKeyMissing, BackupCorrupt when the manifest is damaged (there
        is nothing to mark then), StorageUnavailable, StorageMisconfigured.
        """
        repository, standing = await self.catalog.find(name)
        steps: list[VerifyStep] = []
        with self.scratch.folder() as folder:
            run = _Run(self, repository, standing, folder / "image.db")
            for number in range(level + 1):
                report(NAMES[number])
                began = self.clock.monotonic()
                try:
                    await run.levels[number]()
                except TimeoutError:
                    logger.warning("backup.engine_did_not_answer", backup=str(name))
                    break
                except _Failed as failure:
                    steps.append(self._step(number, began, str(failure)))
                    break
                steps.append(self._step(number, began, ""))
        backup = await self._mark(repository, standing, steps)
        return VerifyResult(backup=backup, steps=tuple(steps))

    def _step(self, level: int, began: float, problem: str) -> VerifyStep:
        elapsed = timedelta(seconds=self.clock.monotonic() - began)
        return VerifyStep(level=level, problem=problem, elapsed=elapsed)

    async def _mark(
        self, repository: Repository, before: Standing, steps: list[VerifyStep]
    ) -> Backup:
        name, now = before.manifest.name, self.clock.now()
        problem, level = steps[-1].problem, steps[-1].level
        if problem and level < DATABASE:  # of this location alone: another one may be whole
            present = shown(before, repository.location)
            backup = replace(present, state=BackupState.SUSPECT, state_reason=problem)
            logger.error("backup.damaged", backup=str(name), verify_level=level, problem=problem)
            return backup
        if problem:
            mark = Mark(kind=MarkKind.SUSPECT, time=now, reason=problem)
        elif level >= DRILLED:
            mark = Mark(kind=MarkKind.VERIFIED, time=now, level=level)
        else:  # less than what every copy has passed when it was made
            return shown(before, repository.location)
        await add_mark(repository, name.session, name.backup_id, mark)
        after = await read_standing(repository, name)
        backup = shown(after, repository.location)
        log = logger.error if problem else logger.info
        log("backup.verified", backup=str(name), verify_level=level, problem=problem)
        try:
            newest = await repository.newest_name(name.session)
            await self.sessions.tell_backup(name.session, backup, is_newest=newest == name)
        except (SessionNotFound, ServerDraining):
            pass
        return backup


class _Run:
    """The levels of one check."""

    def __init__(
        self, verifier: Verifier, repository: Repository, standing: Standing, image: Path
    ) -> None:
        self._verifier = verifier
        self._repository = repository
        self._manifest = standing.manifest
        self._image = image
        self._device: Device | None = None
        self.levels: tuple[Callable[[], Awaitable[None]], ...] = (
            self._chain,
            self._packs,
            self._data,
            self._database,
            self._identity,
            self._engine,
        )

    async def _chain(self) -> None:
        parent = self._manifest.parent
        if parent is None:
            return
        name = BackupName(self._manifest.name.session, parent.backup_id)
        try:
            _, sha256 = await self._repository.read_manifest_and_hash(name)
        except BackupNotFound:
            return  # retention has removed it
        except BackupCorrupt:
            return  # that one's problem
        if sha256 != parent.sha256:
            raise _Failed("the backup before it is not the one that it was made after")

    async def _packs(self) -> None:
        manifest = self._manifest
        try:
            await check_packs(self._repository, manifest.name, manifest.layout)
        except BackupCorrupt as error:
            raise _Failed(_what(error)) from error

    async def _data(self) -> None:
        try:
            await read_image(self._repository, self._manifest, self._image)
        except BackupCorrupt as error:
            raise _Failed(_what(error)) from error

    async def _database(self) -> None:
        if problems := await self._verifier.workers.run(inspect, self._image):
            raise _Failed("; ".join(problems))

    async def _identity(self) -> None:
        findings = await self._verifier.workers.run(understand, self._image)
        self._device = findings.device
        if findings.problems or findings.device is None:
            raise _Failed("; ".join(findings.problems))
        known = self._manifest.device_fingerprint
        if known and findings.device.fingerprint != known:
            raise _Failed("it holds another device")

    async def _engine(self) -> None:
        assert self._device is not None
        try:
            found = await self._verifier.open_by_engine(self._image)
        except EngineRefused as error:
            raise _Failed("the engine does not open it") from error
        if found != [self._device.jid]:
            raise _Failed("the engine does not find its device")


def _what(error: BackupCorrupt) -> str:
    return f"{error.object}: {error.problem}" if error.object else error.problem
