"""`roost trash`."""

import click
from roost.v1.maintenance_service_pb2 import PurgeTrashResponse
from roost.v1.trash_pb2 import TrashItem

from .progress import follow
from .render import moment, short, size, table
from .shell import Shell, with_server


@click.group()
def command() -> None:
    """What the server moved out of the way instead of removing it."""


@command.command("list")
@with_server
def list_(shell: Shell) -> None:
    """List everything in trash, newest first."""
    found = shell.roost.trash.list()
    if shell.as_json:
        for item in found:
            shell.show(item, "")
        return
    table(
        ("ITEM", "SESSION", "REASON", "SINCE", "SIZE", "KEPT UNTIL"),
        (
            (
                short_name(item),
                short(item.session),
                item.reason,
                moment(item.trash_time),
                size(item.size_bytes),
                moment(item.purge_time),
            )
            for item in found
        ),
    )


@command.command()
@click.argument("item")
@click.option("--force", is_flag=True, help="Replace credentials that are there; they go to trash.")
@with_server
def restore(shell: Shell, item: str, *, force: bool) -> None:
    """Bring ITEM back: a store with fresh ratchets, a deleted session as it was.

    The session must not be running and is left stopped. A store stays in trash, too.
    """
    done = follow(shell, shell.roost.trash.restore(item, force=force)).untrashed
    session = short(done.session)
    shell.show(done, f"restored {session}; connect it with: roost sessions start {session}")


@command.command()
@click.argument("item", default="-")
@click.option("--yes", is_flag=True, help="Remove ITEM for good, without asking.")
@with_server
def purge(shell: Shell, item: str, *, yes: bool) -> None:
    """Remove ITEM for good. Without ITEM: show what could be removed.

    Its time in trash must be over, and the vault must have a verified copy of its keys.
    """
    if item == "-":
        show_plan(shell, shell.roost.trash.plan_purge())
        return
    if not yes:
        (verdict,) = shell.roost.trash.plan_purge(item).verdicts
        if verdict.may_purge:
            shell.confirm(f"Remove {short_name(verdict.item)} for good?")
    shell.show(shell.roost.trash.purge(item), f"removed {item}")


def show_plan(shell: Shell, plan: PurgeTrashResponse) -> None:
    """What may go, and why the rest may not."""
    if shell.as_json:
        shell.show(plan, "")
        return
    table(
        ("ITEM", "MAY GO", "KEPT BECAUSE"),
        (
            (short_name(each.item), "yes" if each.may_purge else "no", each.kept_because)
            for each in plan.verdicts
        ),
    )


def short_name(item: TrashItem) -> str:
    """`trash/x` as commands take it."""
    return item.name.removeprefix("trash/")
