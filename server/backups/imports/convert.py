"""From files to a store, in one blocking call that needs no network."""

import shutil
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path

from server.backups.model import RestoreMode
from server.backups.rekeying import protect, rekey
from server.backups.snapshot import sync
from server.backups.verify import drill
from server.core.errors import CredentialsInvalid

from .device import read_device
from .folder import read_folder
from .freshness import Evidence, decide
from .mapping import map_records, own_lid
from .model import Converted, CredentialsFile, CredentialsFormat
from .records import CREDS, Records
from .single import NAME, read_single
from .sqlite import MAGIC, copy_device

_Readers = Mapping[CredentialsFormat, tuple[str, Callable[[Sequence[CredentialsFile]], Records]]]
_BAILEYS: _Readers = {
    CredentialsFormat.BAILEYS_MULTI_FILE: (CREDS, read_folder),
    CredentialsFormat.BAILEYS_SINGLE_FILE: (NAME, read_single),
}


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
    if not files:
        raise CredentialsInvalid(problem="there are no files")
    found = format or detect(files)
    shutil.copyfile(template, target)
    target.chmod(0o600)
    with closing(sqlite3.connect(f"{target.absolute().as_uri()}?mode=rw", uri=True)) as store:
        if found in _BAILEYS:
            name, read = _BAILEYS[found]
            evidence, dropped = _fill(store, read(files), name)
        else:
            copied = copy_device(files, store, target.absolute().parent, device)
            evidence, dropped = copied.evidence, copied.dropped
        store.commit()
    chosen, reasons = decide(evidence, mode, source_stopped=source_stopped, now=now)
    if chosen is RestoreMode.REKEY:
        rekey(target)
    protect(target)
    sync(target)
    findings = drill(target)
    if findings.problems or findings.device is None:
        raise CredentialsInvalid(problem="; ".join(findings.problems))
    return Converted(
        account=findings.device.account,
        format=found,
        mode=chosen,
        reasons=reasons,
        counts={name: number for name, number in findings.counts.items() if number},
        dropped={name: number for name, number in dropped.items() if number},
    )


def detect(files: Sequence[CredentialsFile]) -> CredentialsFormat:
    """What the files are, by their first bytes and names."""
    if any(file.data.startswith(MAGIC) for file in files):
        return CredentialsFormat.WHATSMEOW_SQLITE
    names = {file.name.replace("\\", "/").rpartition("/")[2] for file in files}
    if len(files) == 1 and CREDS not in names:
        return CredentialsFormat.BAILEYS_SINGLE_FILE
    return CredentialsFormat.BAILEYS_MULTI_FILE


def _fill(
    store: sqlite3.Connection, records: Records, name: str
) -> tuple[Evidence, Mapping[str, int]]:
    own = read_device(records.creds, name, own_lid(records))
    rows = map_records(records, own)
    for table, listed in rows.tables.items():
        for row in listed:
            columns, marks = ", ".join(row), ", ".join("?" * len(row))
            store.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", [*row.values()])  # noqa: S608
    evidence = Evidence(
        newest=records.newest,
        identity=records.creds_time,
        ratchets=records.ratchets_time,
        damage=tuple(rows.damage),
    )
    return evidence, rows.dropped
