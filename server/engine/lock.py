"""One host per session, whatever server started it: a lock file with the host's pid inside.

The lock is an flock: the kernel drops it with the process, however that ends. A server that
finds it taken waits for the host of an earlier server to drain, and after a bound kills that
process, and only that one: its pid is in the file, the kernel lists it as the lock's holder, and
its name is that of a host.
"""

import contextlib
import fcntl
import os
import signal
from pathlib import Path
from typing import Final

HOST_NAME: Final = "roost-host"  # at most 15 characters: the kernel's limit


def take(path: Path) -> int | None:
    """Takes the lock for this process's life and writes its pid; None if another one has it."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


def is_free(path: Path) -> bool:
    """Whether no process holds the lock."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True


def kill_holder(path: Path) -> bool:
    """Kills the host that holds the lock; False if that cannot be proven to be one."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError):
        pid = int(path.read_text())
        pidfd = os.pidfd_open(pid)  # from here on the pid cannot become another process
        try:
            name = Path(f"/proc/{pid}/comm").read_text().strip()
            if name == HOST_NAME and pid in _holders(path):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                return True
        finally:
            os.close(pidfd)
    return False


def _holders(path: Path) -> set[int]:
    """The processes that the kernel says hold an flock on the file."""
    inode = str(path.stat().st_ino)
    holders = set()
    for line in Path("/proc/locks").read_text().splitlines():
        # 1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF
        fields = line.split()
        if fields[1] == "FLOCK" and fields[5].rpartition(":")[2] == inode:
            holders.add(int(fields[4]))
    return holders
