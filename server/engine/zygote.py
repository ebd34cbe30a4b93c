"""A small process that forks the hosts: `python -P -m server.engine.zygote --control-fd N`.

It imports everything a host needs except the Go library, freezes it out of the garbage collector,
stays single-threaded, and forks on request, so hosts start in a few milliseconds and share most
of their memory. It never loads Go itself: Go does not survive a fork.

Requests come on a packet socket as `ZygoteRequest`, each with the new host's stream socket as
ancillary data; `ZygoteReport`s go back, a fork's with a pidfd, so that the server can wait for
and kill exactly that process even if the zygote dies. Its end is not the hosts' end: they notice a
lost server by their own sockets and drain.
"""

import argparse
import contextlib
import ctypes
import errno
import gc
import os
import select
import signal
import socket
from pathlib import Path
from typing import Final, NoReturn

from roost.engine.v1 import frames_pb2 as frames

from . import lock, neonize
from .host import Host
from .version import engine_version

MAX_PACKET: Final = 64 * 1024
_PR_SET_NAME: Final = 15


def main() -> None:
    """Serves until the control socket closes."""
    parser = argparse.ArgumentParser(prog="zygote")
    parser.add_argument("--control-fd", type=int, required=True)
    control = socket.socket(fileno=parser.parse_args().control_fd)
    os.umask(0o077)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    neonize.prepare()
    gc.collect()
    gc.freeze()
    Zygote(control).serve()


class Zygote:
    """Forks and reaps."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def serve(self) -> None:
        """Answers requests and reports exits until the server is gone."""
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._wake_read, select.POLLIN)
        self._report(frames.ZygoteReport(ready=frames.ZygoteReady(engine_version=engine_version())))
        while True:
            for fd, _ in poll.poll():
                if fd == self._wake_read:
                    os.read(self._wake_read, 4096)
                    self._reap()
                elif not self._answer():
                    return

    def _answer(self) -> bool:
        data, fds, _, _ = socket.recv_fds(self._control, MAX_PACKET, 1)
        if not data:
            return False
        request = frames.ZygoteRequest.FromString(data)
        (fd,) = fds
        try:
            pid = os.fork()
        except OSError as error:
            os.close(fd)
            failure = errno.errorcode.get(error.errno or 0, "unknown")
            self._report(
                frames.ZygoteReport(host_forked=frames.HostForked(id=request.id, failure=failure))
            )
            return True
        if pid == 0:
            self._become_host(fd, request.start)
        os.close(fd)
        pidfd = os.pidfd_open(pid)
        self._report(
            frames.ZygoteReport(host_forked=frames.HostForked(id=request.id, pid=pid)), pidfd
        )
        os.close(pidfd)
        return True

    def _become_host(self, fd: int, start: frames.Start) -> NoReturn:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._control.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
        os.setsid()
        _set_process_name(lock.HOST_NAME)
        _redirect_output(Path(start.lock_file).with_name("host.stderr"))
        Host(socket.socket(fileno=fd), start).run()

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while (child := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = child
                exit_code = os.waitstatus_to_exitcode(status)
                self._report(
                    frames.ZygoteReport(host_exited=frames.HostExited(pid=pid, exit_code=exit_code))
                )

    def _report(self, report: frames.ZygoteReport, *fds: int) -> None:
        with contextlib.suppress(OSError):  # a server that is gone is noticed by reading
            socket.send_fds(self._control, [report.SerializeToString()], fds)


def _set_process_name(name: str) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode(), 0, 0, 0)


def _redirect_output(file: Path) -> None:
    """Keeps fd 0 and 1 away from everything, and fd 2 for the last words of a crash.

    Go prints pairing codes and error texts to fd 1. Fd 2 gets Go's reports of fatal errors, which
    hold addresses and no contents; the previous host's words are kept beside.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        file.replace(file.with_suffix(".stderr.1"))
    null = os.open(os.devnull, os.O_RDWR)
    words = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.dup2(words, 2)
    os.close(null)
    os.close(words)


if __name__ == "__main__":
    main()
