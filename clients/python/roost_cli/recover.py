"""`roost recover`."""

import click
from roost.v1.backup_pb2 import RecoverResult, RestoreMode

from .exits import FAILED, OK
from .progress import follow
from .render import short, table
from .shell import Shell, with_server

Session = RecoverResult.Session


@click.command()
@click.option("--location", default="", help="Storage location; default: the primary one.")
@click.option("--start", is_flag=True, help="Start each session that was restored.")
@click.option("--take-over", is_flag=True, help="Take sessions from other servers that run them.")
@click.option("--plan", "only_plan", is_flag=True, help="Only show what would become of each.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_server
def command(
    shell: Shell, *, location: str, start: bool, take_over: bool, only_plan: bool, yes: bool
) -> int:
    """Bring back every session of a storage location that the server does not have.

    For a new server after the loss of the old one. Shows the plan first and asks. Sessions that are
    here already, or that another server runs, are left alone.
    """
    vault = shell.roost.vault
    if only_plan or not yes:
        planned = follow(shell, vault.recover(location, dry_run=True, take_over=take_over)).recover
        if only_plan:
            return shown(shell, planned)
        if not shell.as_json:
            shown(shell, planned)
        count = sum(each.outcome == Session.OUTCOME_PLANNED for each in planned.sessions)
        shell.confirm(f"Restore {count} sessions?")
    done = follow(shell, vault.recover(location, start=start, take_over=take_over)).recover
    return shown(shell, done)


def shown(shell: Shell, result: RecoverResult) -> int:
    """What became of each session, or would; fails if one could not be recovered."""
    if shell.as_json:
        shell.show(result, "")
    else:
        table(
            ("SESSION", "OUTCOME", "BACKUP", "MODE", "WHY"),
            (
                (
                    short(each.name),
                    Session.Outcome.Name(each.outcome).removeprefix("OUTCOME_"),
                    each.plan.backup.rpartition("/")[2],
                    RestoreMode.Name(each.plan.mode).removeprefix("RESTORE_MODE_")
                    if each.HasField("plan")
                    else "",
                    each.message,
                )
                for each in result.sessions
            ),
        )
    failed = any(each.outcome == Session.OUTCOME_FAILED for each in result.sessions)
    return FAILED if failed else OK
