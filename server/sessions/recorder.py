"""How a supervisor changes its session."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import structlog

from server.core.clock import Clock
from server.core.names import SessionName
from server.engine.base import DurableEvent

from . import conditions
from .journal import EventBody, Journal
from .machine import Trigger, move
from .model import Condition, Session, SessionChanged, State
from .registry import SessionRegistry

logger = structlog.get_logger(__name__)


class Recorder:
    """Records changes of one session, each with its event and a new etag; no change, no record."""

    def __init__(
        self,
        name: SessionName,
        *,
        journal: Journal,
        registry: SessionRegistry,
        clock: Clock,
        new_etag: Callable[[], str],
    ) -> None:
        self._name = name
        self._journal = journal
        self._registry = registry
        self._clock = clock
        self._new_etag = new_etag
        # Shown, from the next record on, as long as there is no condition of the session itself.
        self.backup_condition: Condition | None = None

    @property
    def session(self) -> Session:
        """As committed."""
        return self._registry.get(self._name)

    async def move(self, *triggers: Trigger, **changes: Any) -> Session:
        """Lets `triggers` happen one after the other and changes other fields, in one record.

        Raises IllegalTransition, and then nothing has changed.
        """
        session, now = self.session, self._clock.now()
        for trigger in triggers:
            session = move(session, trigger, now, **changes)
        return await self._record(session)

    async def change(self, **changes: Any) -> Session:
        """Changes fields without a transition."""
        return await self._record(replace(self.session, **changes))

    async def tell(self, event: EventBody) -> None:
        """Records an event that comes from the server itself."""
        await self._record(self.session, event)

    async def events(self, events: Sequence[DurableEvent]) -> None:
        """Records what the engine reported, up to the spool position of the last."""
        await self._journal.record(self.session, events, spool_acked=events[-1].spool)

    @property
    def spool_acked(self) -> int:
        """Everything up to here of the session's spool is recorded."""
        record = self._registry.record(self._name)
        return record.spool_acked if record else 0

    async def _record(self, session: Session, *events: EventBody) -> Session:
        before = self.session
        session = replace(session, condition=self._condition(session))
        if session == before and not events:
            return before
        if _public(session) == _public(before):
            await self._journal.record(session, events)
            return session
        session = replace(session, etag=self._new_etag())
        await self._journal.record(session, [*events, SessionChanged(session=session)])
        if session.state is not before.state:
            logger.info(
                "session.state_changed",
                session=self._name.session_id,
                from_state=before.state.value,
                to_state=session.state.value,
                reason=session.condition.reason if session.condition else "",
            )
        return session

    def _condition(self, session: Session) -> Condition | None:
        if session.condition is not None and not conditions.is_about_backups(session.condition):
            return session.condition
        has_keys = session.is_paired and session.state is not State.DELETED
        return self.backup_condition if has_keys else None


def _public(session: Session) -> Session:
    """Without the server's own bookkeeping, which is no part of the resource."""
    return replace(session, store_epoch=0, last_store_epoch=0, connect_epoch=0, clean_epoch=0)
