"""Who may use a session's credentials: one server at a time, agreed in storage.

`leases/<session id>` names the last server that ran a session. It is written by compare-and-swap,
when a server starts the session for the first time in its life, takes it, or gives it up: not with
every heartbeat, so that a thousand sessions cost no more than one.

Whoever takes a session from a server that may be alive first marks that server's heartbeat, which
makes its next beat fail: it reads the mark, stops the session, and takes the mark away. The new
owner waits for that, or until the old one is gone (see `heartbeats`).

A session that another server has run since is never resumed here, not even when that server is
gone: the copy of the keys in this data directory is behind what contacts have seen. It takes a
restore, which claims the lease.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

import structlog

from server.core.clock import Clock
from server.core.errors import SessionLeased
from server.core.names import SessionName
from storage_backends.errors import ObjectChanged, StorageError

from . import objects
from .heartbeats import Found, Heartbeat, Identity, Swappable, Watch, encode, find, key_of

logger = structlog.get_logger(__name__)

TTL = timedelta(seconds=60)
SKEW = timedelta(seconds=60)
ATTEMPTS = 8  # at a swap that others win
POLLS = 20  # looks at another server's heartbeat within its ttl


class IdentityTaken(Exception):
    """Another process runs with this server's id: a copy of its data directory."""


class IdentityBusy(Exception):
    """This server's id was in use elsewhere a moment ago; whether it still is shows in a while."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """What is in `leases/<session id>`."""

    owner: str
    """The server that may run the session, or did last; empty: nobody yet."""
    instance: str
    generation: int
    """Grows with every change of the owner."""
    is_free: bool = False
    """The owner has stopped the session and given it up: anybody may take it."""
    awaits: str = ""
    """A server that has not yet shown that it has stopped the session."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A lease that was taken. `undo` gives it back as it was, if nothing came of it."""

    session: SessionName
    undo: Callable[[], Awaitable[None]]


