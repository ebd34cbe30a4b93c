"""A server that is killed at any storage call loses nothing that it has told anybody of.

200 random points of backups, housekeeping, restores, key rotation and mirroring: before the call,
after it, or between writing a file and giving it its name. A fresh server then finds every object
sound, every backup whole, all that was told still there, the newest good copy of each session
restorable, and can go on at once. See `tests/support/crash_lab.py`.
"""

import json
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from storage_backends.faults import flip_bit

POINTS = {"backups": 65, "prune": 65, "restore": 30, "keys": 20, "mirrors": 25}
MOMENTS = ("BEFORE", "DURING", "AFTER")
WRITES = {"put", "cas", "delete"}


class Lab:
    def __init__(self, root, process):
        self.root = root
        self._process = process

    @classmethod
    @contextmanager
    def running(cls, template):
        memory = Path("/dev/shm")  # a killed process loses no page of the kernel's: no disk needed
        with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
            root = Path(name)
            (root / "base").mkdir()
            with (root / "log").open("wb") as log:
                command = [sys.executable, "-m", "tests.support.crash_lab", name, str(template)]
                process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
                )
            with process:
                lab = cls(root, process)
                assert lab.do("base")["status"] == 0
                yield lab
                process.stdin.close()

    def ask(self, job, **order):
        self._process.stdin.write(json.dumps({"job": job, **order}).encode() + b"\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def do(self, job, **order):
        answer = self.ask(job, **order)
        assert "error" not in answer, answer["error"]
        return answer

    def crash(self, scenario, number, moment):
        """Whether it came so far: how many calls there are varies by a few."""
        done = self.do("crash", scenario=scenario, kill_at=number, moment=moment)
        return done["status"] == -signal.SIGKILL

    def calls(self, scenario):
        return self.do("crash", scenario=scenario, kill_at=0, moment="BEFORE")["calls"]


@pytest.fixture(scope="module")
def lab(make_store):
    with Lab.running(make_store.template) as lab:
        yield lab


@pytest.mark.parametrize("scenario", POINTS)
def test_killed_at_random_points(lab, scenario):
    """At each of them a fresh server finds nothing wrong."""
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    calls = lab.calls(scenario)
    assert lab.do("verify")["problems"] == []
    points = [
        (number, moment)
        for number, call in enumerate(calls, 1)
        for moment in MOMENTS
        if moment != "DURING" or call.split()[0] in WRITES
    ]
    random.Random(seed).shuffle(points)
    killed = 0
    for number, moment in points:
        if lab.crash(scenario, number, moment):
            killed += 1
            found = lab.do("verify")
            where = f"{scenario} killed {moment} call {number} ({calls[number - 1]}), seed {seed}"
            assert found["problems"] == [], where
            assert found["told"] >= 8, where
        if killed == POINTS[scenario]:
            break
    assert killed == POINTS[scenario]


def test_there_are_two_hundred_points():
    """As many as were promised."""
    assert sum(POINTS.values()) >= 200


def damage_pack(backups):
    pack = max((backups / "packs/ann").iterdir())
    pack.write_bytes(flip_bit(pack.read_bytes()))


def lose_backup(backups):
    max((backups / "snapshots/bea").iterdir()).unlink()


def lose_keys(backups):
    shutil.rmtree(backups / "keys/cat")


def tear_manifest(backups):
    manifest = min((backups / "snapshots/ann").iterdir())
    manifest.write_bytes(manifest.read_bytes()[:-1])


@pytest.mark.parametrize("damage", [damage_pack, lose_backup, lose_keys, tear_manifest])
def test_the_lab_sees_what_is_wrong(lab, damage):
    """Or it would prove nothing."""
    lab.calls("restore")
    assert lab.do("verify")["problems"] == []
    damage(lab.root / "crashed/backups")
    found = lab.ask("verify")
    assert found.get("problems") or found.get("error")
