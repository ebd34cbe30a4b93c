"""What a whole run prints and logs, at the most talkative level, holds no secret."""

import asyncio
import base64
import contextlib
import os
import signal
import sqlite3

import grpc

from tests.support.api import DEADLINE, Api, Follower, State, host_pid
from tests.support.server import ServerProcess

BODY = "zebra-quartz-19-planted-body"
REPLY = "violet-anvil-73-planted-reply"
PROXY_PASSWORD = "planted-proxy-password"


def stored_keys(store) -> list[bytes]:
    """Private keys of a session's store."""
    with contextlib.closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as database:
        (keys,) = database.execute(
            "SELECT noise_key, identity_key, signed_pre_key, adv_key FROM whatsmeow_device"
        ).fetchall()
    return list(keys)


def spellings(secret: bytes) -> set[bytes]:
    """How a secret could appear in a text."""
    return {secret, secret.hex().encode(), secret.hex().upper().encode(), base64.b64encode(secret)}


async def test_a_whole_run_says_no_secret(sim, tmp_path, new_phone, new_contact):
    """Pairing both ways, texts, errors, crashes, backup and restore, all at debug level."""
    ann, eve, bob = new_phone(), new_phone(), new_contact()
    secrets: set[bytes] = set()
    env = sim.environment() | {"ROOST_LOG__LEVEL": "DEBUG"}
    with ServerProcess(tmp_path / "data", env=env) as server:
        async with Api.connect(server.address, server.key) as api:
            by_qr = await api.create("by-qr")
            async for step in api.pair(by_qr.name):
                if step.HasField("qr_code"):
                    secrets.add(step.qr_code.payload.encode())
                    secrets.update(part.encode() for part in step.qr_code.payload.split(",")[1:4])
                    await asyncio.to_thread(ann.scan, step.qr_code.payload)
            by_code = await api.create("by-code")
            async for step in api.pair(by_code.name, phone=f"+{eve.phone}"):
                if step.HasField("pairing_code"):
                    code = step.pairing_code.payload
                    secrets.update({code.encode(), code.replace("-", "").encode()})
                    await asyncio.to_thread(eve.enter_code, code)
            for session in (by_qr, by_code):
                await api.wait_for_state(session.name, State.STATE_ACTIVE)

            async with Follower(by_qr.name).following(api) as follower:
                await api.send(by_qr.name, f"+{bob.phone}", BODY)
                await asyncio.to_thread(bob.inbox, 1, timeout=DEADLINE)
                await asyncio.to_thread(bob.send_text, ann.jid, REPLY)
                await follower.until(Follower.messages)
                os.kill(host_pid(server.data_dir, by_qr.name), signal.SIGKILL)
                await follower.until(lambda seen: seen.states()[-1:] == [State.STATE_ACTIVE])
            for recipient in (f"+{bob.phone}x", "+15559999999"):
                with contextlib.suppress(grpc.aio.AioRpcError):
                    await api.send(by_qr.name, recipient, BODY)
            with contextlib.suppress(grpc.aio.AioRpcError):
                await api.create(
                    "proxied", proxy_url=f"http://someone:{PROXY_PASSWORD}@127.0.0.1:1"
                )
                await api.start("sessions/proxied")
            backup = await api.back_up(by_qr.name)
            await api.stop(by_qr.name)
            await api.wait_for_state(by_qr.name, State.STATE_STOPPED)
            for store in (server.data_dir / "sessions").glob("*/*/store.db"):
                secrets.update(*(spellings(key) for key in stored_keys(store)))
            await api.restore(backup, force=True)
            await api.start(by_qr.name)
            await api.wait_for_state(by_qr.name, State.STATE_ACTIVE)
        await asyncio.to_thread(server.terminate)
        secrets.update(spellings((server.data_dir / "backup.key").read_bytes().strip()))
        secrets.update({server.key.encode(), PROXY_PASSWORD.encode(), BODY.encode()})
        secrets.update({REPLY.encode(), b"15559999999"})
        secrets.update(person.phone.encode() for person in (ann, eve, bob))
        secrets.update(person.jid.split("@")[0].encode() for person in (ann, eve, bob))
        output = server.output()

    assert b"by-qr" in output  # it did log what happened
    assert len(output.splitlines()) > 20
    for secret in secrets:
        assert len(secret) >= 8
        assert secret not in output, "a secret was printed"
