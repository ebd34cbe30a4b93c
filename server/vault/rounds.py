"""One round of housekeeping for one session: retention, then the purge, then collection."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta

from server.core.names import BackupName, SessionName

from .collecting import Collected, collect
from .folding import AGE, LEAST, fold
from .garbage import GRACE
from .inventory import take_inventory
from .repository import Repository
from .retention import Plan, RetentionPolicy, plan
from .trashing import KEEP, purge, throw_away, tidy
from .turns import Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How long what is kept."""

    policy: RetentionPolicy
    trash: timedelta = KEEP
    grace: timedelta = GRACE
    fold_age: timedelta = AGE
    """When tombstones may be folded, and how many of them there must be."""
    fold_least: int = LEAST


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What a round did, or would do."""

    retention: Plan
    purge: Plan
    collected: Collected
    create_times: Mapping[BackupName, datetime]
    """Of the backups that retention decided about."""


async def run_round(
    repository: Repository,
    turn: Turn,
    session: SessionName,
    rules: Rules,
    at_once: AbstractSet[BackupName] = frozenset(),
    *,
    dry_run: bool = False,
) -> Round:
    """Moves to trash what retention says, destroys what was there long enough, frees the space.

    Args:
        repository: Where.
        turn: Proof that nobody else does the same.
        session: Whose backups.
        rules: How long what is kept.
        at_once: Backups in trash that need not wait.
        dry_run: Nothing is changed: the result says what would be done now.

    Raises:
        BackupCorrupt: storage does not keep what it is given; nothing was deleted for it.
        TurnTaken, StorageUnavailable, StorageMisconfigured, QuotaExceeded, KeyUnavailable.
    """
    if not dry_run:
        await tidy(repository, turn, session)
    inventory = await take_inventory(repository, session)
    create_times = {each.manifest.name: each.manifest.create_time for each in inventory.live}
    retention = plan(inventory.items(), rules.policy, repository.clock.now())
    if not dry_run:
        for name, reason in retention.remove.items():
            await throw_away(repository, turn, name, f"retention: {reason}", rules.trash)
        if retention.remove:
            inventory = await take_inventory(repository, session)
    purged = await purge(repository, turn, inventory, at_once, dry_run=dry_run)
    if not dry_run:
        if purged.remove:
            inventory = await take_inventory(repository, session)
        if await fold(repository, turn, inventory, age=rules.fold_age, least=rules.fold_least):
            inventory = await take_inventory(repository, session)
    collected = await collect(repository, turn, inventory, rules.grace, dry_run=dry_run)
    return Round(retention=retention, purge=purged, collected=collected, create_times=create_times)
