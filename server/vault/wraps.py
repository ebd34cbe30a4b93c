"""Wrapped data keys in storage: which there are, opening them, and wrapping for more master keys.

    keys/<session id>/<term>/<master key id>    the key of one term, wrapped for one master key

An object is never changed, except that one which proved to be damaged is written anew.
"""

import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import ParamSpec, Protocol, TypeAlias, TypeVar

import structlog

from server.core.names import SESSION_ID, SessionName
from storage_backends.errors import ObjectCorrupt, ObjectExists, ObjectNotFound
from storage_backends.threaded import AsyncStorage

from . import objects
from .masterkeys.base import MasterKey, MasterKeyUnavailable, Recipient, WrapBroken
from .masterkeys.wrapping import Header
from .sealing import KEY_BYTES, DataKey

P = ParamSpec("P")
T = TypeVar("T")
TERM = re.compile(r"[0-9a-z]{16}")
MASTER_ID = re.compile(r"[0-9a-f]{16}")
FILE = "file"

log = structlog.get_logger(__name__)

Terms: TypeAlias = Mapping[tuple[str, str], frozenset[str]]
"""The master keys that have an object, by session id and term."""


class KeyCorrupt(Exception):
    """A wrapped data key is damaged or missing, and no other copy opens.

    `object` names it, or the term's folder if nothing is in it.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.object = name


class Run(Protocol):
    """Runs a blocking call in a thread: `Workers.run`."""

    def __call__(self, call: Callable[P, T], *args: P.args, **named: P.kwargs) -> Awaitable[T]:
        """Returns what the call returns."""


@dataclass(slots=True)
class Opening:
    """What came of opening one term."""

    secret: bytes | None = None
    opened_by: list[str] = field(default_factory=list)
    """Ids of master keys whose object opened."""
    damaged: list[str] = field(default_factory=list)
    """Names of objects that a configured master key should open and does not."""
    away: bool = False
    """A master key that might open it did not answer."""


class Wraps:
    """The wrapped keys in one repository. Storage errors pass."""

    def __init__(
        self, storage: AsyncStorage, repository_id: str, masters: Sequence[MasterKey], run: Run
    ) -> None:
        self._storage = storage
        self._repository_id = repository_id
        self._masters = masters
        self._run = run
        self._recipients: list[Recipient] = []
        self._away: set[str] = set()

    async def recipients(self) -> list[Recipient]:
        """The configured master keys, in their order."""
        if not self._recipients:
            self._recipients = [
                await self._run(master.for_repository, self._repository_id)
                for master in self._masters
            ]
        return self._recipients

    async def terms(self, session_id: str | None, term: str = "") -> Terms:
        """All terms, of a session, or one of them; from the names of objects."""
        root = objects.folder(objects.KEYS, SessionName(session_id) if session_id else None)
        infos = await self._storage.list(f"{root}/{term}" if term else root)
        return _parse(info.key for info in infos)

    async def open(
        self, session_id: str, term: str, masters: frozenset[str], *, everything: bool = False
    ) -> Opening:
        """Unwraps one of a term's objects, or each of them, the preferred master key first.

        An object under another id may still be of a configured master key, of a passphrase with
        another cost or a program with another path; so these are tried last.
        """
        opening, ids = Opening(), set()
        for recipient in await self.recipients():
            ids.add(recipient.id)
            if recipient.id in masters and (opening.secret is None or everything):
                await self._open(opening, session_id, term, recipient.id, [recipient])
        for master_id in sorted(masters - ids):
            if opening.secret is None or everything:
                loose = [each for each in await self.recipients() if each.kind != FILE]
                await self._open(opening, session_id, term, master_id, loose)
        return opening

    async def cover(
        self, key: DataKey, present: frozenset[str], damaged: frozenset[str] = frozenset()
    ) -> int:
        """Wraps for each master key that is missing and not away; says for how many.

        Each wrap is proven before it is stored, and once more as it was stored. Nothing is
        replaced but objects that are `damaged`.

        Raises:
            KeyCorrupt: storage gives back something else than it was given.
        """
        context, covered = self._context(key.session_id, key.term), 0
        for recipient in await self.recipients():
            if recipient.id in present:
                continue
            name = _name(key.session_id, key.term, recipient.id)
            try:
                wrapped = await self._run(recipient.wrap, key.secret, context)
                await self._run(_prove, recipient, wrapped, context, key, name)
                with suppress(ObjectExists):  # another server wrapped it for the same master key
                    await self._storage.put(name, wrapped, if_absent=name not in damaged)
                stored = await self._storage.get(name)
                await self._run(_prove, recipient, stored, context, key, name)
                covered += 1
                self._away.discard(recipient.id)
            except (ObjectNotFound, ObjectCorrupt) as error:
                raise KeyCorrupt(name) from error
            except MasterKeyUnavailable as error:
                if recipient.id not in self._away:  # told once, not for each of a thousand keys
                    self._away.add(recipient.id)
                    log.warning("vault.master_key_away", kind=recipient.kind, problem=str(error))
        return covered

    async def kind_of(self, session_id: str, term: str, master_id: str) -> str:
        """The kind of master key that an object says it is wrapped for; empty: it is damaged."""
        try:
            return Header.parse(await self._storage.get(_name(session_id, term, master_id))).kind
        except (WrapBroken, ObjectNotFound, ObjectCorrupt):
            return ""

    async def remove(self, session_id: str, term: str, master_id: str) -> None:
        """Removes one object."""
        await self._storage.delete(_name(session_id, term, master_id))

    async def _open(
        self,
        opening: Opening,
        session_id: str,
        term: str,
        master_id: str,
        recipients: Sequence[Recipient],
    ) -> None:
        """Adds to `opening` what comes of one object."""
        name, context = _name(session_id, term, master_id), self._context(session_id, term)
        damaged = any(each.id == master_id for each in recipients)
        try:
            wrapped = await self._storage.get(name) if recipients else b""
        except (ObjectNotFound, ObjectCorrupt):
            wrapped, recipients = b"", []
        for recipient in recipients:
            try:
                secret = await self._run(_unwrap, recipient, wrapped, context)
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


def folder(session_id: str, term: str) -> str:
    """Where all objects of a term are."""
    return f"{objects.KEYS}/{session_id}/{term}"


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


def _parse(names: Iterable[str]) -> Terms:
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


def _name(session_id: str, term: str, master_id: str) -> str:
    return objects.key(SessionName(session_id), term, master_id)
