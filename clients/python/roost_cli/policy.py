"""`roost vault policy`."""

from datetime import timedelta

import click
from roost.v1.vault_pb2 import BackupPolicy

from .durations import TIME, written
from .render import short
from .shell import Shell, with_server

COUNTS = {"keep_last": "newest", "hourly": "hours", "daily": "days", "weekly": "weeks"} | {
    "monthly": "months"
}


@click.command()
@click.argument("session", default="-")
@click.option("--every", type=TIME, help="A good backup is not older; 0: none by age.")
@click.option("--debounce", type=TIME, help="Quiet time after a change; 0: not on change.")
@click.option("--max-delay", type=TIME, help="At the latest so long after a change.")
@click.option("--keep-within", type=TIME, help="All that are this much younger than the newest.")
@click.option("--keep-last", type=int, help="The newest so many.")
@click.option("--hourly", type=int, help="The last of so many hours.")
@click.option("--daily", type=int, help="The last of so many days.")
@click.option("--weekly", type=int, help="The last of so many weeks.")
@click.option("--monthly", type=int, help="The last of so many months.")
@click.option("--reset", is_flag=True, help="Follow what is configured, or set for all, again.")
@with_server
def policy(
    shell: Shell, /, session: str, *, reset: bool, **changes: timedelta | int | None
) -> None:
    """Show, or change, when SESSION (or all) is backed up, and what is kept.

    What is not given stays. The last good backup of a device is kept whatever this says.
    """
    given = {name: value for name, value in changes.items() if value is not None}
    if reset and given:
        raise click.UsageError("--reset goes with no other change")
    backups = shell.roost.backups
    found = backups.reset_policy(session) if reset else backups.policy(session)
    if given:
        found = backups.set_policy(changed(found, given))
    shell.show(found, policy_text(found))


def changed(found: BackupPolicy, given: dict[str, timedelta | int]) -> BackupPolicy:
    """The policy with what was given."""
    for name, value in given.items():
        owner = found if name in found.DESCRIPTOR.fields_by_name else found.retention
        if isinstance(value, timedelta):
            getattr(owner, name).FromTimedelta(value)
        else:
            setattr(owner, name, value)
    return found


def policy_text(found: BackupPolicy) -> str:
    """In words."""
    kept = found.retention
    counts = [
        f"{getattr(kept, name)} {what}" for name, what in COUNTS.items() if getattr(kept, name)
    ]
    who = "all sessions" if found.parent == "sessions/-" else short(found.parent)
    lines = {
        "policy": f"{who} (inherited)" if found.inherited else who,
        "every": written(found.every),
        "on change": f"after {written(found.debounce)}, at most {written(found.max_delay)}",
        "keep within": written(kept.keep_within),
        "keep": ", ".join(counts),
    }
    if not found.debounce.seconds:
        lines["on change"] = "no"
    return "\n".join(f"{label:13} {value}" for label, value in lines.items() if value)
