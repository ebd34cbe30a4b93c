"""Checking a whole repository: every object opens, nothing is missing, nothing is back.

Without reading packs it finds what is missing, cut or exchanged among small objects, and packs that
are missing or have another size. With `read_data` every pack is opened, every page's id computed
anew, and every backup's image put together and compared.

What nobody can see from storage alone is that its end was cut off: the newest backups and marks,
or everything since some day. For that there are `heads`: what this server saw there last.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from server.core.names import SessionName
from storage_backends.base import ObjectInfo

from . import objects
from .config import Config, ConfigInvalid
from .findings import Head, Problem, ProblemKind, VaultCheck
from .repository import ObjectDamaged, ObjectMissing, Repository
from .sessioncheck import SessionCheck
from .storage import storage_errors
from .turns import Turns


class OnChecked(Protocol):
    """Hears how far a check is."""

    def __call__(self, bytes_done: int, bytes_total: int, /) -> None:
        """Called after each session."""


async def check(
    repository: Repository,
    turns: Turns,
    folder: Path,
    heads: Mapping[SessionName, Head],
    on_checked: OnChecked,
    *,
    read_data: bool,
) -> VaultCheck:
    """Looks at every object of a repository.

    Backups may go on meanwhile; what moves and deletes takes turns with this, session by session.
    `folder` is for the pages of one session at a time, in a file without a name.

    Raises StorageUnavailable, StorageMisconfigured, KeyUnavailable, TurnTaken.
    """
    with storage_errors(repository.location):
        listing = await repository.storage.list()
    problems = [
        *await _check_config(repository, heads),
        *_check_names(listing),
        *await _check_keys(repository),
    ]
    sizes = _sizes(listing)
    found, done = [], 0
    for session in sorted(sizes.keys() | heads.keys()):
        each = SessionCheck(repository, session, heads.get(session))
        with storage_errors(repository.location):
            async with turns.take():
                await each.run(folder if read_data else None)
        problems += each.problems
        found.append(each.findings())
        done += sizes.get(session, 0)
        on_checked(done, sum(sizes.values()))
    return VaultCheck(
        location=repository.location,
        read_data=read_data,
        problems=tuple(sorted(set(problems))),
        objects=len(listing),
        bytes=sum(info.size_bytes for info in listing if read_data or not _is_pack(info.key)),
        sessions=tuple(found),
    )


def _sizes(listing: Sequence[ObjectInfo]) -> dict[SessionName, int]:
    sizes: dict[SessionName, int] = {}
    for info in listing:
        session = objects.session_of(info.key)
        if session is not None and not info.key.startswith(f"{objects.LEASES}/"):
            sizes[session] = sizes.get(session, 0) + info.size_bytes
    return sizes


def _is_pack(key: str) -> bool:
    return key.startswith(f"{objects.PACKS}/")


async def _check_config(repository: Repository, heads: Mapping[SessionName, Head]) -> list[Problem]:
    def problem(kind: ProblemKind, detail: str) -> list[Problem]:
        return [Problem(objects.CONFIG, kind, detail)]

    try:
        config = Config.decode(await repository.get(objects.CONFIG))
    except ObjectMissing:
        return problem(ProblemKind.MISSING, "nothing here can be opened without it")
    except ObjectDamaged as error:
        return problem(ProblemKind.DAMAGED, error.problem)
    except ConfigInvalid as error:
        return problem(ProblemKind.DAMAGED, str(error))
    known = {head.repository_id for head in heads.values()} | {repository.config.repository_id}
    if known != {config.repository_id}:
        return problem(ProblemKind.REPLAYED, "this server knows another vault in this location")
    return []


def _check_names(listing: Sequence[ObjectInfo]) -> list[Problem]:
    return [
        Problem(info.key, ProblemKind.FOREIGN, "nothing in a vault is called so")
        for info in listing
        if not objects.is_known(info.key)
    ]


async def _check_keys(repository: Repository) -> list[Problem]:
    with storage_errors(repository.location):
        coverage = await repository.keys.coverage()
    problems = []
    for term in coverage:
        folder = f"{objects.KEYS}/{term.session_id}/{term.term}"
        problems += [
            Problem(name, ProblemKind.DAMAGED, "the wrapped key does not open")
            for name in term.damaged
        ]
        problems += [
            Problem(f"{folder}/{master}", ProblemKind.MISSING, "not wrapped for this master key")
            for master in term.missing
        ]
        if not term.opened_by and not term.damaged:
            detail = "no configured master key opens this data key"
            problems.append(Problem(folder, ProblemKind.KEY_UNKNOWN, detail))
    return problems
