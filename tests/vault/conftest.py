"""What tests of the vault's keys share."""

import json
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from server.vault.masterkeys.external import ExternalKey

PROGRAM = Path(__file__).with_name("toy_kms.py")


class Kms:
    """A toy key management service: the program, its key, and how it behaves."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "key").write_bytes(folder.name.encode().ljust(32, b"."))

    def command(self, mode="works"):
        return (sys.executable, str(PROGRAM), str(self.folder), mode)

    def key(self, mode="works", timeout=20.0, pause=0.0):
        seconds = timedelta(seconds=timeout), timedelta(seconds=pause)
        return ExternalKey(self.command(mode), *seconds)

    @property
    def calls(self):
        path = self.folder / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def new_kms(tmp_path):
    def new_kms(name="kms"):
        (tmp_path / name).mkdir()
        return Kms(tmp_path / name)

    return new_kms


@pytest.fixture
def kms(new_kms):
    return new_kms()
