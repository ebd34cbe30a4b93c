"""A short-lived process that lets the engine create an empty store: `... .template <file>`."""

import os
import sys
from pathlib import Path

from . import neonize


def main() -> None:
    """Creates the file named on the command line."""
    os.umask(0o077)
    neonize.load()
    neonize.create_schema(Path(sys.argv[1]))
    os._exit(0)  # Go's threads never end


if __name__ == "__main__":
    main()
