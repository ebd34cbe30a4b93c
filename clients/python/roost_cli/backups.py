"""`roost backups`."""

import click

from .render import backup_table
from .shell import Shell, with_server


@click.command()
@click.argument("session", default="-")
@with_server
def command(shell: Shell, session: str) -> None:
    """List backups of SESSION or of all (even of sessions unknown to this server), newest first."""
    found = shell.roost.backups.list(session)
    if shell.as_json:
        for backup in found:
            shell.show(backup, "")
    else:
        backup_table(found)
