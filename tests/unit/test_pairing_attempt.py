"""One pairing attempt and those who watch it."""

import asyncio
from datetime import timedelta

import pytest

from server.core.errors import PairingExpired
from server.sessions.pairing import (
    CodeChallenge,
    PairingAttempt,
    PairingCompleted,
    QrChallenge,
)
from tests.support.builders import ANN, make_session
from tests.support.clock import START

SHORT, LONG = timedelta(seconds=20), timedelta(seconds=60)
DONE = PairingCompleted(account=ANN)


def attempt():
    return PairingAttempt(before=make_session(), epoch=1)


async def test_a_watcher_sees_what_is_shown_and_each_change():
    """A fresh QR code replaces the last, with its own expiry and number."""
    one = attempt()
    one.show_qr("qr 1", START, LONG)
    steps = one.follow(by_code=False)
    assert await anext(steps) == QrChallenge(payload="qr 1", expire_time=START + LONG, attempt=1)
    later = START + LONG
    one.show_qr("qr 2", later, SHORT)
    assert await anext(steps) == QrChallenge(payload="qr 2", expire_time=later + SHORT, attempt=2)
    one.end(DONE)
    assert [step async for step in steps] == [DONE]


async def test_a_late_watcher_attaches_to_the_present_challenge():
    """Not to the ones before it."""
    one = attempt()
    for number in (1, 2, 3):
        one.show_qr(f"qr {number}", START, SHORT)
    assert (await anext(one.follow(by_code=False))).attempt == 3


async def test_codes_and_qr_codes_are_shown_to_those_who_want_them():
    """The same attempt serves both; a code lives as long as the attempt."""
    one = attempt()
    assert not one.can_request_code
    one.show_qr("qr 1", START, LONG)
    assert one.can_request_code
    by_code, by_qr = one.follow(by_code=True), one.follow(by_code=False)
    one.show_qr("qr 2", START + LONG, SHORT)
    one.show_code("ABCD-EFGH")
    assert await anext(by_code) == CodeChallenge(
        payload="ABCD-EFGH", expire_time=START + timedelta(seconds=160), attempt=1
    )
    assert (await anext(by_qr)).payload == "qr 2"
    one.show_code("JKLM-NPQR")
    assert (await anext(by_code)).attempt == 2


async def test_the_first_end_counts_and_reaches_everybody():
    """Those who wait and those who come too late."""
    one = attempt()
    async with asyncio.TaskGroup() as group:

        async def watch():
            with pytest.raises(PairingExpired):
                await anext(one.follow(by_code=False))

        for _ in range(3):
            group.create_task(watch())
        await asyncio.sleep(0)
        one.end(PairingExpired(session="sessions/a"))
        one.end(DONE)
    with pytest.raises(PairingExpired):
        await anext(one.follow(by_code=True))


async def test_a_challenge_does_not_show_its_secret():
    """A log line or a traceback must not hold what links a device."""
    one = attempt()
    one.show_qr("planted-secret", START, LONG)
    assert "planted" not in repr(await anext(one.follow(by_code=False)))
