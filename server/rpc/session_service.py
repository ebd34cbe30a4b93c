"""`roost.v1.SessionService`."""

import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from typing import Any

from roost.v1 import session_service_pb2 as pb
from roost.v1 import session_service_pb2_grpc

from server.core.errors import SessionExists
from server.core.names import SessionName
from server.events.broker import Broker
from server.sessions.manager import SessionManager
from server.sessions.model import SessionChanges
from server.sessions.pairing import Challenge, CodeChallenge, PairingCompleted, PairingStep
from server.sessions.recipient import parse_phone

from . import convert, validate
from .idempotency import Attempt, Idempotency
from .paging import page_of
from .streams import closing
from .validate import Checks

DEFAULT_GRACE = timedelta(seconds=10)
LONGEST_GRACE = timedelta(seconds=60)
UPDATABLE = frozenset({"display_name", "labels", "proxy_url"})


class SessionService(session_service_pb2_grpc.SessionServiceServicer):
    """Creates, runs, pairs and removes sessions."""

    def __init__(self, manager: SessionManager, broker: Broker, repeats: Idempotency) -> None:
        self._manager = manager
        self._broker = broker
        self._repeats = repeats
        self._views = convert.SessionViews()

    async def CreateSession(
        self, request: pb.CreateSessionRequest, _context: Any
    ) -> pb.CreateSessionResponse:
        """Makes a stopped session."""
        with Checks() as check:
            if request.session_id:
                check(SessionName.from_id, request.session_id)
            check(validate.request_id, request.request_id)
            changes = check(_settings, request, UPDATABLE)
        return await self._repeats.once(
            request, pb.CreateSessionResponse, partial(self._create, request, changes)
        )

    async def _create(
        self, request: pb.CreateSessionRequest, wanted: SessionChanges, attempt: Attempt
    ) -> pb.CreateSessionResponse:
        session_id = request.session_id or _stable_id(request.request_id)
        try:
            session = await self._manager.create(
                session_id=session_id,
                display_name=wanted.display_name or "",
                labels=wanted.labels or {},
                proxy_url=wanted.proxy_url or "",
            )
        except SessionExists:
            if attempt is Attempt.FIRST:
                raise
            session = self._manager.get(SessionName(session_id))  # made by the run that was cut off
        return pb.CreateSessionResponse(session=convert.session(session))

    async def GetSession(
        self, request: pb.GetSessionRequest, _context: Any
    ) -> pb.GetSessionResponse:
        """As last committed; no I/O."""
        return self._views.of(self._manager.get(SessionName.parse(request.name)))

    async def ListSessions(
        self, request: pb.ListSessionsRequest, _context: Any
    ) -> pb.ListSessionsResponse:
        """By name. Sessions and cursor are of the same moment: nothing is awaited between."""
        page = page_of(request)
        with Checks() as check:
            states = [
                check(validate.enum_value, number, convert.STATE_OF, f"states[{index}]")
                for index, number in enumerate(request.states)
            ]
        found = self._manager.list(
            states=frozenset(states),
            show_deleted=request.show_deleted,
            after=page.after,
            limit=page.look_ahead,
        )
        shown, token = page.cut(found, lambda session: session.name.session_id)
        return pb.ListSessionsResponse(
            sessions=map(convert.session, shown),
            next_page_token=token,
            cursor=self._broker.cursor(),
        )

    async def UpdateSession(
        self, request: pb.UpdateSessionRequest, _context: Any
    ) -> pb.UpdateSessionResponse:
        """Changes what the mask names."""
        with Checks() as check:
            name = check(SessionName.parse, request.session.name, "session.name")
            paths = check(validate.update_mask, request.update_mask, UPDATABLE, "update_mask")
            changes = check(_settings, request, paths or frozenset())
        session = await self._manager.update(name, changes, request.session.etag)
        return pb.UpdateSessionResponse(session=convert.session(session))

    async def DeleteSession(
        self, request: pb.DeleteSessionRequest, _context: Any
    ) -> pb.DeleteSessionResponse:
        """Stops it and moves it to trash."""
        session = await self._manager.delete(SessionName.parse(request.name), request.etag)
        return pb.DeleteSessionResponse(session=convert.session(session))

    async def UndeleteSession(
        self, request: pb.UndeleteSessionRequest, _context: Any
    ) -> pb.UndeleteSessionResponse:
        """Brings it back, stopped."""
        session = await self._manager.undelete(SessionName.parse(request.name))
        return pb.UndeleteSessionResponse(session=convert.session(session))

    async def StartSession(
        self, request: pb.StartSessionRequest, _context: Any
    ) -> pb.StartSessionResponse:
        """Wants it running; returns before it is."""
        session = await self._manager.start(SessionName.parse(request.name))
        return pb.StartSessionResponse(session=convert.session(session))

    async def StopSession(
        self, request: pb.StopSessionRequest, _context: Any
    ) -> pb.StopSessionResponse:
        """Wants it stopped; returns before it is."""
        with Checks() as check:
            name = check(SessionName.parse, request.name)
            grace = check(
                validate.duration,
                request.grace_period,
                "grace_period",
                default=DEFAULT_GRACE,
                longest=LONGEST_GRACE,
            )
        session = await self._manager.stop(name, grace)
        return pb.StopSessionResponse(session=convert.session(session))

    async def PairSession(
        self, request: pb.PairSessionRequest, _context: Any
    ) -> AsyncIterator[pb.PairSessionResponse]:
        """Follows one attempt; a caller that leaves does not end it."""
        with Checks() as check:
            name = check(SessionName.parse, request.name)
            method = check(validate.chosen, request, "method")
            phone = request.phone.phone_number if method == "phone" else None
            if phone is not None:
                check(parse_phone, phone, "phone.phone_number")
        async with closing(self._manager.pair(name, phone)) as steps:
            async for step in steps:
                yield pairing_step(step)

    async def UnlinkSession(
        self, request: pb.UnlinkSessionRequest, _context: Any
    ) -> pb.UnlinkSessionResponse:
        """Logs the device out on WhatsApp; the credentials go to trash."""
        session = await self._manager.unlink(SessionName.parse(request.name))
        return pb.UnlinkSessionResponse(session=convert.session(session))


