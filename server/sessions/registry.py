"""The committed sessions, in memory: reading one costs no I/O."""

from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from server.core.errors import SessionNotFound
from server.core.names import SessionName
from server.core.wakeup import Wakeup

from .model import Session, State


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """A session with what the log keeps beside it."""

    session: Session
    sequence: int = 0  # of its last event
    spool_acked: int = 0  # everything up to here of its spool is in the log


class SessionRegistry:
    """What the last commit says. Written by the journal only; never blocks."""

    def __init__(self) -> None:
        self._records: dict[SessionName, SessionRecord] = {}
        self._names: list[SessionName] = []
        self.changed = Wakeup()

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: SessionName) -> bool:
        return name in self._records

    def __iter__(self) -> Iterator[Session]:
        """All sessions by name, deleted ones included; the registry may change meanwhile."""
        return iter([self._records[name].session for name in self._names])

    def apply(self, records: Iterable[SessionRecord]) -> None:
        """Shows what was committed."""
        for record in records:
            name = record.session.name
            if name not in self._records:
                insort(self._names, name)
            self._records[name] = record
        self.changed.wake()

    def record(self, name: SessionName) -> SessionRecord | None:
        """The session with its log positions, if there is one."""
        return self._records.get(name)

    def find(self, name: SessionName) -> Session | None:
        """The session, if there is one."""
        record = self._records.get(name)
        return record.session if record else None

    def get(self, name: SessionName, *, show_deleted: bool = True) -> Session:
        """The session; raises SessionNotFound."""
        session = self.find(name)
        if session is None or (session.state is State.DELETED and not show_deleted):
            raise SessionNotFound(name=str(name))
        return session

    def list(
        self,
        *,
        states: frozenset[State] = frozenset(),
        show_deleted: bool = False,
        after: str = "",
        limit: int | None = None,
    ) -> list[Session]:
        """By name, those after the session id `after`; no states: all.

        Deleted ones only if asked for, by `show_deleted` or by their state.
        """
        hidden = set() if show_deleted or State.DELETED in states else {State.DELETED}
        shown = (states or frozenset(State)) - hidden
        start = bisect_right(self._names, SessionName(after)) if after else 0
        found = (self._records[name].session for name in islice(self._names, start, None))
        return list(islice((session for session in found if session.state in shown), limit))
