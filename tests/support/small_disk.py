"""A disk of few megabytes: a tmpfs that only one command and its children see."""

import os
import subprocess
from functools import cache


@cache
def _own_mounts() -> tuple[str, ...]:
    """How a command gets mounts of its own here."""
    ways = [("unshare", "--user", "--map-root-user", "--mount")]
    if os.geteuid() == 0:
        ways.append(("unshare", "--mount"))
    for way in ways:
        mount = ["mount", "-t", "tmpfs", "none", "/mnt"]
        if subprocess.run([*way, *mount], capture_output=True, check=False).returncode == 0:
            return way
    raise AssertionError("a small disk needs user namespaces or root")


def on_small_disk(folder: str, size: str) -> tuple[str, ...]:
    """What to put before a command for which `folder` is an empty disk of `size` (`4m`)."""
    script = 'mount -t tmpfs -o "size=$2,mode=0777" none "$1" && shift 2 && exec "$@"'
    return (*_own_mounts(), "sh", "-c", script, "sh", folder, size)
