"""What the engine says becomes events once, and ends only with a reason."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from roost.engine.v1 import frames_pb2 as frames

from server.engine import neonize, translate
from server.engine.base import EndReason
from server.engine.frames import FrameReader
from server.engine.outbox import Outbox
from server.engine.outcomes import End
from server.engine.receiver import Receiver
from server.engine.recent import Recent
from server.engine.spool import Spool

from .test_translate import jid, message, source

neonize.prepare()
PB: Any = neonize.protos()
WHERE = source("99@lid", "99:4@lid", alt="15551@s.whatsapp.net")


class Heard:
    """A receiver with everything around it."""

    def __init__(self, folder: Path, *, is_fresh: bool) -> None:
        self.ends: list[End] = []
        self.expected = 0
        self.outbox = Outbox("a", Spool(folder, acked=0), lambda: None)
        self.receiver = Receiver(
            protos=PB,
            translator=translate.Translator(PB, lambda _: ""),
            outbox=self.outbox,
            is_fresh=is_fresh,
            finish=self.ends.append,
            expect_connected=self._expect,
        )

    def _expect(self) -> None:
        self.expected += 1

    def events(self) -> list[frames.Event]:
        bodies = FrameReader().feed(self.outbox.take(1 << 30))
        return [frames.HostFrame.FromString(body).event for body in bodies]


@pytest.fixture
def heard(tmp_path: Path) -> Callable[..., Heard]:
    return lambda *, is_fresh=False: Heard(tmp_path, is_fresh=is_fresh)


def test_a_message_that_comes_twice_is_one_event(heard: Callable[..., Heard]) -> None:
    one = heard()
    payload = message(WHERE, conversation="hi")
    for _ in range(3):
        one.receiver.on_event(translate.MESSAGE, payload)
    (event,) = one.events()
    assert (event.spool, event.message_received.text) == (1, "hi")


def test_a_message_decrypted_later_is_another_event(heard: Callable[..., Heard]) -> None:
    one = heard()
    info = PB.Message.FromString(message(WHERE)).Info
    lost = PB.UndecryptableMessage(
        Info=info, IsUnavailable=False, DecryptFailMode="DECRYPT_FAIL_SHOW"
    ).SerializeToString()
    for _ in range(2):
        one.receiver.on_event(translate.UNDECRYPTABLE, lost)
        one.receiver.on_event(translate.MESSAGE, message(WHERE, conversation="hi"))
    first, second = one.events()
    assert first.message_received.undecryptable
    assert second.message_received.text == "hi"


def test_the_memory_of_messages_is_bounded() -> None:
    recent = Recent(size=2)

    def event(number: int) -> frames.Event:
        return frames.Event(message_received=frames.MessageReceived(message_id=str(number)))

    assert [recent.is_repeat(event(number)) for number in (1, 2, 1, 3, 2, 1)] == [
        *(False, False, True),
        *(False, True, False),
    ]
    assert not recent.is_repeat(frames.Event(raw_event=frames.RawEvent(type="x")))
    assert not recent.is_repeat(frames.Event(raw_event=frames.RawEvent(type="x")))


def test_codes_are_for_fresh_stores_only(heard: Callable[..., Heard]) -> None:
    one = heard(is_fresh=True)
    one.receiver.on_qr_code("first")
    one.receiver.on_qr_code("second")
    assert [event.qr_code.lifetime_millis for event in one.events()] == [60_000, 20_000]
    assert one.ends == []


def test_a_code_for_a_session_that_had_credentials_ends_it(heard: Callable[..., Heard]) -> None:
    one = heard()
    one.receiver.on_qr_code("a new identity")
    assert one.events() == []
    assert one.ends == [End(reason=EndReason.STORE_DAMAGED, code="no-device")]


def test_a_pairing_is_told_once_and_expected_to_connect(heard: Callable[..., Heard]) -> None:
    one = heard(is_fresh=True)
    one.receiver.on_login_status("success")
    status = PB.PairStatus(
        ID=jid("15550:1@s.whatsapp.net"), BusinessName="", Platform="", Status="SUCCESS"
    ).SerializeToString()
    one.receiver.on_event(translate.PAIR_STATUS, status)
    one.receiver.on_event(translate.CONNECTED, b"")
    assert [event.WhichOneof("event") for event in one.events()] == ["paired", "connected"]
    assert one.expected == 2


def test_codes_of_whatsapp_are_passed_on_only_if_they_look_like_codes(
    heard: Callable[..., Heard],
) -> None:
    one = heard()
    for code in ("500", "see <a@b>", ""):
        payload = PB.StreamError(Code=code).SerializePartialToString()
        one.receiver.on_event(translate.STREAM_ERROR, payload)
    codes = [event.stream_failed.engine_code for event in one.events()]
    assert codes == ["500", "unknown", "unknown"]


def test_what_cannot_be_handled_ends_the_host_with_its_kind_only(
    heard: Callable[..., Heard], capfd: pytest.CaptureFixture[str]
) -> None:
    one = heard()
    one.receiver.on_event(translate.LOGGED_OUT, b"\xff not a message")
    (end,) = one.ends
    assert (end.reason, end.code) == (EndReason.CRASHED, "host:DecodeError")
    assert "Traceback" in capfd.readouterr().err
