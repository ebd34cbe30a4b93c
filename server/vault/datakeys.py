"""The data keys of sessions: made, wrapped for every master key, found again, rotated.

    keys/<session id>/<term>/<master key id>    the key of one term, wrapped for one master key

A term is a time-ordered id; the newest is current and seals what is written, older ones open what
was written before. Any one of a term's objects is enough to open it. Two servers that make the
first term at the same time make two terms: both can be read, and the newer one is current.
"""

import asyncio
import re
import secrets
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import ParamSpec, Protocol, TypeVar

import structlog

from server.core.ids import time_ordered_id
from server.core.names import SESSION_ID, SessionName
from storage_backends.errors import ObjectCorrupt, ObjectExists, ObjectNotFound
from storage_backends.threaded import AsyncStorage

from . import objects
from .masterkeys.base import MasterKey, MasterKeyUnavailable, Recipient, WrapBroken
from .sealing import KEY_BYTES, DataKey

P = ParamSpec("P")
T = TypeVar("T")
TERM = re.compile(r"[0-9a-z]{16}")
FILE = "file"
MASTER_ID = re.compile(r"[0-9a-f]{16}")

log = structlog.get_logger(__name__)


class KeyUnknown(Exception):
    """No configured master key opens this term of a session's data key."""


class KeyCorrupt(Exception):
    """A wrapped data key is damaged or missing, and no other copy opens.

    `object` names it, or the term's folder if nothing is in it.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.object = name


class MasterKeyInUse(Exception):
    """A master key that is configured cannot be retired: it would be a recipient again at once."""


class Run(Protocol):
    """Runs a blocking call in a thread: `Workers.run`."""

    def __call__(self, call: Callable[P, T], *args: P.args, **named: P.kwargs) -> Awaitable[T]:
        """Returns what the call returns."""


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """What `rewrap` did, in wrapped objects, and which terms it could not do."""

    added: int = 0
    present: int = 0
    unreadable: tuple[str, ...] = ()
    """Folders of terms that no configured master key opens."""
    delayed: int = 0
    """Objects that are still missing because a master key was away."""


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


@dataclass(slots=True)
class _Opening:
    """What came of opening one term."""

    secret: bytes | None = None
    opened_by: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    away: bool = False


Terms = Mapping[tuple[str, str], frozenset[str]]


class DataKeys:
    """The data keys in one repository. The first master key is only preferred for unwrapping.

    Storage errors pass through every method.
    """

    def __init__(
        self, storage: AsyncStorage, repository_id: str, masters: Sequence[MasterKey], run: Run
    ) -> None:
        self._storage = storage
        self._repository_id = repository_id
        self._masters = masters
        self._run = run
        self._recipients: list[Recipient] = []
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
            terms = await self._terms(session_id)
            if not terms:
                return await self._make(session_id, "")
            session_id, newest = max(terms)
            try:
                key = await self._open(session_id, newest, terms[session_id, newest])
            except (KeyUnknown, KeyCorrupt) as error:
                log.warning(
                    "vault.key_unreadable", session=session_id, problem=type(error).__name__
                )
                return await self._make(session_id, newest)
            await self._cover(key, terms[session_id, newest])
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
        first = (await self._bound())[0].id
        try:
            return await self._open(session_id, term, frozenset({first}))
        except (KeyUnknown, KeyCorrupt, MasterKeyUnavailable):
            found = await self._terms(session_id, term)
            return await self._open(session_id, term, found.get((session_id, term), frozenset()))

    async def rotate(self, session_id: str) -> DataKey:
        """Makes a new term. What is written before stays readable by its own term."""
        async with self._locks[session_id]:
            terms = await self._terms(session_id)
            return await self._make(session_id, max((term for _, term in terms), default=""))

    async def rewrap(self, session_id: str | None = None) -> Rewrapped:
        """Adds the wrapped objects that are missing, of one session or of all.

        A session that was found complete by this object is not looked at again.
        """
        if session_id is not None and session_id in self._covered:
            return Rewrapped()
        terms = await self._terms(session_id)
        added = present = delayed = 0
        unreadable, incomplete = [], set()
        for (owner, term), masters in sorted(terms.items(), reverse=True):
            missing = [each.id for each in await self._bound() if each.id not in masters]
            present += len(self._recipients) - len(missing)
            if not missing:
                continue
            try:
                key = await self._open(owner, term, masters)
            except (KeyUnknown, KeyCorrupt, MasterKeyUnavailable):
                unreadable.append(_folder(owner, term))
                incomplete.add(owner)
                continue
            done = await self._cover(key, masters)
            added += done
            delayed += len(missing) - done
            if done < len(missing):
                incomplete.add(owner)
        self._covered |= {owner for owner, _ in terms} - incomplete
        return Rewrapped(added, present, tuple(unreadable), delayed)

    async def retire(self, master_id: str) -> Retired:
        """Removes what is wrapped for a master key that is no longer configured.

        A term keeps the object unless another master key has just opened it.

        Raises:
            MasterKeyInUse: the master key is still configured.
        """
        if master_id in {each.id for each in await self._bound()}:
            raise MasterKeyInUse(master_id)
        removed, kept = 0, []
        for (owner, term), masters in (await self._terms(None)).items():
            if master_id not in masters:
                continue
            if (await self._try(owner, term, masters - {master_id})).secret is None:
                kept.append(_folder(owner, term))
                continue
            await self._storage.delete(_name(owner, term, master_id))
            removed += 1
        return Retired(removed, tuple(kept))

    async def masters(self) -> list[Recipient]:
        """The configured master keys, the preferred one first."""
        return [*await self._bound()]

    async def coverage(self, session_id: str | None = None) -> list[Coverage]:
        """For every term: who opens it. Reads and unwraps every object."""
        ids = {each.id for each in await self._bound()}
        found = []
        for (owner, term), masters in sorted((await self._terms(session_id)).items()):
            opening = await self._try(owner, term, masters, all_of_them=True)
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

    async def _bound(self) -> list[Recipient]:
        if not self._recipients:
            self._recipients = [
                await self._run(master.for_repository, self._repository_id)
                for master in self._masters
            ]
        return self._recipients

    async def _terms(self, session_id: str | None, term: str = "") -> Terms:
        """The master key ids by session and term, from the names of objects."""
        folder = objects.folder(objects.KEYS, SessionName(session_id) if session_id else None)
        infos = await self._storage.list(f"{folder}/{term}" if term else folder)
        return _terms(info.key for info in infos)

    async def _make(self, session_id: str, after: str) -> DataKey:
        key = DataKey(session_id, time_ordered_id(after), secrets.token_bytes(KEY_BYTES))
        if not await self._cover(key, frozenset()):
            raise MasterKeyUnavailable
        self._cache[session_id, key.term] = key
        self._newest[session_id] = key.term
        log.info("vault.key_made", session=session_id, term=key.term)
        return key

    async def _cover(self, key: DataKey, present: frozenset[str]) -> int:
        """Wraps for every master key that is missing and not away; says for how many.

        Each wrap is proven before it is stored, and once more as it was stored.
        """
        context, covered = self._context(key.session_id, key.term), 0
        for recipient in await self._bound():
            if recipient.id in present:
                continue
            name = _name(key.session_id, key.term, recipient.id)
            try:
                wrapped = await self._run(recipient.wrap, key.secret, context)
                await self._run(_prove, recipient, wrapped, context, key, name)
                with suppress(ObjectExists):  # another server wrapped it for the same master key
                    await self._storage.put(name, wrapped, if_absent=True)
                stored = await self._storage.get(name)
                await self._run(_prove, recipient, stored, context, key, name)
                covered += 1
            except (ObjectNotFound, ObjectCorrupt) as error:
                raise KeyCorrupt(name) from error
            except MasterKeyUnavailable as error:
                self._covered.discard(key.session_id)
                log.warning("vault.master_key_away", kind=recipient.kind, problem=str(error))
        return covered

    async def _open(self, session_id: str, term: str, masters: frozenset[str]) -> DataKey:
        known = self._cache.get((session_id, term))
        if known is not None:
            return known
        opening = await self._try(session_id, term, masters)
        if opening.secret is None:
            if opening.away:
                raise MasterKeyUnavailable
            if opening.damaged or not masters:
                raise KeyCorrupt((opening.damaged or [_folder(session_id, term)])[0])
            raise KeyUnknown
        key = DataKey(session_id, term, opening.secret)
        self._cache[session_id, term] = key
        return key

    async def _try(
        self, session_id: str, term: str, masters: frozenset[str], *, all_of_them: bool = False
    ) -> _Opening:
        """Unwraps one of a term's objects, or all of them, the preferred master key first.

        An object under another id may still be of a configured master key, of a passphrase with
        another cost or a program with another path; so these are tried last.
        """
        opening, ids = _Opening(), set()
        for recipient in await self._bound():
            ids.add(recipient.id)
            if recipient.id in masters and (opening.secret is None or all_of_them):
                await self._unwrap(opening, session_id, term, recipient.id, [recipient])
        for master_id in sorted(masters - ids):
            if opening.secret is None or all_of_them:
                loose = [each for each in await self._bound() if each.kind != FILE]
                await self._unwrap(opening, session_id, term, master_id, loose)
        return opening

    async def _unwrap(
        self,
        opening: _Opening,
        session_id: str,
        term: str,
        master_id: str,
        recipients: Sequence[Recipient],
    ) -> None:
        """Adds to `opening` what comes of one object."""
        name = _name(session_id, term, master_id)
        damaged = any(each.id == master_id for each in recipients)
        try:
            wrapped = await self._storage.get(name) if recipients else b""
        except (ObjectNotFound, ObjectCorrupt):
            wrapped, recipients = b"", []
        for recipient in recipients:
            try:
                secret = await self._run(
                    _unwrap, recipient, wrapped, self._context(session_id, term)
                )
            except MasterKeyUnavailable:
                opening.away, damaged = True, False
            except WrapBroken:
                continue
            else:
                damaged = opening.secret not in {None, secret}
                if not damaged:
                    opening.secret = secret
                    opening.opened_by.append(master_id)
                break
        if damaged:
            opening.damaged.append(name)

    def _context(self, session_id: str, term: str) -> bytes:
        text = f"roost vault v2\0{self._repository_id}\0{session_id}\0{term}"
        return text.encode("ascii")


def _unwrap(recipient: Recipient, wrapped: bytes, context: bytes) -> bytes:
    secret = recipient.unwrap(wrapped, context)
    if len(secret) != KEY_BYTES:
        raise WrapBroken
    return secret


def _prove(recipient: Recipient, wrapped: bytes, context: bytes, key: DataKey, name: str) -> None:
    """Raises KeyCorrupt unless this opens as the key."""
    try:
        secret = _unwrap(recipient, wrapped, context)
    except WrapBroken as error:
        raise KeyCorrupt(name) from error
    if secret != key.secret:
        raise KeyCorrupt(name)


def _terms(names: Iterable[str]) -> Terms:
    found: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for name in names:
        match name.split("/"):
            case [objects.KEYS, session_id, term, master_id] if (
                SESSION_ID.fullmatch(session_id)
                and TERM.fullmatch(term)
                and MASTER_ID.fullmatch(master_id)
            ):
                found[session_id, term].add(master_id)
            case _:
                pass
    return {key: frozenset(masters) for key, masters in found.items()}


def _folder(session_id: str, term: str) -> str:
    return f"{objects.KEYS}/{session_id}/{term}"


def _name(session_id: str, term: str, master_id: str) -> str:
    return objects.key(SessionName(session_id), term, master_id)
