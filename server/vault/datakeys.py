"""The data keys of sessions: made, wrapped for every master key, found again, rotated.

A term is a time-ordered id; the newest is current and seals what is written, older ones open what
was written before. Any one of a term's wrapped objects is enough to open it. Two servers that make
the first term at the same time make two terms: both can be read, and the newer one is current.
"""

import asyncio
import secrets
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from server.core.ids import time_ordered_id
from storage_backends.threaded import AsyncStorage

from .masterkeys.base import MasterKey, MasterKeyUnavailable, Recipient
from .sealing import KEY_BYTES, DataKey
from .wraps import KeyCorrupt, Run, Wraps, folder

__all__ = ["Coverage", "DataKey", "DataKeys", "KeyCorrupt", "KeyUnknown", "Retired", "Rewrapped"]

log = structlog.get_logger(__name__)


class KeyUnknown(Exception):
    """No configured master key opens this term of a session's data key."""


class MasterKeyInUse(Exception):
    """A master key that is configured cannot be retired: it would be a recipient again at once."""


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """What `rewrap` did, in wrapped objects, and which terms it could not do."""

    added: int = 0
    present: int = 0
    unreadable: tuple[str, ...] = ()
    """Folders of terms that no configured master key opens."""
    delayed: int = 0
    """Objects that are still missing because a master key was away."""
    repaired: int = 0
    """Damaged objects that were written anew."""


@dataclass(frozen=True, slots=True)
class Retired:
    """What `retire` did: objects removed, and the terms that only this master key opens."""

    removed: int = 0
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Coverage:
    """Which master keys open one term, proved by unwrapping."""

    session_id: str
    term: str
    opened_by: tuple[str, ...]
    damaged: tuple[str, ...]
    """Names of objects of configured master keys that do not open."""
    others: tuple[str, ...]
    """Ids of master keys that are not configured, or are away, and have an object."""
    missing: tuple[str, ...]
    """Ids of configured master keys that have none; `rewrap` adds them."""


