"""A handle on a real engine client in a process of its own (`neonize_child.py`)."""

import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

CHILD = Path(__file__).parent / "neonize_child.py"
DEADLINE = 30.0

Event = dict[str, Any]


class NeonizeClient:
    """One linked device, run by the unmodified engine."""

    def __init__(self, store: Path, environment: Mapping[str, str]) -> None:
        """Start the process; `environment` is what the simulator hands to a server."""
        self._log = store.with_suffix(".log").open("ab")
        self._process = subprocess.Popen(
            [sys.executable, CHILD, environment["ROOST_SIMULATOR__ROOT_KEY"], store],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=os.environ
            | {
                "SSL_CERT_FILE": environment["ROOST_SIMULATOR__CA_FILE"],
                "HTTPS_PROXY": environment["ROOST_SIMULATOR__PROXY_URL"],
                "NEONIZE_BOT_TAG": "off",
            },
        )
        self._calls = itertools.count(1)
        self._changed = threading.Condition()
        self._replies: dict[int, Event] = {}
        self.events: list[Event] = []
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """End the process without a word to the server."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._log.close()

    def wait(
        self, kind: str, where: Callable[[Event], bool] = lambda _: True, *, after: int = 0
    ) -> Event:
        """Return the first event of a kind that fits, from a position in `events` on."""

        def found() -> Event | None:
            events = itertools.islice(self.events, after, None)
            return next((e for e in events if e["event"] == kind and where(e)), None)

        with self._changed:
            self._changed.wait_for(lambda: found() or self._ended, DEADLINE)
            event = found()
            assert event is not None, f"no {kind} among {[e['event'] for e in self.events]}"
            return event

    def call(self, op: str, **args: object) -> Any:
        """Ask the engine for something and return its answer."""
        call = next(self._calls)
        assert self._process.stdin is not None
        self._process.stdin.write(
            json.dumps({"call": call, "op": op, "args": args}).encode() + b"\n"
        )
        self._process.stdin.flush()
        with self._changed:
            self._changed.wait_for(lambda: call in self._replies or self._ended, DEADLINE)
            reply = self._replies.pop(call, {"error": "no answer"})
        if "error" in reply:
            raise RuntimeError(f"{op}: {reply['error']}")
        return reply["result"]

    def texts(self) -> list[str]:
        """Return the texts received so far, in order; group key messages have none."""
        with self._changed:
            return [e["text"] for e in self.events if e["event"] == "Message" and e["text"]]

    def wait_texts(self, count: int) -> list[str]:
        """Return the texts once there are that many."""
        deadline = time.monotonic() + DEADLINE
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    sum(e["event"] == "Message" and bool(e["text"]) for e in self.events) >= count
                    or self._ended
                ),
                deadline - time.monotonic(),
            )
        return self.texts()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            with self._changed:
                if "event" in message:
                    self.events.append(message)
                else:
                    self._replies[message["call"]] = message
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()
