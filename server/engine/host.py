"""Child side: one process that runs one session's engine and talks to the server.

Three threads of ours. The main thread owns the socket, the deadlines and the end. The engine's
thread sits in neonize's blocking call and hears its events. The calls' thread makes the server's
calls one after the other (whatsmeow sends one message at a time anyway; a call that hangs is the
server's to notice, and ends the host).

A host never goes on in a doubtful state: whatever cannot be explained ends it, with a reason, and
the supervisor starts another one. It ends in one way: disconnect, wait until everything the engine
had received is in the spool, say so, and exit without unwinding, since the engine's threads cannot
be joined.
"""

import contextlib
import os
import queue
import select
import signal
import socket
import threading
import time
import traceback
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from roost.engine.v1 import frames_pb2 as frames

from . import lock, neonize, outcomes, translate
from .base import EndReason
from .frames import FrameCorrupt, FrameReader, pack
from .outbox import Outbox
from .outcomes import End
from .receiver import Receiver
from .spool import Spool

SEND_BYTES: Final = 256 * 1024
DISCONNECT_SECONDS: Final = 5.0
DRAIN_SECONDS: Final = 10.0
FAREWELL_SECONDS: Final = 5.0
SAMPLE_SECONDS: Final = 0.01
EXIT_BUG: Final = 70  # EX_SOFTWARE


@dataclass(frozen=True, slots=True, kw_only=True)
class _Deadline:
    """Until when something must have happened, and the end if it has not."""

    at: float
    end: End
    is_met: Callable[[], bool]


