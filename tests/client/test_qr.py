"""The QR code in the terminal is the code, whatever the terminal's colours."""

import io
import sys

import segno
from roost_cli.qr import PLAIN, WHITE_ON_BLACK, Canvas, drawn

PAYLOAD = "https://wa.me/settings/linked_devices#" + "A1b2+/=," * 25
HALVES = {" ": (1, 1), "▀": (0, 1), "▄": (1, 0), "█": (0, 0)}


def modules(picture):
    """What a camera sees: rows of dark (1) and light (0)."""
    rows = []
    for line in picture.splitlines():
        cells = [HALVES[char] for char in line]
        rows += [[top for top, _ in cells], [bottom for _, bottom in cells]]
    return rows


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_every_module_is_drawn():
    """Read back from the blocks it is the code, with a quiet zone of two."""
    code = segno.make(PAYLOAD, error="l", micro=False)
    wanted = [list(row) for row in code.matrix_iter(border=2)]
    assert modules(drawn(PAYLOAD))[: len(wanted)] == wanted
    assert max(len(line) for line in drawn(PAYLOAD).splitlines()) <= 80


def test_on_a_terminal_it_brings_its_own_colours(monkeypatch):
    """Light modules white, dark ones black: never inverted."""
    plain = drawn(PAYLOAD)
    monkeypatch.setattr(sys, "stdout", Terminal())
    coloured = drawn(PAYLOAD).splitlines()
    assert [line.removeprefix(WHITE_ON_BLACK).removesuffix(PLAIN) for line in coloured] == (
        plain.splitlines()
    )
    assert all(line.startswith(WHITE_ON_BLACK) and line.endswith(PLAIN) for line in coloured)


def test_a_new_code_takes_the_place_of_the_old_one(monkeypatch):
    """As many lines up as were drawn; elsewhere no control characters."""
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    canvas = Canvas()
    canvas.draw("a\nb\nc")
    canvas.draw("d")
    assert terminal.getvalue() == "a\nb\nc\n\x1b[3A\x1b[Jd\n"
    monkeypatch.setattr(sys, "stdout", pipe := io.StringIO())
    canvas.draw("e")
    assert pipe.getvalue() == "e\n"
