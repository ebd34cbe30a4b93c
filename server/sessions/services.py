"""What every supervisor works with."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta

from server.core.clock import Clock
from server.core.names import SessionName
from server.engine.base import Engine

from .files import SessionFiles
from .hooks import Hooks
from .journal import Journal
from .permits import Permit
from .registry import SessionRegistry
from .restarts import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisionConfig:
    """The numbers."""

    policy: Policy = field(default_factory=Policy)
    # How many engines may be starting at once: each costs a process and a login.
    concurrent_starts: int = 8
    # whatsmeow reconnects by itself, ever more slowly and without an end; after this long without
    # a connection its process is replaced and `policy` takes over.
    patience: timedelta = timedelta(minutes=5)
    # A connection that breaks right after the phone has accepted leaves whatsmeow paired but idle
    # for ever; a new engine then logs in at once.
    patience_after_pairing: timedelta = timedelta(seconds=15)
    # How long UnlinkSession waits for a session that has to connect first.
    patience_for_unlink: timedelta = timedelta(seconds=30)
    # For ends that no caller gave a time for.
    grace: timedelta = timedelta(seconds=10)
    # How long a pairing's stream waits for the first backup.
    first_backup_limit: timedelta = timedelta(minutes=2)
    # How long DeleteSession waits for the last backup; without one the keys are in trash only.
    last_backup_limit: timedelta = timedelta(seconds=30)
    # From DeleteSession to `purge_time`.
    trash_time: timedelta = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What a supervisor needs from others."""

    journal: Journal
    registry: SessionRegistry
    engine: Engine
    files: SessionFiles
    clock: Clock
    slots: asyncio.Semaphore
    on_paired: Callable[[SessionName], Awaitable[None]]
    hooks: Hooks
    permit: Permit
    uniform: Callable[[], float]  # random numbers from 0 to 1, for jitter
    new_etag: Callable[[], str]
    config: SupervisionConfig