class DataKeys:
    """The data keys in one repository. The first master key is only preferred for unwrapping.

    Storage errors pass through every method.
    """

    def __init__(
        self, storage: AsyncStorage, repository_id: str, masters: Sequence[MasterKey], run: Run
    ) -> None:
        self._wraps = Wraps(storage, repository_id, masters, run)
        self._cache: dict[tuple[str, str], DataKey] = {}
        self._newest: dict[str, str] = {}
        self._covered: set[str] = set()
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def current(self, session_id: str) -> DataKey:
        """The key that seals what is written now; makes the first one.

        Every master key that is not away has been made a recipient of it before this returns.
        A newest term that cannot be opened is left alone and a new one is made: no backup is
        missed because another server's key is not here.

        Raises:
            MasterKeyUnavailable: no master key is there to open or wrap anything.
            KeyCorrupt: storage gives back something else than it was given.
        """
        async with self._locks[session_id]:
            newest = self._newest.get(session_id)
            if newest is not None:
                return self._cache[session_id, newest]
            terms = await self._wraps.terms(session_id)
            if not terms:
                return await self._make(session_id, "")
            _, newest = max(terms)
            masters = terms[session_id, newest]
            try:
                key = await self._open(session_id, newest, masters)
            except (KeyUnknown, KeyCorrupt, MasterKeyUnavailable) as error:
                problem = type(error).__name__
                log.warning("vault.key_unreadable", session=session_id, problem=problem)
                return await self._make(session_id, newest)
            await self._wraps.cover(key, masters)
            self._newest[session_id] = newest
            return key

    async def get(self, session_id: str, term: str) -> DataKey:
        """The key of one term.

        Raises:
            KeyUnknown: no configured master key opens it.
            KeyCorrupt: one should, but its object is damaged or missing.
            MasterKeyUnavailable: the master key that may open it is away.
        """
        known = self._cache.get((session_id, term))
        if known is not None:
            return known
        preferred = (await self._wraps.recipients())[0].id
        try:
            return await self._open(session_id, term, frozenset({preferred}))
        except (KeyUnknown, KeyCorrupt, MasterKeyUnavailable):
            terms = await self._wraps.terms(session_id, term)
            masters = terms.get((session_id, term), frozenset())
            return await self._open(session_id, term, masters)

    async def rotate(self, session_id: str) -> DataKey:
        """Makes a new term. What is written before stays readable by its own term."""
        async with self._locks[session_id]:
            terms = await self._wraps.terms(session_id)
            return await self._make(session_id, max((term for _, term in terms), default=""))

    async def rewrap(self, session_id: str | None = None, *, verify: bool = False) -> Rewrapped:
        """Adds the wrapped objects that are missing, of one session or of all.

        A session for which nothing is left to do is not looked at again, except to `verify`: then
        every object is opened, and a damaged one written anew if another one opens.
        """
        if not verify and session_id is not None and session_id in self._covered:
            return Rewrapped()
        terms = await self._wraps.terms(session_id)
        done: Counter[str] = Counter()
        unreadable, waiting = [], set()
        for (owner, term), masters in sorted(terms.items(), reverse=True):
            wanted = {each.id for each in await self._wraps.recipients()}
            if not verify and wanted <= masters:
                done["present"] += len(wanted)
                continue
            opening = await self._wraps.open(owner, term, masters, everything=verify)
            damaged = frozenset(opening.damaged)
            whole = masters - {name.rpartition("/")[2] for name in damaged} if verify else masters
            done["present"] += len(wanted & whole)
            if opening.away:
                waiting.add(owner)
            known = self._cache.get((owner, term))  # it opened once, even if it no longer does
            if opening.secret is not None:
                known = DataKey(owner, term, opening.secret)
            if known is None:
                unreadable.append(folder(owner, term))
                continue
            key = known
            covered = await self._wraps.cover(key, whole, damaged)
            if covered < len(wanted - whole):
                waiting.add(owner)
            repaired = min(covered, len(wanted & masters - whole))
            done["repaired"] += repaired
            done["added"] += covered - repaired
            done["delayed"] += len(wanted - whole) - covered
        self._covered -= waiting
        self._covered |= ({owner for owner, _ in terms} | {session_id or ""}) - waiting
        return Rewrapped(unreadable=tuple(unreadable), **done)

    async def retire(self, master_id: str) -> Retired:
        """Removes what is wrapped for a master key that is no longer configured.

        A term keeps the object unless another master key has just opened it.

        Raises:
            MasterKeyInUse: the master key is still configured.
        """
        if master_id in {each.id for each in await self._wraps.recipients()}:
            raise MasterKeyInUse(master_id)
        removed, kept = 0, []
        for (owner, term), masters in (await self._wraps.terms(None)).items():
            if master_id not in masters:
                continue
            if (await self._wraps.open(owner, term, masters - {master_id})).secret is None:
                kept.append(folder(owner, term))
                continue
            await self._wraps.remove(owner, term, master_id)
            removed += 1
        return Retired(removed, tuple(kept))

    async def masters(self) -> list[Recipient]:
        """The configured master keys, the preferred one first."""
        return [*await self._wraps.recipients()]

    async def sessions(self) -> list[str]:
        """The ids of all sessions that have a data key."""
        return sorted({session_id for session_id, _ in await self._wraps.terms(None)})

    async def total(self) -> int:
        """How many terms there are, of all sessions."""
        return len(await self._wraps.terms(None))

    async def counts(self) -> dict[str, int]:
        """How many terms have an object for a master key, by its id, from the names alone."""
        counts: Counter[str] = Counter()
        for masters in (await self._wraps.terms(None)).values():
            counts.update(masters)
        return dict(counts)

    async def strangers(self) -> dict[str, str]:
        """The kinds of master keys that have objects and are not configured, by their ids."""
        newest: dict[str, tuple[str, str]] = {}
        for place, masters in sorted((await self._wraps.terms(None)).items()):
            newest.update(dict.fromkeys(masters, place))
        ids = {each.id for each in await self._wraps.recipients()}
        return {
            master_id: await self._wraps.kind_of(*place, master_id)
            for master_id, place in newest.items()
            if master_id not in ids
        }

    async def coverage(self, session_id: str | None = None) -> list[Coverage]:
        """For every term: who opens it. Reads and unwraps every object."""
        ids = {each.id for each in await self._wraps.recipients()}
        found = []
        for (owner, term), masters in sorted((await self._wraps.terms(session_id)).items()):
            opening = await self._wraps.open(owner, term, masters, everything=True)
            known = {*opening.opened_by, *(name.rpartition("/")[2] for name in opening.damaged)}
            found.append(
                Coverage(
                    session_id=owner,
                    term=term,
                    opened_by=tuple(opening.opened_by),
                    damaged=tuple(opening.damaged),
                    others=tuple(sorted(masters - known)),
                    missing=tuple(sorted(ids - masters)),
                )
            )
        return found

    async def _make(self, session_id: str, after: str) -> DataKey:
        key = DataKey(session_id, time_ordered_id(after), secrets.token_bytes(KEY_BYTES))
        covered = await self._wraps.cover(key, frozenset())
        if not covered:
            raise MasterKeyUnavailable
        if covered < len(await self._wraps.recipients()):
            self._covered.discard(session_id)
        self._cache[session_id, key.term] = key
        self._newest[session_id] = key.term
        log.info("vault.key_made", session=session_id, term=key.term)
        return key

    async def _open(self, session_id: str, term: str, masters: frozenset[str]) -> DataKey:
        known = self._cache.get((session_id, term))
        if known is not None:
            return known
        opening = await self._wraps.open(session_id, term, masters)
        if opening.secret is None:
            if opening.away:
                raise MasterKeyUnavailable
            if opening.damaged or not masters:
                raise KeyCorrupt((opening.damaged or [folder(session_id, term)])[0])
            raise KeyUnknown
        key = DataKey(session_id, term, opening.secret)
        self._cache[session_id, term] = key
        return key
