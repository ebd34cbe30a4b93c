"""The documents say what the code does."""

import re
from pathlib import Path

from server.sessions import conditions
from server.sessions.model import Condition
from server.sessions.restarts import TABLE
from server.settings import Settings, masked

DOCS = Path(__file__).resolve().parents[2] / "docs"


def rows(text: str) -> list[list[str]]:
    """Cells of every table row, without heads and rules."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells[1:] if not set(row[0]) <= set("-")]


def test_every_condition_is_explained():
    """The table of conditions has each reason once, with its user action."""
    told = {row[0]: row[1] for row in rows((DOCS / "conditions.md").read_text())}
    others = [value for value in vars(conditions).values() if isinstance(value, Condition)]
    assert told == {each.reason: each.user_action.name for each in (*TABLE.values(), *others)}


def test_every_setting_is_explained_with_its_default():
    """The table of settings has each variable once, with the default that the server shows."""
    defaults = dict(line.split("=", 1) for line in masked(Settings()))
    defaults["ROOST_DATA_DIR"] = "~/.local/share/roost"
    rows_of_settings = rows((DOCS / "configuration.md").read_text())
    told = {row[0]: row[1] for row in rows_of_settings if row[0].startswith("ROOST_")}
    assert told == defaults


def test_links_lead_somewhere():
    """Every relative link of the README and the documents names a file."""
    root = DOCS.parent
    for page in (root / "README.md", *root.glob("*.md"), *DOCS.glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
