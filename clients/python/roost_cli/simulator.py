"""`roost simulator`."""

import click

from .extras import need_server


@click.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> int:
    """Run the WhatsApp stand-in; `roost simulator --help` lists its options."""
    return need_server("simulator.__main__").main(["serve", *arguments])
