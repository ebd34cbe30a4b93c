"""Prints a fresh master key, as a line for the key file: `python -m server.vault.masterkeys`."""

import sys

from .file import FileKey

sys.stdout.write(FileKey.generate().line() + "\n")
