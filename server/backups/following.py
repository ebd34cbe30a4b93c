"""After a restore: starts the session, and takes everything back if WhatsApp does not take it.

As soon as the session is connected the restore stands: from then on the credentials it replaced lie
behind those in use. As long as it was not, nothing can have gone out, and what was there before is
still the last state of its device.
"""

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog

from server.core.errors import RestoreRolledBack
from server.sessions.model import Session, State

from .model import RestoreResult
from .operations import Report
from .ports import Sessions

logger = structlog.get_logger(__name__)

REFUSED = frozenset({State.FAILED, State.UNLINKED})  # trying again does not help
DECIDED = REFUSED | {State.ACTIVE, State.STOPPED}
DOWN = REFUSED | {State.STOPPED}


@dataclass(frozen=True, slots=True)
class Follower:
    """Sees a restore through."""

    sessions: Sessions
    limit: timedelta = timedelta(seconds=60)
    stop_limit: timedelta = timedelta(seconds=30)

    async def follow(
        self, result: RestoreResult, before: Session | None, report: Report
    ) -> RestoreResult:
        """Starts what was restored; `before` is the session as it was, None: there was none.

        A session that was empty before and cannot reach WhatsApp goes on trying: then the result
        does not say that it was started.

        Raises:
            RestoreRolledBack: it did not connect; what was there before is back.
        """
        name = result.plan.target
        async with self.sessions.hold(name, str(report.operation)) as held:
            report("STARTING")
            await held.start()
            session = await self._watch(result)
            if session.state is State.ACTIVE:
                logger.info("restore.connected", session=str(name), backup=str(result.plan.backup))
                return replace(result, started=True)
            reason = session.condition.reason if session.condition else session.state.name
            if session.state is State.STOPPED:  # somebody does not want it any more
                return result
            if session.state not in REFUSED and not result.trash:
                logger.warning("restore.not_connected", session=str(name), reason=reason)
                return result
            report("ROLLING_BACK")
            await self._stop(session)
            await held.roll_back(before, result.trash)
        logger.warning(
            "restore.rolled_back",
            session=str(name),
            backup=str(result.plan.backup),
            reason=reason,
        )
        raise RestoreRolledBack(backup=str(result.plan.backup), session=str(name), condition=reason)

    async def _watch(self, result: RestoreResult) -> Session:
        name = result.plan.target
        try:
            async with asyncio.timeout(self.limit.total_seconds()):
                return await self.sessions.until(name, lambda each: each.state in DECIDED)
        except TimeoutError:
            return self.sessions.get(name)

    async def _stop(self, session: Session) -> None:
        if session.state in DOWN:
            return
        await self.sessions.stop(session.name)
        async with asyncio.timeout(self.stop_limit.total_seconds()):
            await self.sessions.until(session.name, lambda each: each.state in DOWN)
