"""Reading a folder as Baileys' multi-file store leaves it.

Names: `<kind>-<id>.json`, where `/` is written `__` and `:` is written `-`. A crash or a careful
program may leave `.bak` and `.tmp` beside a file; these stand in for one that is missing or torn.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from server.core.errors import CredentialsInvalid

from .encodings import Torn, parse
from .model import CredentialsFile
from .records import CREDS, IGNORED, TABLES, Record, Records, check_creds, split_name

_NAME = re.compile(r"(?P<stem>.+?)(?P<early>\.bak|\.tmp)?\.json(?P<late>~|[.-].*)?", re.DOTALL)
_WHOLE, _BACKUP, _UNFINISHED = range(3)
_STEM = CREDS.removesuffix(".json")


def read_folder(files: Sequence[CredentialsFile]) -> Records:
    """Everything in a folder.

    Raises:
        CredentialsInvalid: `creds.json` is missing, empty, torn or not Baileys'.
    """
    versions = _sort(files)
    if _STEM not in versions:
        raise CredentialsInvalid(problem="it is not among the files", file=CREDS)
    main, creds, is_clean = _best(versions.pop(_STEM))
    if creds is None:
        empty = not main.data.strip()
        problem = "the file is empty" if empty else "the file is not whole"
        raise CredentialsInvalid(problem=problem, file=CREDS)
    times = [file.modify_time for file in files if file.modify_time is not None]
    found = Records(
        check_creds(creds.value, CREDS), creds.modify_time, newest=max(times, default=None)
    )
    if not is_clean:
        found.damage.append(f"{CREDS} is not whole; a copy beside it was taken")
    _read_records(found, versions)
    return found


def _read_records(found: Records, versions: dict[str, list[tuple[int, CredentialsFile]]]) -> None:
    torn = unfinished = 0
    for stem, candidates in versions.items():
        name = split_name(stem)
        if name is None or name[0] in IGNORED:
            continue
        _, record, is_clean = _best(candidates)
        torn += not is_clean
        unfinished += any(rank == _UNFINISHED for rank, _ in candidates)
        if record is None:
            found.dropped[TABLES[name[0]]] += 1
        else:
            found.add(*name, record)
    if torn:
        found.damage.append(f"{torn} files are not whole")
    if unfinished:
        found.damage.append(f"{unfinished} files were being written")
    if not any(found.by_kind.values()):
        found.damage.append(f"there is nothing but {CREDS}")


def _best(
    candidates: list[tuple[int, CredentialsFile]],
) -> tuple[CredentialsFile, Record | None, bool]:
    """The file that should have been read, what could be read, and whether both are the same."""
    ordered = sorted(candidates, key=lambda candidate: candidate[0])
    for place, (rank, file) in enumerate(ordered):
        try:
            record = Record(parse(file.data), file.modify_time)
        except Torn:
            continue
        return ordered[0][1], record, place == 0 and rank == _WHOLE
    return ordered[0][1], None, False


def _sort(files: Sequence[CredentialsFile]) -> dict[str, list[tuple[int, CredentialsFile]]]:
    versions: dict[str, list[tuple[int, CredentialsFile]]] = defaultdict(list)
    folders = set()
    for folder, stem, rank, file in _names(files):
        if any(rank == other for other, _ in versions[stem]) and rank == _WHOLE:
            folders.add(folder)
        versions[stem].append((rank, file))
    if folders:
        raise CredentialsInvalid(problem="the files are of more than one folder")
    return versions


def _names(files: Sequence[CredentialsFile]) -> Iterator[tuple[str, str, int, CredentialsFile]]:
    for file in files:
        folder, _, name = file.name.replace("\\", "/").rpartition("/")
        match = _NAME.fullmatch(name)
        if match is None:
            continue
        extra = (match["early"] or "") + (match["late"] or "")
        rank = _WHOLE if not extra else _UNFINISHED if "tmp" in extra else _BACKUP
        yield folder, match["stem"], rank, file
