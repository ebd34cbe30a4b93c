"""From files to a store, in one blocking call that needs no network."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from server.backups.model import RestoreMode
from server.core.errors import CredentialsInvalid

from .model import Converted, CredentialsFile, CredentialsFormat


def convert(
    files: Sequence[CredentialsFile],
    format: CredentialsFormat | None,  # noqa: A002  the name in the API
    target: Path,
    *,
    template: Path,
    now: datetime,
    mode: RestoreMode = RestoreMode.AUTO,
    source_stopped: bool = False,
    device: str = "",
) -> Converted:
    """Makes the new file `target`, a store of the engine's schema, out of other credentials.

    Args:
        files: All that belongs to the session, in any order.
        format: What they are; None finds it out.
        target: A name in a private folder that nothing else uses.
        template: The engine's empty store.
        now: For the age of the files.
        mode: EXACT, REKEY or AUTO, as for restores.
        source_stopped: The caller's word that the program which wrote the files had ended.
        device: Which device of a database with several, by JID.

    Raises:
        CredentialsInvalid: they are none, broken, not paired, or do not belong together.
        ExactImportUnsafe: EXACT is wanted, and something speaks against it.
    """
    del files, format, target, template, now, mode, source_stopped, device
    raise CredentialsInvalid(problem="no format can be imported yet")
