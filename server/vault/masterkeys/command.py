"""One request to a program: a JSON line in, a JSON line out, bounded in time and size.

The program is started for each request, without a shell, in a process group of its own, and gets
none of Roost's own environment variables. What it says on stderr is not read.
"""

import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

MAX_ANSWER_BYTES = 64 * 1024
OWN_PREFIX = "ROOST_"


class CommandFailed(Exception):
    """The program gave no answer. Says how it failed, and nothing of what it said."""


def ask(
    command: Sequence[str], request: Mapping[str, str], timeout: timedelta
) -> Mapping[str, Any]:
    """Sends one request and returns the answer, a JSON object.

    Raises:
        CommandFailed: it could not be started, took too long, failed, or gave something else.
    """
    deadline = time.monotonic() + timeout.total_seconds()
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(OWN_PREFIX)
    }
    try:
        child = subprocess.Popen(
            [*command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        raise CommandFailed(f"cannot be started: {type(error).__name__}") from error
    with child:
        try:
            return _parse(_talk(child, json.dumps(request).encode() + b"\n", deadline))
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)


def _talk(child: "subprocess.Popen[bytes]", line: bytes, deadline: float) -> bytes:
    assert child.stdin is not None
    assert child.stdout is not None
    with suppress(BrokenPipeError):  # the exit code says more
        child.stdin.write(line)
    with suppress(BrokenPipeError):
        child.stdin.close()
    answer = bytearray()
    with selectors.DefaultSelector() as ready:
        ready.register(child.stdout, selectors.EVENT_READ)
        while True:
            if not ready.select(max(0.0, deadline - time.monotonic())):
                raise CommandFailed("took too long")
            part = os.read(child.stdout.fileno(), MAX_ANSWER_BYTES)
            answer += part
            if len(answer) > MAX_ANSWER_BYTES:
                raise CommandFailed("gave too long an answer")
            if not part:
                break
    try:
        code = child.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise CommandFailed("took too long") from None
    if code != 0:
        raise CommandFailed(f"ended with code {code}")
    return bytes(answer)


def _parse(answer: bytes) -> Mapping[str, Any]:
    try:
        parsed = json.loads(answer)
    except ValueError:
        raise CommandFailed("gave no JSON") from None
    if not isinstance(parsed, dict):
        raise CommandFailed("gave no JSON object")
    return parsed
