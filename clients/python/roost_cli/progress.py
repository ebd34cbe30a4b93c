"""Long work with a progress bar, on a terminal only."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text
from roost.v1.operation_pb2 import Operation

from .shell import Shell

SESSIONS = frozenset({"Recovering", "Cleaning"})  # phases that count sessions, not bytes


class _Amount(DownloadColumn):
    """How much is done, in what the phase counts."""

    def render(self, task: Task) -> Text:
        """`3/20`, or `1.2/3.4 MB`."""
        if task.description in SESSIONS:
            total = "?" if task.total is None else f"{task.total:.0f}"
            return Text(f"{task.completed:.0f}/{total}", style="progress.download")
        return super().render(task)


def follow(shell: Shell, operation: Operation) -> Operation:
    """Waits for the operation, showing how far it is; raises RoostError if it failed."""
    if not shell.is_interactive:
        return shell.roost.operations.wait(operation)
    with drawn() as bar:
        task = bar.add_task("", total=None)
        last = operation
        for last in shell.roost.operations.watch(operation):
            bar.update(
                task,
                description=last.progress.phase.capitalize(),
                completed=last.progress.bytes_done,
                total=last.progress.bytes_total or None,
            )
    return shell.roost.operations.wait(last)


@contextmanager
def transfer(shell: Shell, title: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for a file on its way; what it gives is told how far it is."""
    if not shell.is_interactive:
        yield lambda _done, _total: None
        return
    with drawn() as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)


def drawn() -> Progress:
    """A bar that is gone when it is done."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        _Amount(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
