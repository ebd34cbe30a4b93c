"""QR codes in a terminal."""

import io
import sys

import click
import segno

WHITE_ON_BLACK, PLAIN = "\x1b[38;5;231;48;5;16m", "\x1b[0m"
UP_AND_CLEAR = "\x1b[{}A\x1b[J"


def drawn(payload: str) -> str:
    """The code in half blocks.

    On a terminal in black and white: the terminal's own colours may be dark on light, and a code
    drawn so is inverted, which most phones do not read.
    """
    out = io.StringIO()
    segno.make(payload, error="l", micro=False).terminal(out, border=2, compact=True)
    lines = out.getvalue().splitlines()
    if sys.stdout.isatty():
        lines = [f"{WHITE_ON_BLACK}{line}{PLAIN}" for line in lines]
    return "\n".join(lines)


class Canvas:
    """Draws over what it drew before on a terminal, below it elsewhere."""

    def __init__(self) -> None:
        self._lines = 0

    def draw(self, picture: str) -> None:
        """Replaces what was drawn before."""
        if self._lines and sys.stdout.isatty():
            click.echo(UP_AND_CLEAR.format(self._lines), nl=False)
        self._lines = picture.count("\n") + 1
        click.echo(picture)
