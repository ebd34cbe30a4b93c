"""Entry point of the `roost` command. Imports a command's module only when it is used."""

import importlib
import os
import sys
from collections.abc import Sequence

import click

from .exits import INTERRUPTED, USAGE, described

# name: (module, what --help says). Each module has a click command called `command`.
COMMANDS = {
    "serve": ("serve", "Run the server."),
    "demo": ("demo", "Play the main job in the terminal, without a phone."),
    "simulator": ("simulator", "Run the WhatsApp stand-in for tests."),
    "sessions": ("sessions", "List, create, start, stop, delete sessions."),
    "pair": ("pair", "Link a session to a phone by QR code or pairing code."),
    "events": ("events", "Follow what happens."),
    "send": ("send", "Send a text."),
    "backup": ("backup", "Back credentials up; show, export, import backups."),
    "backups": ("backups", "List backups."),
    "restore": ("restore", "Restore a session's credentials."),
    "recover": ("recover", "Bring back all sessions of a lost server."),
    "vault": ("vault", "Look after the vault: figures, keys, policies."),
    "trash": ("trash", "List, bring back, purge what was moved away."),
    "doctor": ("doctor", "Check this machine and the server."),
}


class LazyGroup(click.Group):
    """Knows its commands by name and imports them when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports the command's module."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f".{COMMANDS[cmd_name][0]}", __package__)
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From the table, without importing anything."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The exit codes, from their own table."""
        del ctx
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), text) for code, text in described()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="roost")
def roost() -> None:
    """Keeps WhatsApp linked-device sessions alive and never loses their credentials."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits with one of the documented codes."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # standard error is for our own errors
    try:
        code = roost.main(args=arguments, prog_name="roost", standalone_mode=False)
    except click.UsageError as error:
        error.show()
        code = USAGE
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt) as stop:
        code = INTERRUPTED
        if isinstance(stop.__context__, EOFError):  # a question, and nobody to answer it
            click.echo("Error: no answer; use --yes, or --passphrase-file", err=True)
            code = USAGE
    sys.exit(code if isinstance(code, int) else 0)
