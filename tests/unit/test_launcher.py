"""`./roost`, the script of a checkout."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STAMP = "cat pyproject.toml constraints.txt | cksum | tr ' ' '-'"


@pytest.fixture
def checkout(tmp_path):
    """A checkout that is set up, with a command that says what it was given."""
    folder = tmp_path / "a checkout"
    (folder / ".venv" / "bin").mkdir(parents=True)
    for name in ("roost", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    stamp = subprocess.run(
        ["/bin/sh", "-c", STAMP], cwd=folder, capture_output=True, text=True, check=True
    ).stdout.strip()
    (folder / ".venv" / f".roost-dev-{stamp}").touch()
    command = folder / ".venv" / "bin" / "roost"
    command.write_text('#!/bin/sh\necho "$0" "$@"\n')
    command.chmod(0o755)
    return folder


def test_it_runs_from_anywhere(checkout, tmp_path):
    """By its path, and by a link to it; both mean the checkout it belongs to."""
    link = tmp_path / "roost"
    link.symlink_to(checkout / "roost")
    for script in (checkout / "roost", link):
        ended = subprocess.run(
            [script, "send", "a b"], cwd="/", capture_output=True, text=True, check=True
        )
        assert ended.stdout == f"{checkout}/.venv/bin/roost send a b\n"
    assert not (tmp_path / ".venv").exists()
