"""The anchors: restic, borg and litestream, each as its users run it, on a checkpointed store."""

import os
import shutil
import subprocess
import sysconfig
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

PASSPHRASE = "anchor"
LIMIT = 120
QUIET = 1.5  # seconds without a change: litestream has settled


class Tool(Protocol):
    """A backup program with a repository of its own."""

    name: str

    def prepare(self) -> None:
        """Makes the repository; not timed."""

    def backup(self, store: Path) -> float:
        """Milliseconds of one backup."""

    def restore(self, store: Path, target: Path) -> float:
        """Milliseconds of bringing the newest one back."""

    def verify(self) -> float | None:
        """Milliseconds of reading and checking all data; None: there is no such command."""

    def stored_bytes(self) -> int:
        """What the repository takes."""

    def close(self) -> None:
        """Ends what is running."""


class _Program:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir()
        self.repository = folder / "repository"
        self.environment = os.environ | {
            "HOME": str(folder),
            "BORG_PASSPHRASE": PASSPHRASE,
            "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
            "RESTIC_PASSWORD": PASSPHRASE,
        }
        self.count = 0

    def run(self, *command: str, where: Path | None = None) -> float:
        begun = time.perf_counter()
        done = subprocess.run(
            command,
            env=self.environment,
            cwd=where or self.folder,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        took = (time.perf_counter() - begun) * 1000
        if done.returncode:
            message = f"{command[0]} ended with {done.returncode}: {done.stderr[-500:]}"
            raise RuntimeError(message)
        return took

    def stored_bytes(self) -> int:
        """All files of the repository."""
        return sum(file.stat().st_size for file in self.repository.rglob("*") if file.is_file())

    def close(self) -> None:
        """Nothing runs."""


class Borg(_Program):
    """With fixed 4 KiB chunks, which suit databases best; encrypted, zstd."""

    name = "borg"

    def prepare(self) -> None:
        """Encrypted, as Roost is."""
        self.run("borg", "init", "--encryption", "repokey-blake2", str(self.repository))

    def backup(self, store: Path) -> float:
        """One archive of the file."""
        self.count += 1
        return self.run(
            *("borg", "create", "--compression", "zstd,3", "--chunker-params", "fixed,4096"),
            f"{self.repository}::{self.count}",
            store.name,
            where=store.parent,
        )

    def restore(self, store: Path, target: Path) -> float:
        """The newest archive."""
        return self.run("borg", "extract", f"{self.repository}::{self.count}", where=target)

    def verify(self) -> float | None:
        """Reads everything."""
        return self.run("borg", "check", "--verify-data", str(self.repository))


class Restic(_Program):
    """As it comes."""

    name = "restic"

    def prepare(self) -> None:
        """Encrypted always."""
        self.run("restic", "init", "--repo", str(self.repository))

    def backup(self, store: Path) -> float:
        """One snapshot of the file."""
        return self.run(
            "restic", "backup", "--repo", str(self.repository), store.name, where=store.parent
        )

    def restore(self, store: Path, target: Path) -> float:
        """The newest snapshot."""
        command = ("restic", "restore", "latest", "--repo", str(self.repository))
        return self.run(*command, "--target", str(target))

    def verify(self) -> float | None:
        """Reads everything."""
        return self.run("restic", "check", "--read-data", "--repo", str(self.repository))


class Litestream(_Program):
    """Beside a store of its own that it follows, to a folder; it does not encrypt.

    Its time is that from the change to the last byte in the folder.
    """

    name = "litestream"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.follower: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """It makes what it needs."""
        self.repository.mkdir()

    def backup(self, store: Path) -> float:
        """Waits until what has changed has arrived."""
        before, begun = self.stored_bytes(), time.perf_counter()
        if self.follower is None:
            command = (_script("litestream"), "replicate", str(store), f"file://{self.repository}")
            self.follower = subprocess.Popen(
                command, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        seen, arrived = before, begun
        while (now := time.perf_counter()) - begun < LIMIT:
            if (size := self.stored_bytes()) != seen:
                seen, arrived = size, now
            if seen != before and now - arrived > QUIET:
                return (arrived - begun) * 1000
            time.sleep(0.01)
        raise TimeoutError

    def restore(self, store: Path, target: Path) -> float:
        """The newest state."""
        command = (_script("litestream"), "restore", "-o", str(target / store.name))
        return self.run(*command, f"file://{self.repository}")

    def verify(self) -> float | None:
        """There is none."""
        return None

    def close(self) -> None:
        """Ends it."""
        if self.follower is not None:
            self.follower.terminate()
            self.follower.wait(LIMIT)


def missing() -> list[str]:
    """Programs that the benchmark needs and cannot get by itself."""
    wanted = {"borg": "borgbackup", "restic": "restic"}
    absent = {name: package for name, package in wanted.items() if shutil.which(name) is None}
    if absent and os.geteuid() == 0 and shutil.which("apt-get"):
        _install([*absent.values()])
    return [package for name, package in absent.items() if shutil.which(name) is None]


def _install(packages: Sequence[str]) -> None:
    for command in (["update", "-q"], ["install", "-y", "-q", *packages]):
        subprocess.run(["apt-get", *command], capture_output=True, timeout=300, check=False)


def _script(name: str) -> str:
    return str(Path(sysconfig.get_path("scripts")) / name)
