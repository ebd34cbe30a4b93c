"""What every command that talks to a server shares: options, the client, output, errors."""

import functools
import json
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Concatenate, ParamSpec

import click
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from roost_client import Client, RoostError

from .exits import exit_code

P = ParamSpec("P")
PATIENCE = timedelta(seconds=2)  # a person waits

HINTS = {
    "UNAVAILABLE": "Is the server running? Start it with: roost serve",
    "TOKEN_INVALID": "Set ROOST_API_KEY, or run this where the server's admin.key can be read.",
    "CREDENTIALS_EXIST": "With --force they are moved to trash first.",
    "SESSION_LEASED": "Stop it on the other server, or add --take-over.",
    "ENGINE_UNAVAILABLE": "See why with: roost sessions get SESSION",
    "SESSION_NOT_PAIRED": "Link it with: roost pair SESSION (or: roost restore SESSION)",
    "STORE_DAMAGED": "Bring its newest backup back with: roost restore SESSION",
    "SESSION_ALREADY_PAIRED": "To link it anew: roost sessions unlink SESSION",
    "PAIRING_EXPIRED": "Run the same command for a new code.",
    "CURSOR_EXPIRED": "Events were missed. Begin anew with: --when-expired snapshot",
    "PASSPHRASE_WRONG": "Nobody can open the file without the passphrase it was sealed with.",
    "BACKUP_NOT_FOUND": "See what there is, in the vault's trash too: roost backups --deleted",
    "BACKUP_CORRUPT": "Find a good one with: roost backups",
    "TRASH_ITEM_KEPT": "See why with: roost trash purge",
    "SEND_TIMED_OUT": "It may have been sent: look at the chat before you send it again.",
}


class Shell:
    """One run of a command: the client and where to write."""

    def __init__(self, roost: Client, *, data_dir: str, as_json: bool) -> None:
        self.roost = roost
        self.data_dir = data_dir
        self.as_json = as_json

    @property
    def is_interactive(self) -> bool:
        """A person watches standard error: progress is worth drawing."""
        return not self.as_json and sys.stderr.isatty()

    def emit(self, **fields: object) -> None:
        """Writes one JSON object on a line of its own."""
        click.echo(json.dumps(fields, ensure_ascii=False))

    def show(self, message: Message, text: str) -> None:
        """A result: the message with --json, else the text."""
        if self.as_json:
            self.emit(**as_dict(message))
        else:
            click.echo(text)

    def confirm(self, question: str) -> None:
        """Asks for a yes; anything else ends the command. A program says --yes instead."""
        if self.as_json:
            raise click.UsageError("--json does not ask; add --yes")
        if not click.confirm(question, err=True):
            raise click.ClickException("not confirmed, nothing was changed")

    def say(self, text: str) -> None:
        """Something for a person only, beside the result."""
        if not self.as_json:
            click.echo(text, err=True)


def as_dict(message: Message) -> dict[str, object]:
    """The protobuf JSON form: lowerCamelCase keys, enum names, 64-bit numbers as strings."""
    found = MessageToDict(message)
    assert isinstance(found, dict)
    return found


def with_server(function: Callable[Concatenate[Shell, P], int | None]) -> Callable[..., int | None]:
    """Gives a command its server: options, a client, and errors as exit codes."""

    @click.option(
        "--address",
        default="",
        metavar="HOST:PORT",
        help="Server; default: ROOST_ADDRESS, else the one that runs on the data directory.",
    )
    @click.option(
        "--data-dir",
        default="",
        metavar="DIR",
        help="Where to look for a server of this machine; default: ROOST_DATA_DIR.",
    )
    @click.option(
        "--key-file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="File with the API key; default: ROOST_API_KEY, else the data directory's admin.key.",
    )
    @click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
    @functools.wraps(function)
    def command(
        address: str,
        data_dir: str,
        key_file: Path | None,
        as_json: bool,  # noqa: FBT001  (click passes options by name)
        *arguments: P.args,
        **options: P.kwargs,
    ) -> int | None:
        key = key_in(key_file) if key_file else ""
        with Client(address, key, data_dir=data_dir, patience=PATIENCE) as client:
            try:
                return function(
                    Shell(client, data_dir=data_dir, as_json=as_json), *arguments, **options
                )
            except RoostError as error:
                return report(error, as_json=as_json, address=client.target.address)

    return command


def key_in(path: Path) -> str:
    """The key in this file."""
    key = path.read_text().strip()
    if not key:
        raise click.BadParameter(f"{path} is empty", param_hint="--key-file")
    return key


def pairs(labels: tuple[str, ...]) -> dict[str, str]:
    """`("a=b",)` as a mapping."""
    found = {}
    for label in labels:
        key, equals, value = label.partition("=")
        if not equals:
            raise click.BadParameter(f"{label!r} is not KEY=VALUE", param_hint="--label")
        found[key] = value
    return found


def report(error: RoostError, *, as_json: bool, address: str = "") -> int:
    """Says on standard error what went wrong; returns the exit code."""
    if as_json:
        details = {
            "reason": error.reason,
            "code": error.code.name,
            "message": error.message,
            "metadata": error.metadata,
            "violations": [{"field": v.field, "problem": v.problem} for v in error.violations],
            "requestId": error.request_id,
        }
        click.echo(json.dumps({"error": details}, ensure_ascii=False), err=True)
    else:
        click.echo(f"Error: {error}", err=True)
        for violation in error.violations[1:]:
            click.echo(f"       {violation.field}: {violation.problem}", err=True)
        if error.request_id:
            click.echo(f"       request {error.request_id}", err=True)
        if hint := HINTS.get(error.reason):
            where = f" (tried {address})" if error.reason == "UNAVAILABLE" else ""
            click.echo(f"{hint}{where}", err=True)
    return exit_code(error.code.name, error.reason)
