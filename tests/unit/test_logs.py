"""What a log line holds, and what it never does."""

import asyncio
import io
import json
import logging
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog

from server import logs
from server.core.calls import CURRENT_CALL, Call
from server.core.errors import SessionNotFound
from server.core.names import SessionName
from server.core.scrub import describe, scrub, scrubbed
from server.sessions.model import State

SECRETS = [
    "15551234567@s.whatsapp.net",
    "15551234567:12@s.whatsapp.net",
    "123456789012345@lid",
    "12036304-1234567@g.us",
    "2@AbCdEfGhIjKl+/=,ZYXWVUTS12345678,QQQQQQQQ1234=,A1",
    "ABCD-2345",
    "+15551234567",
    "+1 555 123-4567",
    "15551234567",
    "Bearer abcdef",
    "roost_0123456789abcdefghijklmnop",
    "http://user:password@proxy",
]


@pytest.fixture
def out():
    """The lines logged by a test, and logging as it was afterwards."""
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    hooks = sys.excepthook, sys.unraisablehook
    stream = io.StringIO()
    logs.setup(level="DEBUG", form="json", stream=stream)
    structlog.configure(cache_logger_on_first_use=False)
    yield stream
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    logging.raiseExceptions = True
    sys.excepthook, sys.unraisablehook = hooks
    root.handlers[:], root.level = kept, level


def lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize("secret", SECRETS)
def test_what_looks_like_a_secret_is_replaced_inside_any_text(secret):
    """Whoever wrote the text."""
    text = scrub(f"before {secret} after")
    assert secret not in text
    assert text.startswith("before ")
    assert text.endswith(" after")


@pytest.mark.parametrize(
    "text",
    ["sessions/a", "operations/0mabc1", "2026-11-22T12:00:00+00:00", "127.0.0.1:50051", "15|8"],
)
def test_ordinary_values_stay_readable(text):
    """Names, instants and addresses are what a log is for."""
    assert scrub(text) == text


def test_values_become_plain_json_without_any_foreign_repr():
    """A repr might print everything an object holds."""

    class Chatty:
        def __repr__(self):
            raise AssertionError

    instant = datetime(2026, 11, 22, tzinfo=UTC)
    assert scrubbed(
        [State.ACTIVE, instant, timedelta(seconds=2), SessionName("a"), Path("/x")]
    ) == [
        "active",
        "2026-11-22T00:00:00+00:00",
        2.0,
        "sessions/a",
        "/x",
    ]
    assert scrubbed(Chatty()) == "<Chatty>"
    assert scrubbed(b"secret") == "<bytes>"
    assert scrubbed({"text": "hello", "n": 1, "proxy_url": ""}) == {
        "text": "***",
        "n": 1,
        "proxy_url": "",
    }


def test_an_exception_is_described_without_quoting_its_data():
    """A ValueError's text is often the value; a domain error's text is ours."""
    try:
        try:
            int("planted")
        except ValueError as error:
            raise SessionNotFound(name="sessions/a") from error
    except SessionNotFound as error:
        text = "\n".join(describe(error))
    assert "planted" not in text
    assert "ValueError" in text
    assert "SessionNotFound: sessions/a does not exist." in text
    assert "test_logs.py:" in text


def test_exceptions_in_a_group_are_all_described():
    """A TaskGroup's failure names each cause."""
    text = "\n".join(describe(ExceptionGroup("g", [RuntimeError("one"), KeyError("planted")])))
    assert "RuntimeError: one" in text
    assert "KeyError" in text
    assert "planted" not in text


def test_a_line_has_its_call_its_facts_and_masked_secrets(out):
    """Fields, not sentences."""
    token = CURRENT_CALL.set(Call("roost.v1.SessionService/GetSession", [("x-request-id", "r-1")]))
    structlog.get_logger("here").info("session.started", session="sessions/a", recipient="planted")
    CURRENT_CALL.reset(token)
    (line,) = lines(out)
    assert line["event"] == "session.started"
    assert line["level"] == "info"
    assert line["logger"] == "here"
    assert line["session"] == "sessions/a"
    assert line["recipient"] == "***"
    assert line["rpc"] == "roost.v1.SessionService/GetSession"
    assert line["request_id"] == "r-1"
    assert "timestamp" in line


def test_a_task_that_outlives_its_call_logs_without_it(out):
    """A session's own tasks inherit the call that started them."""
    call = Call("roost.v1.SessionService/PairSession")
    token = CURRENT_CALL.set(call)
    call.is_over = True
    structlog.get_logger().info("session.state_changed")
    CURRENT_CALL.reset(token)
    (line,) = lines(out)
    assert "rpc" not in line
    assert "request_id" not in line


def test_the_standard_library_passes_the_same_gate(out):
    """Third parties log too."""
    error = RuntimeError("to 15551234567@s.whatsapp.net")
    logging.getLogger("third.party").error("sent to %s", "+15551234567", exc_info=error)
    (line,) = lines(out)
    assert line["event"] == "sent to <phone>"
    assert "RuntimeError: to <jid>" in line["exception"]
    assert "1555" not in out.getvalue()


def test_a_request_id_is_the_callers_or_a_fresh_one():
    """One that could break a log line is not taken over."""
    assert Call("m", [("x-request-id", "abc")]).request_id == "abc"
    made = Call("m", [("x-request-id", "a b\n")])
    assert made.request_id != "a b\n"
    assert made.request_id == made.request_id


def test_what_nobody_caught_is_logged_and_not_printed():
    """Python's own traceback would show the exception's text."""
    program = (
        "import threading\n"
        "from server import logs\n"
        "logs.setup(form='json')\n"
        "def fail(): raise ValueError('planted')\n"
        "thread = threading.Thread(target=fail); thread.start(); thread.join()\n"
        "fail()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "planted" not in done.stdout + done.stderr
    events = [json.loads(line)["event"] for line in done.stderr.splitlines()]
    assert events == ["thread.failed", "process.failed"]


async def test_what_fails_in_the_loop_is_logged_without_its_values(out):
    """asyncio's own report quotes the arguments of the callback and the exception's text."""
    loop = asyncio.get_running_loop()
    logs.watch(loop)

    def fail(_secret):
        raise ValueError("planted")

    loop.call_soon(fail, "planted")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    loop.set_exception_handler(None)
    (line,) = lines(out)
    assert line["event"] == "loop.failed"
    assert line["what"].startswith("Exception in callback test_what_fails")
    assert "ValueError" in line["exception"]
    assert "planted" not in out.getvalue()


def test_facts_are_on_every_line(out):
    """Nobody may take a simulator's log for the real thing."""
    stream = io.StringIO()
    logs.setup(form="json", stream=stream, facts={"simulator": True})
    structlog.configure(cache_logger_on_first_use=False)
    structlog.get_logger().info("one.happened")
    logging.getLogger("third.party").warning("two")
    assert [line["simulator"] for line in lines(stream)] == [True, True]


def test_a_console_line_is_readable(out):
    """On a terminal there is no JSON."""
    stream = io.StringIO()
    logs.setup(form="console", stream=stream)
    structlog.configure(cache_logger_on_first_use=False)
    structlog.get_logger("x").error("call.failed", exc_info=RuntimeError("why"))
    assert "call.failed" in stream.getvalue()
    assert "RuntimeError: why" in stream.getvalue()
