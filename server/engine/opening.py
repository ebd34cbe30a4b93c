"""A short-lived process in which the engine itself opens a copy of a store: `... .opening <file>`.

Answers with the addresses of the devices it finds, as JSON on standard output. It makes no client,
so nothing is connected to. The copy may be changed: the engine brings old schemas up to date.
"""

import json
import os
import sys
from pathlib import Path

from . import neonize

REFUSED = 3
NICENESS = 10  # sessions go first


def main() -> None:
    """Opens the file named on the command line."""
    os.umask(0o077)
    os.nice(NICENESS)
    answer = os.dup(1)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)  # Go writes there
    neonize.load()
    try:
        devices = neonize.read_devices(Path(sys.argv[1]))
    except neonize.StoreRefused:
        os._exit(REFUSED)
    os.write(answer, json.dumps(devices).encode())
    os._exit(0)  # Go's threads never end


if __name__ == "__main__":
    main()
