"""Resource names."""

import pytest

from server.core.errors import FieldInvalid
from server.core.names import (
    BackupName,
    OperationName,
    SessionName,
    StorageLocationName,
    TrashItemName,
)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (SessionName, "sessions/a"),
        (SessionName, "sessions/booking-eu-1"),
        (BackupName, "sessions/a/backups/0mabc"),
        (OperationName, "operations/x1"),
        (StorageLocationName, "storageLocations/local"),
        (TrashItemName, "trash/20261122T120000Z-a-logged-out-2"),
    ],
)
def test_a_name_reads_back_as_it_was_written(kind, text):
    """Parsing and formatting are inverse."""
    assert str(kind.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "sessions/",
        "sessions/A",
        "sessions/a/",
        "sessions/../x",
        "sessions/-",
        "sessions/" + "a" * 64,
        "sessions/a\n",
    ],
)
def test_a_bad_session_name_names_the_field(text):
    """Bad names are refused with the request's field."""
    with pytest.raises(FieldInvalid) as error:
        SessionName.parse(text, "parent")
    assert error.value.violations[0].field == "parent"
