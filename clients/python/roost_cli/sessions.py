"""`roost sessions`."""

from datetime import timedelta

import click
from roost.v1.session_pb2 import Session

from . import imports
from .render import session_line, session_table, session_text
from .shell import Shell, pairs, with_server

STATES = [name.removeprefix("STATE_").lower() for name in Session.State.keys()[1:]]
WAIT = click.option("--wait", is_flag=True, help="Return when it is so, not when it is asked for.")
WAIT_SECONDS = click.option(
    "--timeout", default=60.0, show_default=True, help="Seconds that --wait waits."
)


@click.group()
def command() -> None:
    """Sessions: one linked WhatsApp device each."""


@command.command("list")
@click.option("--state", "states", multiple=True, type=click.Choice(STATES), help="Only these.")
@click.option("--deleted", is_flag=True, help="Also those in trash.")
@with_server
def list_(shell: Shell, *, states: tuple[str, ...], deleted: bool) -> None:
    """List sessions by name."""
    wanted = [f"STATE_{name.upper()}" for name in states]
    found = shell.roost.sessions.list(states=wanted, show_deleted=deleted)
    if shell.as_json:
        for session in found:
            shell.show(session, "")
    else:
        session_table(found)


@command.command()
@click.argument("session")
@with_server
def get(shell: Shell, session: str) -> None:
    """Show one session."""
    found = shell.roost.sessions.get(session)
    shell.show(found, session_text(found))


@command.command()
@click.argument("session_id", default="")
@click.option("--name", "display_name", default="", help="Free text for people.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE")
@click.option("--proxy", "proxy_url", default="", help="http://, https:// or socks5://.")
@with_server
def create(
    shell: Shell, session_id: str, *, display_name: str, labels: tuple[str, ...], proxy_url: str
) -> None:
    """Create a stopped session; without SESSION_ID the server picks one."""
    found = shell.roost.sessions.create(
        session_id, display_name=display_name, labels=pairs(labels), proxy_url=proxy_url
    )
    shell.show(found, session_line(found))


@command.command()
@click.argument("session")
@click.option("--name", "display_name", help="Free text for people.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="Replaces all labels.")
@click.option("--no-labels", is_flag=True, help="Removes all labels.")
@click.option("--proxy", "proxy_url", help="Takes effect with the next connection; '' for none.")
@click.option("--etag", default="", help="Only if the session is still the one with this etag.")
@with_server
def update(
    shell: Shell,
    session: str,
    *,
    display_name: str | None,
    labels: tuple[str, ...],
    no_labels: bool,
    proxy_url: str | None,
    etag: str,
) -> None:
    """Change name, labels or proxy; what is not given stays."""
    found = shell.roost.sessions.update(
        session,
        display_name=display_name,
        labels=pairs(labels) if labels or no_labels else None,
        proxy_url=proxy_url,
        etag=etag,
    )
    shell.show(found, session_text(found))


@command.command()
@click.argument("session")
@WAIT
@WAIT_SECONDS
@with_server
def start(shell: Shell, session: str, *, wait: bool, timeout: float) -> None:
    """Ask for a session to run, now and after every server start."""
    found = shell.roost.sessions.start(session)
    if wait:
        found = shell.roost.sessions.wait_for(session, wait=timedelta(seconds=timeout))
    shell.show(found, session_line(found))


@command.command()
@click.argument("session")
@click.option("--grace", type=float, help="Seconds for sends that are under way; default 10.")
@WAIT
@WAIT_SECONDS
@with_server
def stop(shell: Shell, session: str, *, grace: float | None, wait: bool, timeout: float) -> None:
    """Ask for a session to be down. It stays linked."""
    limit = None if grace is None else timedelta(seconds=grace)
    found = shell.roost.sessions.stop(session, grace=limit)
    if wait:
        down = (Session.STATE_STOPPED, Session.STATE_UNLINKED)
        found = shell.roost.sessions.wait_for(session, down, wait=timedelta(seconds=timeout))
    shell.show(found, session_line(found))


@command.command()
@click.argument("session")
@click.option("--etag", default="", help="Only if the session is still the one with this etag.")
@with_server
def delete(shell: Shell, session: str, *, etag: str) -> None:
    """Stop a session and move it to trash; backups stay. See `undelete`."""
    found = shell.roost.sessions.delete(session, etag=etag)
    shell.show(found, session_text(found))


@command.command()
@click.argument("session")
@with_server
def undelete(shell: Shell, session: str) -> None:
    """Bring a deleted session back, stopped."""
    found = shell.roost.sessions.undelete(session)
    shell.show(found, session_line(found))


@command.command()
@click.argument("session")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_server
def unlink(shell: Shell, session: str, *, yes: bool) -> None:
    """Remove this device from the WhatsApp account; linking it again needs the phone."""
    if not yes:
        shell.confirm(f"Log {session} out on WhatsApp? It must be paired again then")
    found = shell.roost.sessions.unlink(session)
    shell.show(found, session_line(found))


command.add_command(imports.import_)
