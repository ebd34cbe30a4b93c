"""The real engine as the simulator's tests drive it: neonize in a process of its own."""

import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from simulator import Simulator

Event = dict[str, Any]
_PROGRAM = Path(__file__).with_name("real_client_process.py")


class RealClients:
    """One process of neonize; ends with `close`, by kill, because neonize may hang."""

    def __init__(self, simulator: Simulator, folder: Path) -> None:
        self._folder = folder
        self._calls = itertools.count(1)
        self._events: list[Event] = []
        self._changed = threading.Condition()
        environment = {
            **os.environ,
            "SSL_CERT_FILE": simulator.ca_file,
            "HTTPS_PROXY": simulator.proxy_url,
            "NEONIZE_BOT_TAG": "off",
        }
        with (folder / "neonize.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(_PROGRAM), simulator.root_key_hex],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment,
                cwd=folder,
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        ready = self.wait("", "ready")
        assert ready["copies"] == 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                stream.close()

    def start(self, session: str = "a") -> None:
        """Connect a session, and wait for its first event."""
        self._send(session, do="start", path=str(self._folder / f"{session}.db"))

    def call(self, session: str, do: str, **fields: object) -> Any:
        """Call neonize and return the result."""
        return self.finish(session, self.begin(session, do, **fields))

    def begin(self, session: str, do: str, **fields: object) -> int:
        number = next(self._calls)
        self._send(session, do=do, call=number, **fields)
        return number

    def finish(self, session: str, number: int, timeout: float = 60.0) -> Any:
        done = self.wait(
            session, "result", "failure", where=lambda e: e["call"] == number, timeout=timeout
        )
        if done["event"] == "failure":
            raise RuntimeError(done["text"])
        return done["value"]

    def events(self, session: str, *names: str, after: int = 0) -> list[Event]:
        """What has come, of these names or all."""
        with self._changed:
            return [
                e
                for e in self._events[after:]
                if e["session"] == session and (not names or e["event"] in names)
            ]

    def mark(self) -> int:
        """A place in the events, for `wait`."""
        with self._changed:
            return len(self._events)

    def wait(
        self,
        session: str,
        *names: str,
        where: Callable[[Event], bool] = lambda _: True,
        count: int = 1,
        after: int = 0,
        timeout: float = 30.0,
    ) -> Event:
        """The event that makes it `count` of these names."""
        deadline = time.monotonic() + timeout

        def found() -> list[Event]:
            return [
                e
                for e in self._events[after:]
                if e["session"] == session and e["event"] in names and where(e)
            ]

        with self._changed:
            while len(found()) < count:
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    seen = [e for e in self._events if e["session"] == session]
                    raise AssertionError(f"no {count} x {names} in {timeout} s; came: {seen}")
            return found()[count - 1]

    def _send(self, session: str, **command: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"session": session, **command}) + "\n")
        self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self._events.append(json.loads(line))
                self._changed.notify_all()
        with self._changed:
            self._events.append({"session": "", "event": "process-ended"})
            self._changed.notify_all()


def eventually(fact: Callable[[], bool], timeout: float = 10.0) -> None:
    """Wait until something outside of the events has become true."""
    deadline = time.monotonic() + timeout
    while not fact():
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.02)
