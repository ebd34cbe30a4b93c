"""Converting files into a store."""

import itertools
from datetime import timedelta

import pytest

from server.backups.imports.convert import convert
from tests.support.baileys import NOW, files


@pytest.fixture
def import_files(tmp_path, make_store):
    """A function that converts files; gives what it says and where the store is."""
    numbers = itertools.count()

    def import_files(given, kind=None, **options):
        room = tmp_path / f"import-{next(numbers)}"
        room.mkdir()
        target = room / "store.db"
        options = {"source_stopped": True, "now": NOW + timedelta(minutes=5)} | options
        converted = convert(given, kind, target, template=make_store.template, **options)
        return converted, target

    return import_files


@pytest.fixture
def import_folder(import_files):
    """The same for a folder by name and content."""
    return lambda content, **options: import_files(files(content), **options)
