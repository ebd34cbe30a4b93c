"""What the documents list is what there is."""

from pathlib import Path

from server import settings
from server.core import errors
from server.rpc.errors import spec_of

ROOT = Path(__file__).parents[2]


def kinds(kind=errors.DomainError):
    for child in kind.__subclasses__():
        if "reason" in vars(child):
            yield child
        yield from kinds(child)


def test_every_setting_is_documented():
    """And nothing that is no setting."""
    text = (ROOT / "docs/configuration.md").read_text()
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `ROOST_")]
    table = {name.strip(" `") for row in rows for name in row.split(",")}
    assert table == set(settings.names())
    assert all(name in text for name in settings.FOREIGN)


def test_every_error_reason_is_documented_with_its_code():
    """In the guide to the API."""
    table = {}
    for line in (ROOT / "protos/README.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) > 3:
            table |= dict.fromkeys(cells[2].split(", "), cells[1])
    assert set(table) >= {kind.reason for kind in kinds()} | {"INTERNAL"}
    for kind in kinds():
        assert table[kind.reason] == spec_of(kind).code.name
