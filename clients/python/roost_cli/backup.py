"""`roost backup`."""

from pathlib import Path

import click
from roost.v1.backup_pb2 import Backup
from roost_client.backups import Level

from . import backups, keeping, restore, secret
from .exits import OK, UNHEALTHY
from .groups import DefaultGroup
from .progress import follow, transfer
from .render import backup_text, size, verify_text
from .shell import Shell, with_server

LEVELS = ["manifest", "packs", "data", "database", "identity", "engine"]


@click.group(cls=DefaultGroup)
def command() -> None:
    """Backups of credentials. `roost backup SESSION` makes one.

    Where BACKUP is asked for, a session stands for its newest good one.
    """


@command.command()
@click.argument("session")
@click.option("--location", default="", help="Storage location; default: the primary one.")
@with_server
def create(shell: Shell, session: str, *, location: str) -> None:
    """Back the credentials of SESSION up, running or not, and read the copy back."""
    done = follow(shell, shell.roost.backups.create(session, location=location))
    shell.show(done.backup, f"{done.backup.name}  {size(done.backup.size_bytes)}")


@command.command()
@click.argument("backup")
@with_server
def show(shell: Shell, backup: str) -> None:
    """Show one backup."""
    found = shell.roost.backups.get(restore.named(shell, backup))
    shell.show(found, backup_text(found))


@command.command()
@click.argument("backup")
@click.option("--level", type=click.Choice(LEVELS), help="Each with those before it.")
@with_server
def verify(shell: Shell, backup: str, *, level: Level | None) -> int:
    """Read BACKUP back and check it; without --level as it was when it was made."""
    name = restore.named(shell, backup)
    done = follow(shell, shell.roost.backups.verify(name, level=level or "")).verify
    failed = any(not step.passed for step in done.steps)
    shell.show(done, verify_text(done))
    return UNHEALTHY if failed else OK


@command.command()
@click.argument("backup")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@secret.option
@with_server
def export(shell: Shell, backup: str, file: Path | None, *, passphrase_file: Path | None) -> None:
    """Write BACKUP to FILE, sealed with a passphrase; never over another file.

    Any Roost server reads it, with the passphrase and nothing else. Nobody keeps the passphrase.
    """
    name = restore.named(shell, backup)
    target = file or Path(f"{name.split('/')[1]}-{name.split('/')[3]}.roost")
    if target.exists():
        raise click.ClickException(f"{target} exists")
    words = secret.passphrase(shell, passphrase_file, is_new=True)
    with transfer(shell, "Exporting") as progress:
        found = shell.roost.backups.export(name, target, words, progress=progress)
    shell.show(found, f"{target}  {size(target.stat().st_size)}")


@command.command("import")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("session")
@click.option("--location", default="", help="Storage location; default: the primary one.")
@secret.option
@with_server
def import_(
    shell: Shell, file: Path, session: str, *, location: str, passphrase_file: Path | None
) -> None:
    """Make a backup of SESSION out of an exported FILE. Restore it to use it.

    The server need not know the session; one that runs is not touched.
    """
    if not file.exists():
        raise click.BadParameter(f"{file} does not exist", param_hint="FILE")
    words = secret.passphrase(shell, passphrase_file, is_new=False)
    with transfer(shell, "Importing") as progress:
        found: Backup = shell.roost.backups.import_file(
            file, session, words, location=location, progress=progress
        )
    shell.show(found, f"{found.name}\nto use it: roost restore {found.name}")


command.add_command(backups.command, "list")
command.add_command(keeping.delete)
command.add_command(keeping.undelete)
command.add_command(keeping.pin)
command.add_command(keeping.unpin)
command.add_command(restore.command, "restore")
