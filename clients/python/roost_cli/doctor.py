"""`roost doctor`."""

import importlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click
from roost_client import RoostError
from roost_client.discovery import default_data_dir

from . import checks
from .checks import Check, Status
from .exits import OK, UNHEALTHY
from .shell import HINTS, Shell, with_server

MARKS = {"ok": "ok", "warning": "!", "problem": "PROBLEM"}


@click.command()
@with_server
def command(shell: Shell) -> int:
    """Check this machine, its configuration and the server. Changes nothing.

    Exits with 9 when there is a problem; warnings are no problem.
    """
    worst = OK
    for check in findings(shell, shell.data_dir):
        if check.status == "problem":
            worst = UNHEALTHY
        if shell.as_json:
            shell.emit(**asdict(check))
        else:
            todo = f"  -> {check.action}" if check.action else ""
            click.echo(f"{MARKS[check.status]:8} {check.name:18} {check.detail}{todo}")
    return worst


def findings(shell: Shell, folder: str) -> Iterator[Check]:
    """All checks, in order."""
    yield checks.python()
    libraries = list(checks.libraries())
    yield from libraries
    if all(check.status == "ok" for check in libraries):
        yield from importlib.import_module(".checks_server", __package__).configured(folder)
    yield from server(shell, Path(folder) if folder else default_data_dir())


def server(shell: Shell, folder: Path) -> Iterator[Check]:
    """It answers, and takes our key."""
    address = shell.roost.target.address
    try:
        info = shell.roost.admin.info()
    except RoostError as error:
        expected = error.reason == "UNAVAILABLE" and not checks.running_pid(folder)
        status: Status = "warning" if expected else "problem"
        yield Check("server", status, f"{address}: {error.reason}", HINTS.get(error.reason, ""))
        return
    yield Check("server", "ok", f"{address}: roost {info.server_version}, {info.engine_version}")
    if info.simulator:
        yield Check("whatsapp", "warning", "sessions talk to a simulator, not to WhatsApp")
