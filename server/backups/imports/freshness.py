"""Whether ratchets may be carried over exactly: a pure decision, and the reasons for it.

Files say little about what happened on the wire after they were copied. If the program that used
them ran on, its ratchets went on, and texts encrypted with the copy's would be thrown away by
contacts' phones without a word. So only the caller's word that the source had stopped, and files
that do not contradict it, allow exact resuming; everything else is re-keyed.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from server.backups.model import RestoreMode
from server.core.errors import ExactImportUnsafe

OLD = timedelta(hours=1)
APART = timedelta(minutes=2)
EXACT = "the source was stopped before the files were copied, and the files are whole"
ASKED = "fresh ratchets were asked for"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the files themselves tell.

    `newest` is the last change of any file, `identity` that of the file with the device's keys,
    `ratchets` the last one of a Signal session. `damage` names what only a copy of files in use,
    or a crash, leaves behind.
    """

    newest: datetime | None = None
    identity: datetime | None = None
    ratchets: datetime | None = None
    damage: tuple[str, ...] = ()


def decide(
    evidence: Evidence, mode: RestoreMode, *, source_stopped: bool, now: datetime
) -> tuple[RestoreMode, tuple[str, ...]]:
    """EXACT or REKEY, and why.

    Raises:
        ExactImportUnsafe: EXACT is wanted, and something speaks against it.
    """
    if mode is RestoreMode.REKEY:
        return RestoreMode.REKEY, (ASKED,)
    doubts = [*evidence.damage]
    if not source_stopped:
        doubts += _doubts_about_the_source(evidence, now)
    if not doubts:
        return RestoreMode.EXACT, (EXACT,)
    if mode is RestoreMode.EXACT:
        raise ExactImportUnsafe(why="; ".join(doubts))
    return RestoreMode.REKEY, tuple(doubts)


def _doubts_about_the_source(evidence: Evidence, now: datetime) -> list[str]:
    doubts = ["nobody said that the source was stopped before the files were copied"]
    if evidence.newest is None:
        doubts.append("nothing tells how old the files are")
    elif now - evidence.newest > OLD:
        doubts.append("the files are old, and the source may have run since")
    else:
        doubts.append("the files have just changed, and the source may still be running")
    if (
        evidence.identity is not None
        and evidence.ratchets is not None
        and evidence.ratchets - evidence.identity > APART
    ):
        doubts.append("the files are of different moments")
    return doubts
