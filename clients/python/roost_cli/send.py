"""`roost send`."""

import sys

import click

from .shell import Shell, with_server


@click.command()
@click.argument("session")
@click.argument("recipient")
@click.argument("text")
@click.option("--request-id", default="", help="UUID4 of your own; makes repeating this safe.")
@with_server
def command(shell: Shell, session: str, recipient: str, text: str, *, request_id: str) -> None:
    """Send TEXT (`-`: standard input) to RECIPIENT: a phone number (`+15551234567`) or a JID."""
    if text == "-":
        text = sys.stdin.read().rstrip("\n")
    sent = shell.roost.messages.send_text(session, recipient, text, request_id=request_id)
    shell.show(sent, f"sent {sent.message_id}")
