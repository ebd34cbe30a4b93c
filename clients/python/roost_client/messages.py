"""Messages."""

from datetime import timedelta
from uuid import uuid4

from roost.v1 import message_service_pb2 as pb

from .group import AsyncGroup
from .names import session_name

SEND_TIMEOUT = timedelta(seconds=90)  # WhatsApp itself may take more than a minute to acknowledge


class AsyncMessages(AsyncGroup):
    """MessageService."""

    async def send_text(
        self, session: str, to: str, text: str, *, request_id: str = ""
    ) -> pb.SendMessageResponse:
        """Sends a text to a phone number (`+15551234567`), a person's JID or a group's.

        Give your own `request_id` (UUID4) to make your own retries safe for 24 hours.
        """
        request = pb.SendMessageRequest(
            session=session_name(session),
            recipient=to,
            text=pb.SendMessageRequest.Text(body=text),
            request_id=request_id or str(uuid4()),
        )
        return await self._rpc.unary(
            "MessageService.SendMessage", request, pb.SendMessageResponse, timeout=SEND_TIMEOUT
        )
