"""Child side: hears the engine and decides what is an event, and what is the end.

All methods but the properties run on the engine's thread (the log on any of Go's). Nothing may
raise into Go, where an exception would be printed and forgotten: what goes wrong here ends the
host.
"""

import os
import re
import time
import traceback
from collections.abc import Callable
from typing import Any, Final

from roost.engine.v1 import frames_pb2 as frames

from . import outcomes, translate
from .base import EndReason
from .outbox import Outbox
from .outcomes import End
from .recent import Recent
from .translate import Translator

FIRST_CODE_MILLIS: Final = 60_000  # whatsmeow shows the first code longer than the others
NEXT_CODE_MILLIS: Final = 20_000
_PLAIN_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,32}")


class Receiver:
    """The `neonize.Listener` of a session."""

    def __init__(
        self,
        *,
        protos: Any,
        translator: Translator,
        outbox: Outbox,
        is_fresh: bool,
        finish: Callable[[End], None],
        expect_connected: Callable[[], None],
    ) -> None:
        """Takes what it talks to.

        Args:
            protos: neonize's messages.
            translator: Makes durable events.
            outbox: Where events go.
            is_fresh: The store is for pairing; otherwise it must hold a device.
            finish: Ends the host; the first reason counts.
            expect_connected: Starts the clock within which a pairing must become a connection.
        """
        self._protos = protos
        self._translator = translator
        self._outbox = outbox
        self._is_fresh = is_fresh
        self._finish = finish
        self._expect_connected = expect_connected
        self._account = frames.Account()
        self._is_paired = not is_fresh
        self._code_time: float | None = None
        self._log = outcomes.LoginLog()
        self._recent = Recent()
        self.has_spoken = False  # from now on it is safe to call the engine
        self.has_returned = False  # the engine is broken
        self.has_connected = False
        self.is_settled = False  # connected or at least once disconnected: no login deadline
        self.heard = 0
        self.is_hearing = False

    def on_qr_code(self, payload: str) -> None:
        """A code to show, or the proof that a store for login has no device."""
        self._hear(self._qr_code, payload)

    def on_login_status(self, status: str) -> None:
        """An unfinished pairing came to something."""
        self._hear(self._login_status, status)

    def on_event(self, code: int, payload: bytes) -> None:
        """An event."""
        self._hear(self._event, code, payload)

    def on_log(self, line: str) -> None:
        """A line of whatsmeow's log: two numbers are taken from it, nothing is kept.

        Only trouble with the store is noted, in words of our own, in `host.stderr`.
        """
        self._log.read(line)
        if trouble := outcomes.store_trouble(line):
            os.write(2, f"store: {trouble}\n".encode())

    def returned(self, text: str) -> None:
        """The engine's blocking call came back, which means that it is broken."""
        self.has_returned = True
        self._finish(
            outcomes.from_returned_error(text, was_connected=self.has_connected, log=self._log)
        )

    def _hear(self, handle: Callable[..., None], *arguments: object) -> None:
        self.is_hearing = True
        self.heard += 1
        self.has_spoken = True  # before anybody is told, who may call at once
        try:
            handle(*arguments)
        except Exception as error:  # noqa: BLE001 -- see the module's docstring
            traceback.print_exc()
            self._finish(End(reason=EndReason.CRASHED, code=f"host:{type(error).__name__}"))
        self.heard += 1
        self.is_hearing = False

    def _qr_code(self, payload: str) -> None:
        if not self._is_fresh:
            # Never a code for a session that had credentials: it would be a new identity.
            self._finish(End(reason=EndReason.STORE_DAMAGED, code="no-device"))
            return
        lifetime = FIRST_CODE_MILLIS if self._code_time is None else NEXT_CODE_MILLIS
        self._code_time = time.monotonic()
        self.is_settled = True
        self._outbox.tell(
            frames.Event(qr_code=frames.QrCode(payload=payload, lifetime_millis=lifetime))
        )

    def _login_status(self, status: str) -> None:
        if status == "success":
            self._expect_connected()
            return
        age = None if self._code_time is None else time.monotonic() - self._code_time
        end = outcomes.from_login_status(status, seconds_since_code=age, log=self._log)
        if end is not None:
            self._finish(end)

    def _event(self, code: int, payload: bytes) -> None:
        if handle := self._HANDLERS.get(code):
            handle(self, payload)
        elif (event := self._translator.event(code, payload)) and not self._recent.is_repeat(event):
            self._outbox.keep(event)

    def _device(self, payload: bytes) -> None:
        self._account = translate.account(self._protos.Device.FromString(payload))

    def _pair_status(self, payload: bytes) -> None:
        status = self._protos.PairStatus.FromString(payload)
        if status.Status == self._protos.PairStatus.SUCCESS:
            self._paired()
            self._expect_connected()
        else:
            self._finish(End(reason=EndReason.PAIRING_REJECTED, code="error"))

    def _paired(self) -> None:
        if not self._is_paired:
            self._is_paired = True
            self._outbox.tell(frames.Event(paired=frames.Paired(account=self._account)))

    def _connected(self, _: bytes) -> None:
        self._paired()  # a pairing whose success an earlier server did not live to see
        self.has_connected = self.is_settled = True
        self._outbox.tell(frames.Event(connected=frames.Connected(account=self._account)))

    def _disconnected(self, _: bytes) -> None:
        self.is_settled = True
        self._outbox.tell(frames.Event(disconnected=frames.Disconnected()))

    def _keep_alive_timeout(self, _: bytes) -> None:
        self._outbox.tell(frames.Event(keep_alive_timeout=frames.KeepAliveTimeout()))

    def _keep_alive_restored(self, _: bytes) -> None:
        self._outbox.tell(frames.Event(keep_alive_restored=frames.KeepAliveRestored()))

    def _stream_error(self, payload: bytes) -> None:
        code = self._protos.StreamError.FromString(payload).Code
        plain = code if _PLAIN_CODE.fullmatch(code) else "unknown"
        self._outbox.tell(frames.Event(stream_failed=frames.StreamFailed(engine_code=plain)))

    def _logged_out(self, payload: bytes) -> None:
        event = self._protos.LoggedOut.FromString(payload)
        if event.OnConnect:
            self._finish(outcomes.from_login_failure(self._reason(event.Reason)))
        else:
            self._finish(End(reason=EndReason.LOGGED_OUT, code="device_removed"))

    def _stream_replaced(self, _: bytes) -> None:
        self._finish(End(reason=EndReason.STREAM_REPLACED, code="replaced"))

    def _temporary_ban(self, _: bytes) -> None:
        self._finish(self._log.ban())

    def _connect_failure(self, payload: bytes) -> None:
        event = self._protos.ConnectFailure.FromString(payload)
        self._finish(outcomes.from_login_failure(self._reason(event.Reason)))

    def _client_outdated(self, _: bytes) -> None:
        self._finish(End(reason=EndReason.CLIENT_OUTDATED, code="405"))

    def _reason(self, number: int) -> str:
        return str(self._protos.ConnectFailureReason.Name(number))

    _HANDLERS: Final[dict[int, Callable[["Receiver", bytes], None]]] = {
        translate.DEVICE: _device,
        translate.PAIR_STATUS: _pair_status,
        translate.CONNECTED: _connected,
        translate.DISCONNECTED: _disconnected,
        translate.KEEP_ALIVE_TIMEOUT: _keep_alive_timeout,
        translate.KEEP_ALIVE_RESTORED: _keep_alive_restored,
        translate.STREAM_ERROR: _stream_error,
        translate.LOGGED_OUT: _logged_out,
        translate.STREAM_REPLACED: _stream_replaced,
        translate.TEMPORARY_BAN: _temporary_ban,
        translate.CONNECT_FAILURE: _connect_failure,
        translate.CLIENT_OUTDATED: _client_outdated,
    }
