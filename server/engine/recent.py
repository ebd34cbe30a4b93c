"""Child side: messages that were seen already.

When a connection breaks while whatsmeow decrypts, WhatsApp delivers the message again and both
copies come out. The second one must not get a position in the spool.
"""

from roost.engine.v1 import frames_pb2 as frames

REMEMBERED = 2000


class Recent:
    """A bounded memory of messages; hashes only, so that it costs little and tells nothing."""

    def __init__(self, size: int = REMEMBERED) -> None:
        """Remembers the last `size` messages."""
        self._size = size
        self._seen: dict[int, None] = {}  # in order of arrival

    def is_repeat(self, event: frames.Event) -> bool:
        """Whether this message was seen before; from now on it was. Nothing else ever repeats.

        One that could not be decrypted and the same one decrypted later are two events.
        """
        if event.WhichOneof("event") != "message_received":
            return False
        message = event.message_received
        key = hash((message.chat, message.sender, message.message_id, message.undecryptable))
        if key in self._seen:
            return True
        self._seen[key] = None
        if len(self._seen) > self._size:
            del self._seen[next(iter(self._seen))]
        return False
