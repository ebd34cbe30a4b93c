"""Logging for the whole process: structlog and the standard library, one line per event."""

import asyncio
import logging
import sys
import threading
from collections.abc import Mapping
from typing import Any, TextIO

import structlog

from server.core.calls import CURRENT_CALL
from server.core.scrub import describe, field

Event = dict[str, Any]
_FIRST = ("timestamp", "level", "event", "logger")


def _add_call(_logger: Any, _method: str, event: Event) -> Event:
    call = CURRENT_CALL.get()
    if call is not None and not call.is_over:
        event.setdefault("rpc", call.rpc)
        event.setdefault("request_id", call.request_id)
    return event


def _take_exception(_logger: Any, _method: str, event: Event) -> Event:
    found = event.pop("exc_info", None)
    if found is True:
        found = sys.exc_info()
    if isinstance(found, tuple):
        found = found[1]
    if isinstance(found, BaseException):
        event["exception"] = describe(found)
    event.pop("stack_info", None)
    return event


def _scrub_all(_logger: Any, _method: str, event: Event) -> Event:
    for key, value in event.items():
        if key.startswith("_") or key == "exception":  # structlog's own; ours, already scrubbed
            continue
        event[key] = field(key, value)
    return event


def _in_order(_logger: Any, _method: str, event: Event) -> Event:
    """When, how bad, what; then the facts."""
    return {key: event.pop(key) for key in _FIRST if key in event} | event


def _exception_as_text(_logger: Any, _method: str, event: Event) -> Event:
    lines = event.pop("exception", None)
    if lines:
        event["exception"] = "\n" + "\n".join(lines)
    return event


def setup(
    *,
    level: str = "INFO",
    form: str = "auto",
    stream: TextIO | None = None,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Sends all logging of the process to `stream` (stderr).

    Args:
        level: DEBUG, INFO, WARNING or ERROR.
        form: `json`, `console`, or `auto`: console on a terminal, JSON otherwise.
        stream: where to write.
        facts: fields of every line.
    """
    out = sys.stderr if stream is None else stream
    as_json = form == "json" or (form == "auto" and not out.isatty())

    def add_facts(_logger: Any, _method: str, event: Event) -> Event:
        event.update(facts or {})
        return event

    common: list[Any] = [
        add_facts,
        _add_call,
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _take_exception,
        _scrub_all,
    ]
    render: list[Any] = (
        [_in_order, structlog.processors.JSONRenderer(ensure_ascii=False)]
        if as_json
        else [_exception_as_text, structlog.dev.ConsoleRenderer(colors=out.isatty())]
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=common,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("alembic", "sqlalchemy", "asyncio", "grpc"):
        logging.getLogger(noisy).setLevel(max(root.level, logging.WARNING))
    structlog.configure(
        processors=[*common, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(root.level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    logging.captureWarnings(capture=True)
    logging.raiseExceptions = False  # a log call that fails would be printed with its arguments
    _catch_what_nobody_caught()


def watch(loop: asyncio.AbstractEventLoop) -> None:
    """Logs what goes wrong in nobody's hands; asyncio would quote the values of the failed call."""
    log = structlog.get_logger("server.uncaught")

    def failed(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        what = str(context.get("message", "")).partition("<")[0].partition("(")[0].strip()
        log.error("loop.failed", what=what, exc_info=context.get("exception"))

    loop.set_exception_handler(failed)


def _catch_what_nobody_caught() -> None:
    """Python would print such exceptions to stderr with their full text."""
    log = structlog.get_logger("server.uncaught")

    def in_main(_kind: type[BaseException], error: BaseException, _trace: Any) -> None:
        log.critical("process.failed", exc_info=error)

    def in_thread(args: threading.ExceptHookArgs) -> None:
        log.error("thread.failed", exc_info=args.exc_value)

    def unraisable(args: Any) -> None:
        log.error("finalizer.failed", exc_info=args.exc_value)

    sys.excepthook = in_main
    threading.excepthook = in_thread
    sys.unraisablehook = unraisable
