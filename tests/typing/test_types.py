"""What type checkers see of the public Python API."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_client_is_typed_for_its_users():
    """Right uses pass mypy --strict; each wrong use is found, or its ignore would be unused."""
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "tests/typing/client.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout
