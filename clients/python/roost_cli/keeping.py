"""`roost vault check` and `retention`; `roost backup delete, undelete, pin, unpin`."""

import click
from roost.v1.vault_pb2 import RetentionResult, VaultCheck

from . import exits
from .progress import follow
from .render import backup_text, moment, short, size, table
from .shell import Shell, with_server


@click.command()
@click.option("--location", default="", help="Storage location; default: the primary one.")
@click.option("--read-data", is_flag=True, help="Read all data and prove every page.")
@with_server
def check(shell: Shell, *, location: str, read_data: bool) -> int:
    """Look at every object in a storage location and name what is wrong."""
    found = follow(shell, shell.roost.vault.check(location, read_data=read_data)).check
    if shell.as_json:
        shell.show(found, "")
    else:
        _show(found)
    return exits.UNHEALTHY if found.problems else exits.OK


@click.command()
@click.argument("session", default="-")
@click.option("--apply", "is_applied", is_flag=True, help="Do it, and not only show it.")
@with_server
def retention(shell: Shell, session: str, *, is_applied: bool) -> None:
    """Show which backups of SESSION or of all would go to trash now, and why the others stay.

    The server does it by itself after good backups, and every day.
    """
    if is_applied:
        result = follow(shell, shell.roost.vault.apply_retention(session)).retention
    else:
        result = shell.roost.vault.plan_retention(session)
    if shell.as_json:
        shell.show(result, "")
        return
    table(
        ("BACKUP", "TAKEN", "", "WHY"),
        (
            (
                item.backup,
                moment(item.create_time),
                "stays" if item.keep else "goes",
                "; ".join(item.reasons),
            )
            for item in result.plan.items
        ),
    )
    click.echo(told(result, is_applied=is_applied))


@click.command()
@click.argument("backup")
@with_server
def delete(shell: Shell, backup: str) -> None:
    """Move BACKUP to the vault's trash; `undelete` brings it back."""
    found = shell.roost.backups.delete(backup)
    shell.show(found, f"in trash until {moment(found.purge_time)}, at least")


@click.command()
@click.argument("backup")
@with_server
def undelete(shell: Shell, backup: str) -> None:
    """Bring BACKUP back out of the vault's trash."""
    found = shell.roost.backups.undelete(backup)
    shell.show(found, backup_text(found))


@click.command()
@click.argument("backup")
@with_server
def pin(shell: Shell, backup: str) -> None:
    """Keep BACKUP, whatever the policy says."""
    found = shell.roost.backups.pin(backup)
    shell.show(found, f"{found.name} is pinned")


@click.command()
@click.argument("backup")
@with_server
def unpin(shell: Shell, backup: str) -> None:
    """Let the policy decide about BACKUP again."""
    found = shell.roost.backups.pin(backup, pinned=False)
    shell.show(found, f"{found.name} is not pinned any more")


def told(result: RetentionResult, *, is_applied: bool) -> str:
    """What was done, or would be, in words."""
    did = "" if is_applied else "would be "
    counts = (
        f"{result.trashed} {did}moved to trash",
        f"{result.purged} {did}purged",
        f"{size(result.collected_bytes)} {did}freed",
    )
    return "\n".join([", ".join(counts), *result.notes])


def _show(found: VaultCheck) -> None:
    place = found.storage_location.removeprefix("storageLocations/")
    how = "all data read" if found.read_data else "data not read; --read-data proves it"
    click.echo(f"{place}: {found.objects} objects, {size(found.bytes)} read ({how})")
    table(
        ("SESSION", "BACKUPS", "NEWEST GOOD"),
        (
            (short(each.name), str(each.backups), each.newest_good or "NONE")
            for each in found.sessions
        ),
    )
    if not found.problems:
        click.echo("no problem found")
        return
    table(
        ("OBJECT", "PROBLEM", "WHAT"),
        ((problem.object, problem.kind, problem.detail) for problem in found.problems),
    )