class Host:
    """The process of one session."""

    def __init__(self, sock: socket.socket, start: frames.Start) -> None:
        """Nothing happens before `run`."""
        self._sock = sock
        self._start = start
        self._reader = FrameReader()
        self._pending = b""
        # A pipe and not an eventfd: Python's wakeup for signals writes single bytes. Without that
        # a signal that the kernel gives to one of Go's threads would wait for the next event.
        self._wake_fd, self._waker_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        self._is_deaf = False  # the server is gone
        self._end: End | None = None
        self._end_lock = threading.Lock()
        self._deadline: _Deadline | None = None
        self._heard = time.monotonic()
        self._calls: queue.SimpleQueue[frames.Call] = queue.SimpleQueue()
        self._calling: threading.Thread | None = None

    def run(self) -> NoReturn:
        """Serves until the end of the session and exits the process."""
        try:
            self._begin()
            self._heard = time.monotonic()
            while self._end is None and not self._is_deaf:
                self._turn(self._until_deadline())
                self._check_deadline()
                self._check_silence()
            self._leave(self._end or End(reason=EndReason.STOPPED, code="server-gone"))
        except BaseException:  # noqa: BLE001 -- there is nothing above but the exit
            traceback.print_exc()
        os._exit(EXIT_BUG)

    # --- beginning

    def _begin(self) -> None:
        if lock.take(Path(self._start.lock_file)) is None:
            end = frames.Ending(reason=EndReason.CRASHED, engine_code="locked")
            self._sock.sendall(
                pack(frames.HostFrame(session_id=self._start.session_id, ending=end))
            )
            os._exit(0)
        signal.set_wakeup_fd(self._waker_fd, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        self._spool = Spool(Path(self._start.spool_dir), acked=self._start.spool_acked)
        self._outbox = Outbox(self._start.session_id, self._spool, self._wake)
        self._outbox.answer(frames.HostFrame(ready=frames.Ready()))
        self._sock.settimeout(0)
        self._poll.register(self._wake_fd, select.POLLIN)
        self._poll.register(self._sock, select.POLLIN)
        self._flush()
        neonize.load(self._start.simulator_root_key)
        protos = neonize.protos()
        self._receiver = Receiver(
            protos=protos,
            translator=translate.Translator(protos, self._phone_of_lid),
            outbox=self._outbox,
            is_fresh=self._start.fresh,
            finish=self._finish,
            expect_connected=self._expect_connected,
        )
        self._engine = neonize.Neonize(
            uid=f"{self._start.session_id}-{uuid.uuid4().hex}",
            store=Path(self._start.store),
            proxy_url=self._start.proxy_url,
            listener=self._receiver,
        )
        self._deadline = _Deadline(
            at=time.monotonic() + self._start.login_deadline_millis / 1000,
            end=End(reason=EndReason.CONNECT_FAILED, code="login-timeout"),
            is_met=lambda: self._receiver.is_settled,
        )
        threading.Thread(target=self._run_engine, name="engine", daemon=True).start()

    def _run_engine(self) -> None:
        self._receiver.returned(self._engine.run(translate.SUBSCRIPTIONS))

    def _phone_of_lid(self, lid: str) -> str:
        return self._engine.phone_of_lid(lid)

    # --- what ends it

    def _finish(self, end: End) -> None:
        with self._end_lock:
            self._end = self._end or end
        self._wake()

    def _on_signal(self, number: int, _: object) -> None:
        self._finish(End(reason=EndReason.CRASHED, code=signal.Signals(number).name))

    def _expect_connected(self) -> None:
        """An accepted pairing that is no connection soon never will be: whatsmeow waits for ever.

        Happens when the socket is lost between the pairing and the stream's restart.
        """
        self._deadline = _Deadline(
            at=time.monotonic() + self._start.paired_deadline_millis / 1000,
            end=End(reason=EndReason.CRASHED, code="paired-without-connected"),
            is_met=lambda: self._receiver.has_connected,
        )
        self._wake()

    def _until_deadline(self) -> float | None:
        ends = [] if self._deadline is None else [self._deadline.at]
        if self._start.silence_millis:
            ends.append(self._heard + self._start.silence_millis / 1000)
        return max(0.0, min(ends) - time.monotonic()) if ends else None

    def _check_silence(self) -> None:
        """A server that hangs or is frozen may have been replaced by another."""
        silence = time.monotonic() - self._heard
        if self._start.silence_millis and silence >= self._start.silence_millis / 1000:
            self._deafen()

    def _check_deadline(self) -> None:
        deadline = self._deadline
        if deadline is None or time.monotonic() < deadline.at:
            return
        if deadline.is_met():
            self._deadline = None
        else:
            self._finish(deadline.end)

    # --- the socket

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # full: awake
            os.write(self._waker_fd, b"!")

    def _turn(self, timeout: float | None) -> None:
        """Sends what can be sent, waits for something to happen, and takes what came."""
        self._flush()
        if not self._is_deaf:
            self._poll.register(
                self._sock, select.POLLIN | (select.POLLOUT if self._pending else 0)
            )
        for fd, happened in self._poll.poll(None if timeout is None else timeout * 1000):
            if fd == self._wake_fd:
                os.read(self._wake_fd, 4096)
            elif happened & ~select.POLLOUT:
                self._receive()
        self._flush()

    def _flush(self) -> None:
        if self._is_deaf:
            return
        self._pending = self._pending or self._outbox.take(SEND_BYTES)
        while self._pending:
            try:
                sent = self._sock.send(self._pending)
            except BlockingIOError:
                return
            except OSError:
                self._deafen()
                return
            self._pending = self._pending[sent:] or self._outbox.take(SEND_BYTES)

    def _receive(self) -> None:
        try:
            data = self._sock.recv(SEND_BYTES)
            if data:
                self._heard = time.monotonic()
                for body in self._reader.feed(data):
                    self._obey(frames.ServerFrame.FromString(body))
                return
        except BlockingIOError:
            return
        except (OSError, FrameCorrupt):
            pass
        self._deafen()

    def _deafen(self) -> None:
        """The server is gone: from now on events are for the next one."""
        if self._is_deaf:
            return
        self._is_deaf = True
        self._poll.unregister(self._sock)
        self._sock.close()
        self._pending = b""
        self._outbox.drain(deaf=True)

    def _obey(self, frame: frames.ServerFrame) -> None:
        match frame.WhichOneof("frame"):
            case "acknowledge":
                self._spool.acknowledge(frame.acknowledge.spool)
            case "ping":
                self._outbox.answer(frames.HostFrame(pong=frames.Pong(id=frame.ping.id)))
            case "call":
                self._calls.put(frame.call)
                if self._calling is None:
                    self._calling = threading.Thread(
                        target=self._answer_calls, name="calls", daemon=True
                    )
                    self._calling.start()
            case _:  # stop, or something that only a newer server knows
                self._finish(End(reason=EndReason.STOPPED))

    # --- calls

    def _answer_calls(self) -> None:
        while True:
            call = self._calls.get()
            reply = frames.Reply(id=call.id, outcome=frames.Reply.OUTCOME_UNAVAILABLE)
            try:
                if self._receiver.has_spoken and self._end is None:
                    self._make(call, reply)
            except Exception as error:  # noqa: BLE001 -- a bug, which must not hang the caller
                traceback.print_exc()
                self._finish(End(reason=EndReason.CRASHED, code=f"host:{type(error).__name__}"))
                return
            self._outbox.answer(frames.HostFrame(reply=reply))
            if call.WhichOneof("call") == "unlink" and reply.outcome == frames.Reply.OUTCOME_OK:
                self._finish(End(reason=EndReason.LOGGED_OUT, code="unlinked"))

    def _make(self, call: frames.Call, reply: frames.Reply) -> None:
        match call.WhichOneof("call"):
            case "send_text":
                if self._engine.is_connected():
                    self._send(call.send_text, reply)
            case "pair_phone":
                self._pair(call.pair_phone, reply)
            case "unlink":
                if self._engine.is_connected():
                    self._unlink(reply)
            case _:
                reply.outcome = frames.Reply.OUTCOME_REFUSED

    def _send(self, text: frames.SendText, reply: frames.Reply) -> None:
        try:
            sent = self._engine.send_text(text.recipient, text.text, text.secret)
        except neonize.EngineError as error:
            reply.outcome = outcomes.from_send_error(str(error))
            return
        reply.message_id, reply.send_time = sent.message_id, sent.send_time
        reply.outcome = frames.Reply.OUTCOME_OK

    def _pair(self, request: frames.PairPhone, reply: frames.Reply) -> None:
        try:
            reply.pairing_code = self._engine.pair_phone(request.phone)
        except neonize.EngineError as error:
            reply.outcome = outcomes.from_request_error(str(error))
            return
        reply.outcome = frames.Reply.OUTCOME_OK

    def _unlink(self, reply: frames.Reply) -> None:
        try:
            self._engine.logout()
        except neonize.EngineError as error:
            reply.outcome = outcomes.from_request_error(str(error))
            return
        reply.outcome = frames.Reply.OUTCOME_OK

    # --- the end

    def _leave(self, end: End) -> NoReturn:
        self._outbox.drain(deaf=self._is_deaf)
        is_drained = self._close_engine() and not self._outbox.lost
        limit = time.monotonic() + FAREWELL_SECONDS
        while not self._is_deaf and time.monotonic() < limit:
            if self._outbox.is_empty and not self._pending:
                break
            self._turn(SAMPLE_SECONDS)
        self._spool.close()
        if not self._is_deaf:
            ending = frames.Ending(
                reason=end.reason,
                drained=is_drained,
                engine_code=end.code,
                expire_seconds=end.expire_seconds,
            )
            self._sock.settimeout(FAREWELL_SECONDS)
            with contextlib.suppress(OSError):
                self._sock.sendall(
                    self._pending
                    + pack(frames.HostFrame(session_id=self._start.session_id, ending=ending))
                )
        os._exit(0)

    def _close_engine(self) -> bool:
        """Disconnects and waits for the last events; False if some may be missing."""
        if not self._receiver.has_spoken:
            # Either it failed before anything came, or it still connects: then neonize writes its
            # maps and must not be called.
            return self._receiver.has_returned
        closing = threading.Thread(target=self._engine.disconnect, name="close", daemon=True)
        closing.start()
        limit = time.monotonic() + DISCONNECT_SECONDS
        while closing.is_alive() and time.monotonic() < limit:
            self._turn(SAMPLE_SECONDS)
        # An event loop that died leaves behind what it had not handed over yet.
        return not closing.is_alive() and self._is_idle() and not self._receiver.has_returned

    def _is_idle(self) -> bool:
        """Waits until the engine has nothing more to hand over; False if that takes too long.

        neonize does not show its queue. But it hands events over without a pause, so it is empty
        once no event came for a while during which no thread of the engine wanted to run.
        """
        quiet = self._start.drain_quiet_millis / 1000
        limit = time.monotonic() + DRAIN_SECONDS
        heard, since = self._receiver.heard, time.monotonic()
        while (now := time.monotonic()) < limit:
            if self._receiver.heard != heard or self._receiver.is_hearing or _is_busy():
                heard, since = self._receiver.heard, now
            elif now - since >= quiet:
                return True
            self._turn(SAMPLE_SECONDS)
        return False


def _is_busy() -> bool:
    """Whether a thread of this process other than the caller's runs, or waits for a disk."""
    own = str(threading.get_native_id())
    for task in Path("/proc/self/task").iterdir():
        if task.name == own:
            continue
        try:
            stat = (task / "stat").read_text()
        except OSError:
            continue
        if stat.rpartition(")")[2].split()[0] in "RD":
            return True
    return False
