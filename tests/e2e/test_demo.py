"""`roost demo` does what it says, from a clean environment, in under a minute."""

import os
import re
import subprocess
import sys
from pathlib import Path

MINUTE = 60
STEPS = [
    "Start a WhatsApp simulator and a server",
    "Create the session",
    "Link it to Ann's phone by QR code",
    "A text from Bob, and one back",
    "Back its credentials up while it is connected",
    "Lose the disk",
    "Restore the backup and connect, without linking again",
    "A text from Bob, and one back",
]
TOLD = [  # in this order
    "demo is STOPPED",
    "demo is CONNECTING",
    "█",
    "Ann's phone scans the code",
    "demo is ACTIVE",
    "Bob writes: hello from Bob, before the loss",
    "Bob reads: hello Bob, before the loss",
    "sessions/demo/backups/",
    "demo is FAILED  STORE_DAMAGED  (to do: restore backup)",
    "REKEY",
    "demo is ACTIVE",
    "Bob writes: hello from Bob, after the loss",
    "Bob reads: hello Bob, after the loss",
    "./roost serve",
    "./roost pair shop --create",
]


def test_the_demo_plays_the_main_job(tmp_path):
    """Every step with its time and what it shows, in order; nothing is left behind."""
    env = {name: value for name, value in os.environ.items() if "ROOST_" not in name}
    played = subprocess.run(
        [Path(sys.executable).with_name("roost"), "demo"],
        env=env | {"TMPDIR": str(tmp_path), "HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=4 * MINUTE,
        check=False,
    )
    assert played.returncode == 0, played.stdout + played.stderr
    assert played.stderr == ""
    heads = re.findall(r"^(\d)\. (.*)$", played.stdout, re.MULTILINE)
    assert [int(number) for number, _ in heads] == list(range(1, len(STEPS) + 1))
    for (_, head), step in zip(heads, STEPS, strict=True):
        assert head.startswith(step)
    times = [float(t) for t in re.findall(r"^   done in ([\d.]+) s$", played.stdout, re.MULTILINE)]
    assert len(times) == len(STEPS)
    assert sum(times) < MINUTE
    place = 0
    for text in TOLD:
        found = played.stdout.find(text, place)
        assert found >= 0, f"{text!r} is missing or too early in:\n{played.stdout}"
        place = found + len(text)
    # Beside the drawing and the scan, which do not wait for it.
    states = re.findall(r"status: demo is (\w+)", played.stdout)
    assert states[:4] == ["STOPPED", "CONNECTING", "PAIRING", "ACTIVE"]
    assert list(tmp_path.iterdir()) == []


def test_a_demo_that_fails_says_so(tmp_path):
    """A server that cannot start: exit code 1 and what it printed."""
    (tmp_path / "server.py").write_text("raise SystemExit('no server today')")
    played = subprocess.run(
        [sys.executable, "-c", "from roost_cli.main import main; main(['demo'])"],
        cwd=tmp_path,
        env=os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=MINUTE,
        check=False,
    )
    assert played.returncode == 1
    assert "no server today" in played.stderr
