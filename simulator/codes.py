"""Linking by code: the client shows eight characters, the user types them on the phone.

Source: https://github.com/tulir/whatsmeow/blob/main/pair-code.go
"""

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from . import errors
from .accounts import Account, Device
from .connection import Connection, refusal, reply
from .pairing import Candidate, Pairings
from .signal.errors import SignalError, WrongCode
from .signal.pairing_code import PhonePairing
from .wire.jid import SERVER
from .wire.nodes import Node

_FINISH_SECONDS = 10.0
_TAG = "link_code_companion_reg"
_EPHEMERAL = "link_code_pairing_wrapped_companion_ephemeral_pub"
_REF = "link_code_pairing_ref"


@dataclass(slots=True)
class _Pending:
    """A code that a client shows."""

    candidate: Candidate
    hello: bytes
    ref: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    finished: asyncio.Future[Node] | None = None


class CodePairings:
    """The codes that clients show, by the number they want to be linked to."""

    def __init__(self, pairings: Pairings) -> None:
        self._pairings = pairings
        self._pending: dict[str, _Pending] = {}

    def answer(self, connection: Connection, request: Node) -> bool:
        """Take part in a client's half of the exchange; False if it makes no sense."""
        content = request.child(_TAG)
        candidate = self._pairings.by_connection(connection)
        jid = content.jid("jid") if content else None
        if content is None or candidate is None or jid is None:
            connection.post(refusal(request, 400, "bad-request"))
            return False
        steps: dict[str, Callable[[], bool]] = {
            "companion_hello": lambda: self._begin(jid.user, candidate, request, content),
            "companion_finish": lambda: self._finish(jid.user, candidate, request, content),
        }
        step = steps.get(content.text("stage"))
        if step is None or not step():
            connection.post(refusal(request, 400, "bad-request"))
            return False
        return True

    async def enter(self, account: Account, code: str) -> Device:
        """Do what the phone does when its user has typed a code.

        Raises:
            NoCodeRequested: no client waits for one.
            WrongCode: it is not what the client shows.
            PairingRefused, ClientLost: the client did not go along.
        """
        pending = self._pending.get(account.phone)
        if pending is None or self._pairings.by_connection(pending.candidate.connection) is None:
            raise errors.NoCodeRequested
        try:
            phone = await asyncio.to_thread(PhonePairing, account.identity, pending.hello, code)
            bundle = await self._exchange(pending, phone)
            secret = phone.finish(
                bundle.child_data("link_code_pairing_wrapped_key_bundle"),
                bundle.child_data("companion_identity_public"),
            )
        except WrongCode:
            raise errors.WrongCode from None
        except SignalError as error:
            raise errors.PairingRefused(str(error)) from None
        device = await self._pairings.link(account, pending.candidate, secret)
        self._pending.pop(account.phone, None)
        return device

    async def _exchange(self, pending: _Pending, phone: PhonePairing) -> Node:
        """Send the phone's keys; the client's answer."""
        pending.finished = asyncio.get_running_loop().create_future()
        content = [
            Node("link_code_pairing_wrapped_primary_ephemeral_pub", {}, phone.wrapped_ephemeral),
            Node("primary_identity_pub", {}, phone.identity_key),
            Node(_REF, {}, pending.ref),
        ]
        pending.candidate.connection.post(
            Node(
                "notification",
                {
                    "from": SERVER,
                    "type": _TAG,
                    "id": secrets.token_hex(8),
                    "t": str(int(time.time())),
                },
                [Node(_TAG, {"stage": "primary_hello"}, content)],
            )
        )
        try:
            async with asyncio.timeout(_FINISH_SECONDS):
                return await pending.finished
        except TimeoutError:
            raise errors.ClientLost from None

    def _begin(self, phone: str, candidate: Candidate, request: Node, content: Node) -> bool:
        for number, shown in list(self._pending.items()):
            if shown.candidate is candidate:  # a client shows its latest code only
                del self._pending[number]
        pending = _Pending(candidate, content.child_data(_EPHEMERAL))
        self._pending[phone] = pending
        ref = Node(_REF, {}, pending.ref)
        answer = reply(request, Node(_TAG, {"stage": "companion_hello"}, [ref]))
        candidate.connection.post(answer)
        return True

    def _finish(self, phone: str, candidate: Candidate, request: Node, content: Node) -> bool:
        pending = self._pending.get(phone)
        if pending is None or pending.ref != content.child_data(_REF):
            return False
        candidate.connection.post(reply(request))
        if pending.finished is not None and not pending.finished.done():
            pending.finished.set_result(content)
        return True
