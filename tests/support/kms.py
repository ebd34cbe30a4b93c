"""A toy key management service: a program, its key, and how it behaves (`toy_kms.py`)."""

import json
import secrets
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from server.vault.masterkeys.external import ExternalKey

PROGRAM = Path(__file__).with_name("toy_kms.py")


class Kms:
    """Keeps a key in `folder`; every mode but `works` is a way to behave badly."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "key").write_bytes(secrets.token_bytes(32))

    def command(self, mode: str = "works") -> tuple[str, ...]:
        """What starts the program."""
        return (sys.executable, str(PROGRAM), str(self.folder), mode)

    def setting(self, mode: str = "works") -> dict[str, str]:
        """The server's setting for it."""
        return {"ROOST_BACKUP__EXTERNAL_KEY": json.dumps(self.command(mode))}

    def key(self, mode: str = "works", timeout: float = 20.0, pause: float = 0.0) -> ExternalKey:
        """A master key that asks it."""
        seconds = timedelta(seconds=timeout), timedelta(seconds=pause)
        return ExternalKey(self.command(mode), *seconds)

    @property
    def calls(self) -> list[dict[str, str]]:
        """All requests so far."""
        path = self.folder / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def new_kms(tmp_path: Path) -> Callable[[str], Kms]:
    """Makes key management services, each with a key of its own."""
    return lambda name: Kms(tmp_path / name)


@pytest.fixture
def kms(new_kms: Callable[[str], Kms]) -> Kms:
    """A key management service."""
    return new_kms("kms")
