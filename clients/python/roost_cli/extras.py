"""What only an installation with the `server` extra has."""

import importlib
from typing import Protocol

import click


class Program(Protocol):
    """A module with an entry function."""

    def main(self, argv: list[str]) -> int:
        """Runs the program; returns the exit code."""
        ...


def need_server(module: str) -> Program:
    """Imports a program, or says what to install."""
    try:
        found: Program = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"{error.name} is not installed; the server needs: pip install 'roost[server]'"
        ) from error
    return found
