"""`roost sessions import`."""

from pathlib import Path

import click
from roost.v1.backup_pb2 import ImportResult, RestoreMode
from roost_client.transfers import Format, Mode

from .progress import follow, transfer
from .render import short
from .shell import Shell, pairs, with_server

FORMATS = ["baileys_multi_file", "baileys_single_file", "whatsmeow_sqlite"]


@click.command("import")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("session")
@click.option("--format", "format_", type=click.Choice(FORMATS), help="Else found out.")
@click.option("--mode", type=click.Choice(["auto", "exact", "rekey"]), default="auto")
@click.option(
    "--source-stopped",
    is_flag=True,
    help="The program that used SOURCE ended before it was copied, and will never run again.",
)
@click.option("--device", default="", metavar="JID", help="Which one of a database with several.")
@click.option("--force", is_flag=True, help="Replace credentials that are there; they go to trash.")
@click.option("--name", "display_name", default="", help="Of a session that is made.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE")
@click.option("--proxy", "proxy_url", default="", help="Of a session that is made.")
@with_server
def import_(
    shell: Shell,
    source: Path,
    session: str,
    *,
    format_: Format | None,
    mode: Mode,
    source_stopped: bool,
    device: str,
    force: bool,
    display_name: str,
    labels: tuple[str, ...],
    proxy_url: str,
) -> None:
    """Take over the credentials in SOURCE: a Baileys folder or JSON file, or an SQLite database.

    Stop the other program for good first: two connections of one device end in a logout. SESSION is
    made if need be, and left stopped; a backup is made before anything connects.
    """
    if not source.exists():
        raise click.BadParameter(f"{source} does not exist", param_hint="SOURCE")
    with transfer(shell, "Sending") as progress:
        started = shell.roost.backups.import_credentials(
            source,
            session,
            format=format_ or "",
            mode=mode,
            source_stopped=source_stopped,
            device=device,
            force=force,
            display_name=display_name,
            labels=pairs(labels),
            proxy_url=proxy_url,
            progress=progress,
        )
    done = follow(shell, started).imported
    shell.show(done, imported_text(done))


def imported_text(done: ImportResult) -> str:
    """What was taken over, and how to go on."""
    session = short(done.session)
    mode = RestoreMode.Name(done.mode).removeprefix("RESTORE_MODE_")
    counts = ", ".join(f"{count} {what}" for what, count in sorted(done.counts.items()) if count)
    lines = [
        f"imported {session}",
        f"  mode   {mode}",
        *(f"  why    {reason}" for reason in done.reasons),
        f"  taken  {counts}",
        *(f"  left   {warning}" for warning in done.warnings),
        f"  saved  {done.backup.name or 'no backup could be made; make one with: roost backup'}",
    ]
    if done.trash:
        lines.append(f"  what was there is in {done.trash}")
    return "\n".join([*lines, f"connect it with: roost sessions start {session}"])
