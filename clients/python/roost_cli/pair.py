"""`roost pair`."""

import click
from roost.v1.session_service_pb2 import PairSessionResponse
from roost_client import RoostError

from .qr import Canvas, drawn
from .render import local, short
from .shell import Shell, with_server


@click.command()
@click.argument("session")
@click.option("--phone", default="", metavar="NUMBER", help="Show a code to type on this phone.")
@click.option("--create", is_flag=True, help="Create the session first if there is none.")
@with_server
def command(shell: Shell, session: str, *, phone: str, create: bool) -> None:
    """Link SESSION to a phone: draws a QR code and replaces it until it is scanned.

    On the phone: WhatsApp > Settings > Linked devices > Link a device. With --phone
    (`+15551234567`): there, "Link with phone number instead".
    """
    if create:
        ensure(shell, session)
    canvas = Canvas()
    for step in shell.roost.sessions.pair(session, phone=phone):
        shell.show(step, "") if shell.as_json else show(canvas, step, session)


def ensure(shell: Shell, session: str) -> None:
    """Creates the session unless it is there."""
    try:
        shell.roost.sessions.create(short(session))
    except RoostError as error:
        if error.reason != "SESSION_EXISTS":
            raise


def show(canvas: Canvas, step: PairSessionResponse, session: str) -> None:
    """One step for a person."""
    match step.WhichOneof("step"):
        case "qr_code":
            until = f"{local(step.qr_code.expire_time):%H:%M:%S}"
            text = f"Scan with WhatsApp > Linked devices > Link a device. Valid until {until}."
            canvas.draw(f"{drawn(step.qr_code.payload)}\n{text}")
        case "pairing_code":
            until = f"{local(step.pairing_code.expire_time):%H:%M:%S}"
            canvas.draw(f"Type this code on the phone: {step.pairing_code.payload}  until {until}")
        case "completed":
            account = step.completed.account
            click.echo(f"Linked {short(session)} to {account.jid} {account.push_name}".rstrip())
