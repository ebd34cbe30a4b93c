"""Passphrases, from anywhere but the command line, which everybody on the machine can read."""

import os
from pathlib import Path

import click

from .shell import Shell

VARIABLE = "ROOST_PASSPHRASE"

option = click.option(
    "--passphrase-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help=f"Passphrase in its first line; default: {VARIABLE}, else it asks.",
)


def passphrase(shell: Shell, file: Path | None, *, is_new: bool) -> str:
    """From the file, the variable, or the terminal; twice if it `is_new`."""
    if file is not None:
        found, _, _ = file.read_text().partition("\n")
    else:
        found = os.environ.get(VARIABLE, "")
    if found:
        return found
    if shell.as_json or file is not None:
        raise click.UsageError(f"no passphrase: use --passphrase-file or {VARIABLE}")
    asked: str = click.prompt("Passphrase", hide_input=True, confirmation_prompt=is_new, err=True)
    return asked
