"""`roost restore`."""

import click
from grpc import StatusCode
from roost.v1.backup_pb2 import Backup
from roost_client import RoostError
from roost_client.backups import Mode

from .progress import follow
from .render import plan_text, short
from .shell import Shell, with_server


@click.command()
@click.argument("backup")
@click.option("--target", default="", metavar="SESSION", help="Default: the backup's own session.")
@click.option(
    "--mode",
    type=click.Choice(["auto", "exact", "rekey"]),
    default="auto",
    show_default=True,
    help="How to treat the ratchets; auto decides and says why.",
)
@click.option("--force", is_flag=True, help="Replace credentials that are there; they go to trash.")
@click.option("--plan", "only_plan", is_flag=True, help="Only show what would be done.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_server
def command(
    shell: Shell, backup: str, *, target: str, mode: Mode, force: bool, only_plan: bool, yes: bool
) -> None:
    """Restore BACKUP (a name from `roost backups`, or a session: its newest good one).

    Shows the plan first and asks. The session must not be running and is left stopped.
    """
    name = named(shell, backup)
    plan = shell.roost.backups.plan_restore(name, target=target, mode=mode)
    if only_plan:
        shell.show(plan, plan_text(plan))
        return
    shell.say(plan_text(plan))
    if plan.replaces_credentials and not force:
        raise RoostError(
            code=StatusCode.FAILED_PRECONDITION,
            reason="CREDENTIALS_EXIST",
            message="the session has credentials",
            metadata={"session": plan.target_session},
        )
    if not yes:
        shell.confirm("Do this?")
    started = shell.roost.backups.restore(name, target=target, mode=mode, force=force)
    done = follow(shell, started)
    session = short(done.restore.plan.target_session)
    shell.show(done.restore, f"restored {session}; connect it with: roost sessions start {session}")


def named(shell: Shell, backup: str) -> str:
    """The full name of a backup; of a session: its newest good one."""
    return backup if "/backups/" in backup else newest(shell, backup)


def newest(shell: Shell, session: str) -> str:
    """The session's newest backup that counts."""
    why = ""
    for backup in shell.roost.backups.list(session):
        if backup.state == Backup.STATE_ACTIVE:
            return backup.name
        why = why or f"; of {backup.name}: {backup.state_reason}"
    raise RoostError(
        code=StatusCode.NOT_FOUND,
        reason="BACKUP_NOT_FOUND",
        message=f"{session} has no restorable backup{why}",
        metadata={"name": session},
    )
