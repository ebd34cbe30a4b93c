"""`roost events`."""

from pathlib import Path

import click
from roost.v1.event_service_pb2 import SubscribeEventsResponse
from roost_client import FileCursor
from roost_client.events import Start, WhenExpired

from .render import event_text, session_line
from .shell import Shell, as_dict, with_server

KINDS = ["session", "message", "receipt", "engine"]
Reason = SubscribeEventsResponse.Bookmark.Reason


@click.command()
@click.argument("sessions", nargs=-1)
@click.option(
    "--kind", "kinds", multiple=True, type=click.Choice(KINDS), help="Default: all but engine."
)
@click.option(
    "--from",
    "start",
    type=click.Choice(["snapshot", "now"]),
    default="snapshot",
    show_default=True,
    help="Where to begin without a cursor.",
)
@click.option("--cursor", default="", help="Go on after this cursor.")
@click.option(
    "--cursor-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep the place in this file and go on there next time.",
)
@click.option(
    "--when-expired",
    type=click.Choice(["raise", "snapshot", "now"]),
    default="raise",
    show_default=True,
    help="When events after the cursor are gone: fail, or begin anew.",
)
@click.option(
    "--count",
    type=click.IntRange(min=1),
    help="End after so many events; what came together is shown together.",
)
@with_server
def command(
    shell: Shell,
    sessions: tuple[str, ...],
    *,
    kinds: tuple[str, ...],
    start: Start,
    cursor: str,
    cursor_file: Path | None,
    when_expired: WhenExpired,
    count: int | None,
) -> None:
    """Follow events of all sessions, or of SESSIONS; survives server restarts.

    With --json each line is {"snapshot": …}, {"event": …} or {"bookmark": …}. Where a line has a
    "cursor", everything up to it was printed.
    """
    shell.roost.admin.info()  # following would wait for a server for ever; fail at once instead
    place = FileCursor(cursor_file) if cursor_file else None
    updates = shell.roost.events.subscribe(
        sessions=sessions,
        kinds=[f"EVENT_KIND_{kind.upper()}" for kind in kinds],
        start=start,
        cursor=place.load() if place else cursor,
        when_expired=when_expired,
    )
    left = count
    for update in updates:
        write(shell, update)
        if place and not update.HasField("snapshot"):
            place.save(update.cursor)
        if left is not None:
            left -= len(update.events)
            if left <= 0:
                break


def write(shell: Shell, update: SubscribeEventsResponse) -> None:
    """Everything in one update; the last line of it carries the cursor."""
    if shell.as_json:
        lines: list[dict[str, object]] = [{"event": as_dict(event)} for event in update.events]
        if update.HasField("snapshot"):
            lines.append({"snapshot": as_dict(update.snapshot)})
        if update.HasField("bookmark"):
            lines.append({"bookmark": Reason.Name(update.bookmark.reason)})
        if lines:
            lines[-1]["cursor"] = update.cursor
        for line in lines:
            shell.emit(**line)
        return
    if update.HasField("snapshot"):
        click.echo(f"{'now':8} {session_line(update.snapshot)}")
    for event in update.events:
        click.echo(event_text(event))
