"""`roost vault`."""

import click
from roost.v1.vault_pb2 import KeyRotation

from . import keeping
from .policy import policy
from .progress import follow
from .render import moment, short, size, table
from .shell import Shell, with_server


@click.group()
def command() -> None:
    """Where backups are: figures, keys, and when they are made and kept."""


command.add_command(policy)
command.add_command(keeping.check)
command.add_command(keeping.retention)


@command.command()
@click.option("--location", default="", help="Storage location; default: the primary one.")
@with_server
def stats(shell: Shell, *, location: str) -> None:
    """Show what is stored: bytes, backups, who can open them."""
    found = shell.roost.vault.stats(location)
    if shell.as_json:
        shell.show(found, "")
        return
    stored, plain = found.stored_bytes, found.logical_bytes
    ratio = f" ({plain / stored:.1f} times as much in backups)" if stored else ""
    click.echo(f"{found.storage_location.removeprefix('storageLocations/')}: ", nl=False)
    click.echo(f"{size(stored)} in {found.objects} objects{ratio}")
    for key in found.master_keys:
        click.echo(f"key {key.id}  {key.kind or 'not configured'}  opens {key.wraps} data keys")
    table(
        ("SESSION", "BACKUPS", "IN TRASH", "STORED", "BACKED UP", "GARBAGE", "NEWEST GOOD"),
        (
            (
                short(each.name),
                str(each.backups),
                str(each.trashed or ""),
                size(each.stored_bytes),
                size(each.logical_bytes),
                size(each.garbage_bytes) if each.garbage_bytes else "",
                moment(each.newest_good_time) or "NONE",
            )
            for each in found.sessions
        ),
    )


@command.command()
@click.option("--location", default="", help="Storage location; default: the primary one.")
@with_server
def keys(shell: Shell, *, location: str) -> None:
    """List the master keys that can open the backups; any one of them is enough."""
    found = shell.roost.vault.master_keys(location)
    if shell.as_json:
        shell.show(found, "")
        return
    table(
        ("MASTER KEY", "KIND", "OPENS"),
        (
            (each.id, each.kind or "not configured", f"{each.wraps} of {found.data_keys}")
            for each in found.master_keys
        ),
    )


@command.command()
@click.argument("session", default="-")
@with_server
def rotate(shell: Shell, session: str) -> None:
    """Make new data keys, of SESSION or of all; old backups stay readable."""
    done = follow(shell, shell.roost.vault.rotate(session)).rotation
    shell.show(done, f"new keys for {done.rotated} sessions; their next backups are full ones")


@command.command()
@click.argument("session", default="-")
@with_server
def rewrap(shell: Shell, session: str) -> None:
    """Read all wrapped keys, add missing ones and mend damaged ones."""
    done = follow(shell, shell.roost.vault.rewrap(session)).rotation
    shell.show(done, told(done))


@command.command()
@click.argument("master_key")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_server
def retire(shell: Shell, master_key: str, *, yes: bool) -> None:
    """Remove what is wrapped for MASTER_KEY, which is no longer configured.

    What no other configured master key opens is kept.
    """
    if not yes:
        shell.confirm(f"Remove what is wrapped for the master key {master_key}?")
    done = follow(shell, shell.roost.vault.retire(master_key)).rotation
    shell.show(done, told(done))


def told(done: KeyRotation) -> str:
    """What happened to wrapped keys, in words."""
    counts = {
        "in order": done.wraps_present,
        "added": done.wraps_added,
        "mended": done.wraps_repaired,
        "waiting for a master key that is away": done.wraps_delayed,
        "removed": done.wraps_removed,
    }
    lines = [", ".join(f"{count} {what}" for what, count in counts.items() if count) or "nothing"]
    lines += [f"no other master key opens {each}" for each in done.unreadable]
    return "\n".join(lines)
