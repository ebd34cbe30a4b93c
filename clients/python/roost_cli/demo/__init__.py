"""`roost demo`."""

import click

from ..extras import need_server


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object per step.")
def command(*, as_json: bool) -> int:
    """Play the main job in the terminal, without a phone, in under a minute.

    A real server and the real engine talk to a simulated WhatsApp on loopback, with throw-away
    state: a session is linked by QR code, texts go both ways, its credentials are backed up, its
    disk is lost, and it comes back from the backup without being linked again.
    """
    return need_server(f"{__name__}.play").main(["--json"] if as_json else [])
