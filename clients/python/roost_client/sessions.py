"""Sessions: create, run, pair, remove."""

from collections.abc import AsyncGenerator, Awaitable, Collection, Mapping, Sequence
from contextlib import aclosing
from datetime import timedelta
from uuid import uuid4

from google.protobuf.field_mask_pb2 import FieldMask
from roost.v1 import session_service_pb2 as pb
from roost.v1.session_pb2 import Session

from .events import AsyncEvents
from .group import AsyncGroup
from .names import session_name
from .paging import pages
from .states import until


class AsyncSessions(AsyncGroup):
    """SessionService. A session is given as its id or its full name."""

    async def create(
        self,
        session_id: str = "",
        *,
        display_name: str = "",
        labels: Mapping[str, str] | None = None,
        proxy_url: str = "",
        request_id: str = "",
    ) -> Session:
        """Creates a stopped session; without an id the server picks one."""
        wanted = Session(display_name=display_name, labels=labels, proxy_url=proxy_url)
        request = pb.CreateSessionRequest(
            session_id=session_id, session=wanted, request_id=request_id or str(uuid4())
        )
        return (
            await self._rpc.unary("SessionService.CreateSession", request, pb.CreateSessionResponse)
        ).session

    async def get(self, session: str) -> Session:
        """Gets one session."""
        request = pb.GetSessionRequest(name=session_name(session))
        return (
            await self._rpc.unary("SessionService.GetSession", request, pb.GetSessionResponse)
        ).session

    async def list_page(
        self,
        *,
        states: Sequence[Session.State | str] = (),
        show_deleted: bool = False,
        page_size: int = 0,
        page_token: str = "",
    ) -> pb.ListSessionsResponse:
        """One page, with the cursor from which to follow on."""
        request = pb.ListSessionsRequest(
            page_size=page_size, page_token=page_token, states=states, show_deleted=show_deleted
        )
        return await self._rpc.unary(
            "SessionService.ListSessions", request, pb.ListSessionsResponse
        )

    async def list(
        self, *, states: Sequence[Session.State | str] = (), show_deleted: bool = False
    ) -> AsyncGenerator[Session, None]:
        """All sessions by name, page after page."""

        def fetch(token: str) -> Awaitable[pb.ListSessionsResponse]:
            return self.list_page(states=states, show_deleted=show_deleted, page_token=token)

        async for page in pages(fetch):
            for session in page.sessions:
                yield session

    async def update(
        self,
        session: str,
        *,
        display_name: str | None = None,
        labels: Mapping[str, str] | None = None,
        proxy_url: str | None = None,
        etag: str = "",
    ) -> Session:
        """Changes what is given; with `etag` only if nobody changed the session since."""
        changes = {"display_name": display_name, "labels": labels, "proxy_url": proxy_url}
        paths = [path for path, value in changes.items() if value is not None]
        wanted = Session(
            name=session_name(session),
            display_name=display_name or "",
            labels=labels,
            proxy_url=proxy_url or "",
            etag=etag,
        )
        request = pb.UpdateSessionRequest(session=wanted, update_mask=FieldMask(paths=paths))
        return (
            await self._rpc.unary("SessionService.UpdateSession", request, pb.UpdateSessionResponse)
        ).session

    async def delete(self, session: str, *, etag: str = "") -> Session:
        """Stops the session and moves it to trash; `undelete` brings it back."""
        request = pb.DeleteSessionRequest(name=session_name(session), etag=etag)
        return (
            await self._rpc.unary("SessionService.DeleteSession", request, pb.DeleteSessionResponse)
        ).session

    async def undelete(self, session: str) -> Session:
        """Brings a deleted session back, stopped."""
        request = pb.UndeleteSessionRequest(name=session_name(session))
        return (
            await self._rpc.unary(
                "SessionService.UndeleteSession", request, pb.UndeleteSessionResponse
            )
        ).session

    async def start(self, session: str) -> Session:
        """Asks for the session to run; returns at once. See `wait_for`."""
        request = pb.StartSessionRequest(name=session_name(session))
        return (
            await self._rpc.unary("SessionService.StartSession", request, pb.StartSessionResponse)
        ).session

    async def stop(self, session: str, *, grace: timedelta | None = None) -> Session:
        """Asks for the session to be down; returns at once."""
        request = pb.StopSessionRequest(name=session_name(session), grace_period=grace)
        return (
            await self._rpc.unary("SessionService.StopSession", request, pb.StopSessionResponse)
        ).session

    async def unlink(self, session: str) -> Session:
        """Logs the device out on WhatsApp and moves its credentials to trash."""
        request = pb.UnlinkSessionRequest(name=session_name(session))
        return (
            await self._rpc.unary("SessionService.UnlinkSession", request, pb.UnlinkSessionResponse)
        ).session

    async def pair(
        self, session: str, *, phone: str = ""
    ) -> AsyncGenerator[pb.PairSessionResponse, None]:
        """Yields what to show, each step replacing the one before, and `completed` at the end.

        By QR code, or with `phone` (E.164) by a code to type on that phone. Calling again while an
        attempt runs joins it. Raises RoostError PAIRING_EXPIRED, PAIRING_REJECTED and others.
        """
        request = pb.PairSessionRequest(name=session_name(session))
        if phone:
            request.phone.phone_number = phone
        else:
            request.qr.SetInParent()
        steps = self._rpc.stream("SessionService.PairSession", request, pb.PairSessionResponse)
        async with aclosing(steps):
            async for step in steps:
                yield step

    async def wait_for(
        self,
        session: str,
        states: Collection[Session.State] = (Session.STATE_ACTIVE,),
        *,
        wait: timedelta = timedelta(minutes=1),
    ) -> Session:
        """Follows the session until it is in one of `states`.

        Raises RoostError with the condition's reason when the session gave up (FAILED or UNLINKED),
        and DEADLINE_EXCEEDED after `wait`.
        """
        name = session_name(session)
        return await until(AsyncEvents(self._rpc).subscribe(sessions=[name]), states, wait)
