"""`roost backups`."""

import click

from .render import backup_table
from .shell import Shell, with_server


@click.command()
@click.argument("session", default="-")
@click.option("--deleted", is_flag=True, help="Those in the vault's trash, too.")
@with_server
def command(shell: Shell, session: str, *, deleted: bool) -> None:
    """List backups of SESSION or of all (even of sessions unknown to this server), newest first."""
    found = shell.roost.backups.list(session, show_deleted=deleted)
    if shell.as_json:
        for backup in found:
            shell.show(backup, "")
    else:
        backup_table(found)