class Leases:
    """This server's heartbeat and leases in one storage. Has no tasks: `fencing.Fencing` beats.

    Methods raise StorageError when the storage does not answer.
    """

    def __init__(
        self,
        storage: Callable[[], Awaitable[Swappable]],
        identity: Identity,
        clock: Clock,
        *,
        ttl: timedelta = TTL,
        skew: timedelta = SKEW,
    ) -> None:
        self._storage = storage
        self._me = identity
        self._key = key_of(identity.server)
        self._clock = clock
        self._ttl = ttl.total_seconds()
        self._watch = Watch(clock, skew)
        self._beating = asyncio.Lock()
        self._etag: str | None = None  # of the heartbeat; None: not ours yet
        self._beats = 0
        self._valid_until = float("-inf")
        self._locks: defaultdict[SessionName, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._held: set[SessionName] = set()
        self._marked: set[SessionName] = set()  # in our heartbeat, by others
        self._lost: set[SessionName] = set()  # of these, the ones that are still to be stopped
        self._stopping: set[SessionName] = set()  # of these, the ones that somebody is stopping

    @property
    def held(self) -> frozenset[SessionName]:
        """Sessions that this server may run."""
        return frozenset(self._held)

    @property
    def seconds_left(self) -> float:
        """How long others are sure to take this server for alive."""
        return self._valid_until - self._clock.monotonic()

    # --- the heartbeat

    async def beat(self) -> None:
        """Shows that this server is alive, and learns what it has lost: see `take_lost`.

        Raises IdentityTaken, IdentityBusy.
        """
        async with self._beating:
            storage = await self._storage()
            for _ in range(ATTEMPTS):
                started = self._clock.monotonic()
                expected = self._etag or await self._adopt(storage)
                self._judge_marks()
                try:
                    await self._write_heartbeat(storage, expected)
                except ObjectChanged:
                    if self._etag is not None:
                        await self._read_marks(storage)
                else:
                    self._valid_until = started + self._ttl
                    return
        raise IdentityBusy

    def take_lost(self) -> frozenset[SessionName]:
        """Sessions lost since the last call: stop each, then call `stopped`.

        Only a beat after that lets their new owners begin.
        """
        lost = frozenset(self._lost - self._stopping)
        self._stopping |= lost
        return lost

    def stopped(self, session: SessionName) -> None:
        """A lost session does not run any more."""
        for sessions in (self._lost, self._stopping, self._marked):
            sessions.discard(session)

    def lose_all(self) -> frozenset[SessionName]:
        """Forgets every lease: this server cannot show that it is alive."""
        lost, self._held = frozenset(self._held), set()
        return lost

    async def stop(self) -> None:
        """Says that no session runs here any more: others need not wait."""
        async with self._beating:
            if self._etag is not None:
                await self._write_heartbeat(await self._storage(), self._etag, is_stopped=True)
                self._etag, self._valid_until = None, float("-inf")

    async def _adopt(self, storage: Swappable) -> str | None:
        """The etag to swap for the first heartbeat of this process; None: there is none."""
        found = await find(storage, self._key, Heartbeat)
        beat = found.value if found else None
        if found is None or beat is None:
            return found.etag if found else None
        if beat.instance == self._me.instance:  # our own first one, whose answer was lost
            self._marked |= {SessionName(session_id) for session_id in beat.taken}
        elif beat.place != self._me.place and not await self._has_left(storage):
            raise IdentityBusy
        return found.etag

    async def _has_left(self, storage: Swappable) -> bool:
        """Whether the process that had this server's id in another place is gone."""
        seen = self._watch.known_etag(self._me.server)
        dated = key_of(self._me.instance)
        if seen is None:
            with suppress(ObjectChanged):
                await storage.cas(dated, b"{}", expected=None)
        found, is_gone = await self._watch.look(storage, self._me.server, own=dated)
        if seen is None:
            await storage.delete(dated)
        elif found is not None and not is_gone and found.etag != seen:
            raise IdentityTaken
        return is_gone

    async def _write_heartbeat(
        self, storage: Swappable, expected: str | None, *, is_stopped: bool = False
    ) -> None:
        self._beats += 1
        beat = Heartbeat(
            server=self._me.server,
            instance=self._me.instance,
            place=self._me.place,
            ttl_seconds=self._ttl,
            beat=self._beats,
            is_stopped=is_stopped,
            taken=tuple(sorted(name.session_id for name in self._marked)),
        )
        self._etag = (await storage.cas(self._key, encode(beat), expected=expected)).etag

    async def _read_marks(self, storage: Swappable) -> None:
        """Somebody else has written our heartbeat."""
        found = await find(storage, self._key, Heartbeat)
        if found is None:  # removed by hand
            self._etag = None
            return
        if found.value is not None and found.value.instance != self._me.instance:
            raise IdentityTaken
        self._etag = found.etag
        if found.value is not None:
            self._marked |= {SessionName(session_id) for session_id in found.value.taken}

    def _judge_marks(self) -> None:
        for session in self._marked - self._lost:
            if self._locks[session].locked():
                continue  # being resumed or claimed this very moment: decided at the next beat
            if session in self._held:
                self._held.discard(session)
                self._lost.add(session)
            else:
                self._marked.discard(session)

    # --- leases

    async def resume(self, session: SessionName) -> None:
        """Makes sure that this server may go on with the credentials that it has.

        Raises SessionLeased: another server runs the session, or has run it since.
        """
        async with self._locks[session]:
            if session in self._held:
                return
            storage = await self._alive()
            for _ in range(ATTEMPTS):
                found, lease = await self._find(storage, session)
                if found and (lease is None or lease.owner not in {self._me.server, ""}):
                    raise _leased(session, lease)
                if await self._swap_own(storage, session, found):
                    self._held.add(session)
                    return
            raise _leased(session, None)

    async def claim(self, session: SessionName, *, take_over: bool = False) -> Claim:
        """Takes the lease for credentials that are about to be put in place here.

        With `take_over` also from a server that is alive; waits until that one has stopped the
        session, or is gone.

        Raises SessionLeased.
        """
        async with self._locks[session]:
            storage = await self._alive()
            for _ in range(ATTEMPTS):
                found, lease = await self._find(storage, session)
                if found and lease is None and not take_over:  # damaged: anybody may run it
                    raise _leased(session, None)
                if lease is None or lease.owner in {self._me.server, ""}:
                    is_ours = await self._swap_own(storage, session, found)
                else:
                    is_ours = await self._take(storage, session, found, lease, take_over=take_over)
                if is_ours:
                    self._held.add(session)
                    return Claim(session, partial(self._undo, session, lease))
            raise _leased(session, None)

    async def check(self, session: SessionName) -> None:
        """Raises SessionLeased if a claim would be refused now."""
        storage = await self._alive()
        found, lease = await self._find(storage, session)
        if found is None or (lease and (lease.is_free or lease.owner in {self._me.server, ""})):
            return
        if lease is not None:
            _, is_gone = await self._watch.look(storage, lease.owner, self._key)
            if is_gone:
                return
        raise _leased(session, lease)

    async def release(self, session: SessionName) -> None:
        """Gives up a session that is stopped: anybody may take it."""
        async with self._locks[session]:
            if session not in self._held:
                return
            self._held.discard(session)
            storage = await self._storage()
            found, lease = await self._find(storage, session)
            if found and lease and lease.instance == self._me.instance:
                await self._swap(storage, session, replace(lease, is_free=True), found.etag)

    async def _alive(self) -> Swappable:
        """Others must be able to see that this server is alive before it holds anything."""
        if self.seconds_left <= 0:
            await self.beat()
        return await self._storage()

    async def _swap_own(
        self, storage: Swappable, session: SessionName, found: Found[Lease] | None
    ) -> bool:
        """Takes a lease that is nobody else's."""
        lease = found.value if found else None
        if lease and lease.awaits:
            await self._await_release(storage, session, lease.awaits)
        mine = self._mine(lease.generation if lease else 1)
        return await self._swap(storage, session, mine, found.etag if found else None) is not None

    async def _take(
        self,
        storage: Swappable,
        session: SessionName,
        found: Found[Lease] | None,
        lease: Lease,
        *,
        take_over: bool,
    ) -> bool:
        """Takes another server's lease; False: something has changed meanwhile."""
        assert found is not None
        mine = self._mine(lease.generation + 1)
        if lease.is_free:
            return await self._swap(storage, session, mine, found.etag) is not None
        beat, is_gone = await self._watch.look(storage, lease.owner, self._key)
        if not is_gone and not take_over:
            raise _leased(session, lease)
        mark = None
        if beat is not None and beat.value is not None:
            marked = encode(beat.value.with_taken(session.session_id))
            try:
                mark = await storage.cas(key_of(lease.owner), marked, expected=beat.etag)
            except ObjectChanged:
                return False
            self._watch.marked(lease.owner, mark.etag, is_gone=is_gone)
        if not is_gone:
            mine = replace(mine, awaits=lease.owner)
        etag = await self._swap(storage, session, mine, found.etag)
        if etag is None:
            return False
        logger.warning(
            "lease.taken_over", session=session.session_id, server=lease.owner, was_gone=is_gone
        )
        try:
            if not is_gone or (mark and await self._has_changed(storage, lease.owner, mark.etag)):
                await self._await_release(storage, session, lease.owner)
            if mine.awaits:
                mine = replace(mine, awaits="")
                return await self._swap(storage, session, mine, etag) is not None
        except BaseException:
            with suppress(StorageError):
                await self._put_back(session, lease)
            raise
        return True

    async def _has_changed(self, storage: Swappable, server: str, etag: str) -> bool:
        """A server that was gone has come back in between."""
        beat = await find(storage, key_of(server), Heartbeat)
        return beat is not None and beat.etag != etag

    async def _await_release(self, storage: Swappable, session: SessionName, server: str) -> None:
        """Returns when a server has taken the mark away from its heartbeat, or is gone."""
        until: float | None = None
        while True:
            found, is_gone = await self._watch.look(storage, server, self._key)
            beat = found.value if found else None
            if is_gone or (beat and session.session_id not in beat.taken):
                return
            patience = beat.patience if beat else self._ttl
            now = self._clock.monotonic()
            until = now + 2 * patience if until is None else until
            if now >= until:  # it is alive and does not manage to stop it
                raise SessionLeased(session=str(session), server=server)
            await self._clock.sleep(patience / POLLS)

    async def _undo(self, session: SessionName, before: Lease | None) -> None:
        """Leaves a claimed lease as it was before, unless it was ours anyway."""
        async with self._locks[session]:
            if session in self._held and (before is None or before.owner != self._me.server):
                self._held.discard(session)
                await self._put_back(session, before)

    async def _put_back(self, session: SessionName, before: Lease | None) -> None:
        storage = await self._storage()
        found, lease = await self._find(storage, session)
        if found and lease and lease.instance == self._me.instance:
            generation = lease.generation + 1
            back = before or Lease(owner="", instance="", generation=generation)
            await self._swap(storage, session, replace(back, generation=generation), found.etag)

    def _mine(self, generation: int) -> Lease:
        return Lease(owner=self._me.server, instance=self._me.instance, generation=generation)

    async def _swap(
        self, storage: Swappable, session: SessionName, lease: Lease, expected: str | None
    ) -> str | None:
        """The new etag; None: somebody else was faster."""
        try:
            info = await storage.cas(_lease_key(session), encode(lease), expected=expected)
        except ObjectChanged:
            return None
        return info.etag

    async def _find(
        self, storage: Swappable, session: SessionName
    ) -> tuple[Found[Lease] | None, Lease | None]:
        found = await find(storage, _lease_key(session), Lease)
        return found, found.value if found else None


def _lease_key(session: SessionName) -> str:
    return f"{objects.LEASES}/{session.session_id}"


def _leased(session: SessionName, lease: Lease | None) -> SessionLeased:
    return SessionLeased(session=str(session), server=lease.owner if lease else "")
