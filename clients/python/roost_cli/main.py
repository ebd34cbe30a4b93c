"""Entry point of the `roost` command."""

import click


@click.group()
def main() -> None:
    """Keeps WhatsApp linked-device sessions alive and never loses their credentials."""
