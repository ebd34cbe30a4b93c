"""Long work with a progress bar, on a terminal only."""

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn
from roost.v1.operation_pb2 import Operation

from .shell import Shell


def follow(shell: Shell, operation: Operation) -> Operation:
    """Waits for the operation, showing how far it is; raises RoostError if it failed."""
    if not shell.is_interactive:
        return shell.roost.operations.wait(operation)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
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
