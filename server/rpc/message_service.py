"""`roost.v1.MessageService`."""

from collections.abc import Callable
from functools import partial
from typing import Any

from roost.v1 import message_service_pb2 as pb
from roost.v1 import message_service_pb2_grpc

from server.core.names import SessionName
from server.sessions.manager import SessionManager
from server.sessions.recipient import Recipient

from . import validate
from .idempotency import Attempt, Idempotency
from .validate import Checks


class MessageService(message_service_pb2_grpc.MessageServiceServicer):
    """Sends messages."""

    def __init__(
        self, manager: SessionManager, repeats: Idempotency, secret_of: Callable[[str], bytes]
    ) -> None:
        """Without I/O.

        Args:
            manager: sends.
            repeats: answers repeated requests.
            secret_of: the same 32 bytes for the same request_id, which nobody else can guess.
        """
        self._manager = manager
        self._repeats = repeats
        self._secret_of = secret_of

    async def SendMessage(
        self, request: pb.SendMessageRequest, _context: Any
    ) -> pb.SendMessageResponse:
        """Sends one message and waits for WhatsApp's acknowledgement."""
        with Checks() as check:
            name = check(SessionName.parse, request.session, "session")
            recipient = check(Recipient.parse, request.recipient)
            if check(validate.chosen, request, "content"):
                check(validate.text_body, request.text.body, "text.body")
            check(validate.request_id, request.request_id)
        secret = self._secret_of(request.request_id.lower()) if request.request_id else b""
        send = partial(self._send, name, recipient, request.text.body, secret)
        return await self._repeats.once(request, pb.SendMessageResponse, send)

    async def _send(
        self, name: SessionName, recipient: Recipient, text: str, secret: bytes, attempt: Attempt
    ) -> pb.SendMessageResponse:
        sent = await self._manager.send_text(
            name, recipient, text, secret=secret, repeated=attempt is Attempt.AGAIN
        )
        return pb.SendMessageResponse(message_id=sent.message_id, send_time=sent.send_time)
