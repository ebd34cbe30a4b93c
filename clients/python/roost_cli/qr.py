"""QR codes in a terminal."""

import io
import sys

import click
import segno


def drawn(payload: str) -> str:
    """The code as half blocks; correct on dark and on light terminals."""
    out = io.StringIO()
    segno.make(payload, error="l", micro=False).terminal(out, border=2, compact=True)
    return out.getvalue()


class Canvas:
    """Draws codes over each other on a terminal, below each other elsewhere."""

    def __init__(self) -> None:
        self._lines = 0

    def draw(self, picture: str) -> None:
        """Replaces what was drawn before."""
        if self._lines and sys.stdout.isatty():
            click.echo(f"\x1b[{self._lines}A\x1b[J", nl=False)
        self._lines = picture.count("\n") + 1
        click.echo(picture)