def _settings(
    request: pb.CreateSessionRequest | pb.UpdateSessionRequest, paths: frozenset[str]
) -> SessionChanges:
    """The fields that a caller may set, as far as `paths` names them; raises FieldInvalid."""
    given = request.session
    with Checks() as check:
        display_name = check(validate.display_name, given.display_name, "session.display_name")
        labels = check(validate.labels, given.labels, "session.labels")
        proxy_url = check(validate.proxy_url, given.proxy_url, "session.proxy_url")
    return SessionChanges(
        display_name=display_name if "display_name" in paths else None,
        labels=labels if "labels" in paths else None,
        proxy_url=proxy_url if "proxy_url" in paths else None,
    )


def _stable_id(request_id: str) -> str:
    """The same id for every repeat of a request; empty: any."""
    if not request_id:
        return ""
    return "s" + hashlib.sha256(request_id.lower().encode()).hexdigest()[:15]


def pairing_step(value: PairingStep) -> pb.PairSessionResponse:
    """What to show next, or that the device is linked."""
    if isinstance(value, PairingCompleted):
        completed = pb.PairSessionResponse.Completed(account=convert.account(value.account))
        return pb.PairSessionResponse(completed=completed)
    if isinstance(value, CodeChallenge):
        return pb.PairSessionResponse(pairing_code=_challenge(value))
    return pb.PairSessionResponse(qr_code=_challenge(value))


def _challenge(value: Challenge) -> pb.PairSessionResponse.Challenge:
    return pb.PairSessionResponse.Challenge(
        payload=value.payload, expire_time=value.expire_time, attempt=value.attempt
    )
