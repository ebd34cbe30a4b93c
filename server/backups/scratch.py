"""Private room for plain copies of stores while they are worked on."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Scratch:
    """One 0700 folder; what a killed server left in it is removed when the next one starts.

    Only copies are ever in here: the store or the sealed backup they came from still exists.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def prepare(self) -> None:
        """Makes the folder and empties it."""
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._root.chmod(0o700)
        for folder in self._root.iterdir():
            _remove(folder)

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """A folder of its own, gone with everything in it afterwards."""
        folder = Path(tempfile.mkdtemp(dir=self._root))
        try:
            yield folder
        finally:
            _remove(folder)


def _remove(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
