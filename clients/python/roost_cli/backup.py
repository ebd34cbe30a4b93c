"""`roost backup`."""

import click

from .progress import follow
from .render import size
from .shell import Shell, with_server


@click.command()
@click.argument("session")
@click.option("--location", default="", help="Storage location; default: the primary one.")
@with_server
def command(shell: Shell, session: str, *, location: str) -> None:
    """Back the credentials of SESSION up, running or not, and read the copy back."""
    done = follow(shell, shell.roost.backups.create(session, location=location))
    shell.show(done.backup, f"{done.backup.name}  {size(done.backup.size_bytes)}")
