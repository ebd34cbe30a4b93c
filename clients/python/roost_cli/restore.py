"""`roost restore`."""

from datetime import datetime

import click
from grpc import StatusCode
from roost.v1.backup_pb2 import Backup
from roost_client import RoostError
from roost_client.backups import Mode

from .progress import follow
from .render import local, plan_text, short
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
@click.option("--start", is_flag=True, help="Start it, watch it, put all back if it is refused.")
@click.option("--take-over", is_flag=True, help="Take the session from another server.")
@click.option("--before", type=click.DateTime(), help="Of SESSION: the newest taken before this.")
@click.option("--plan", "only_plan", is_flag=True, help="Only show what would be done.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_server
def command(
    shell: Shell,
    backup: str,
    *,
    target: str,
    mode: Mode,
    force: bool,
    start: bool,
    take_over: bool,
    before: datetime | None,
    only_plan: bool,
    yes: bool,
) -> None:
    """Restore BACKUP (a name from `roost backups`, or a session: its newest good one).

    Shows the plan first and asks. The session must not be running and is left stopped, unless
    --start says otherwise.
    """
    name = named(shell, backup, before)
    plan = shell.roost.backups.plan_restore(name, target=target, mode=mode, start=start)
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
    started = shell.roost.backups.restore(
        name, target=target, mode=mode, force=force, start=start, take_over=take_over
    )
    done = follow(shell, started).restore
    session = short(done.plan.target_session)
    then = "it is connected" if done.started else f"connect it with: roost sessions start {session}"
    shell.show(done, f"restored {session}; {then}")


def named(shell: Shell, backup: str, before: datetime | None = None) -> str:
    """The full name of a backup; of a session: its newest good one."""
    if "/backups/" not in backup:
        return newest(shell, backup, before)
    if before is not None:
        raise click.UsageError("--before goes with a session, not with one backup")
    return backup


def newest(shell: Shell, session: str, before: datetime | None) -> str:
    """The session's newest backup that counts."""
    why = ""
    for backup in shell.roost.backups.list(session):
        is_early = before is None or local(backup.create_time) < before.astimezone()
        if backup.state == Backup.STATE_ACTIVE and is_early:
            return backup.name
        why = why or f"; of {backup.name}: {backup.state_reason}"
    raise RoostError(
        code=StatusCode.NOT_FOUND,
        reason="BACKUP_NOT_FOUND",
        message=f"{session} has no restorable backup{why}",
        metadata={"name": session},
    )
