"""Every command line in the documents is one that the command takes."""

import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest
from roost_cli.main import roost

ROOT = Path(__file__).parents[2]
LINE = re.compile(
    r"^ {3,}(?:[A-Z_]+='[^']*' )?\./roost (\S.*)$|`(?:\./)?roost ([^`]+)`", re.MULTILINE
)
SCRIPT = re.findall(r"^  ([a-z| ]+)\)", (ROOT / "roost").read_text(), re.MULTILINE)
OF_THE_SCRIPT = {word.strip() for words in SCRIPT for word in words.split("|")}
FILES = subprocess.run(
    ["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
).stdout.split()


def commands():
    for path in FILES:
        for found in LINE.finditer((ROOT / path).read_text()):
            yield path, found[1] or found[2]


DOCUMENTED = sorted(set(commands()))


def test_there_are_documented_commands():
    """The pattern finds what readers see first."""
    assert ("README.md", "serve     # the server on 127.0.0.1:50051; sets itself up first") in (
        DOCUMENTED
    )
    assert len(DOCUMENTED) > 20


@pytest.mark.parametrize(("path", "line"), DOCUMENTED)
def test_a_documented_command_parses(path, line):
    """A command, its options and its choices; a mention may leave the arguments out."""
    words = shlex.split(line.replace("COMMAND", "send").split(",")[0], comments=True)
    if words[0] in OF_THE_SCRIPT:
        return
    try:
        context = roost.make_context("roost", words)
        command, rest = roost, [*context._protected_args, *context.args]
        while isinstance(command, click.Group) and rest:
            name, command, rest = command.resolve_command(context, rest)
            context = command.make_context(name, list(rest), parent=context)
            rest = [*context._protected_args, *context.args]
    except (click.MissingParameter, click.exceptions.NoArgsIsHelpError, click.exceptions.Exit):
        pass  # a mention without arguments, or --help
