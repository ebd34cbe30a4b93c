"""The Python client and the command line against a real server, engine and simulator."""

import asyncio
import itertools
import json
import os
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from roost.v1.session_pb2 import Session
from roost_cli import exits
from roost_client import AsyncClient, Client, FileCursor, RoostError

from simulator import Simulator
from tests.support.server import ServerProcess

NUMBERS = itertools.count(15550700000)
TEXTS = 12
DEADLINE = 30.0


@pytest.fixture(scope="module")
def whatsapp():
    """The simulator; by the end it has understood everything."""
    with Simulator.start() as simulator:
        yield simulator
        assert simulator.unknown_stanzas() == []


@pytest.fixture
def people(whatsapp):
    """Somebody with a phone, and somebody to write to."""
    ann = whatsapp.create_account(phone=str(next(NUMBERS)), name="Ann")
    return ann, whatsapp.create_contact(phone=str(next(NUMBERS)), name="Bob")


@pytest.fixture
def server(whatsapp, tmp_path):
    """A server at an address that it keeps when it is started again."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    listen = ("--listen", address)
    with ServerProcess(tmp_path / "data", whatsapp.environment(), arguments=listen) as running:
        yield running


class Cli:
    """The command on the server's machine: it finds address and key by itself."""

    def __init__(self, data_dir):
        clean = {name: text for name, text in os.environ.items() if "ROOST_" not in name}
        self.env = clean | {"ROOST_DATA_DIR": str(data_dir)}
        self.started = []

    def start(self, *arguments):
        process = subprocess.Popen(
            [Path(sys.executable).with_name("roost"), *arguments, "--json"],
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def end(self, process):
        out, err = process.communicate(timeout=2 * DEADLINE)
        return process.returncode, [json.loads(line) for line in out.splitlines()], err

    def __call__(self, *arguments):
        code, found, err = self.end(self.start(*arguments))
        assert code == exits.OK, err
        return found


@pytest.fixture
def cli(server):
    command = Cli(server.data_dir)
    yield command
    for process in command.started:
        process.kill()
        process.communicate()


def pair(cli, session, ann):
    """Pairs by QR code on the command line."""
    process = cli.start("pair", session, "--create")
    first = json.loads(process.stdout.readline())
    ann.scan(first["qrCode"]["payload"])
    code, rest, err = cli.end(process)
    assert code == exits.OK, err
    return rest[-1]["completed"]["account"]


def test_the_main_job_on_the_command_line(cli, people):
    """Pair, write, read, back up, restore, connect: each a command of its own."""
    ann, bob = people
    assert pair(cli, "shop", ann)["jid"] == ann.jid
    (shop,) = cli("sessions", "list")
    assert shop["state"] == "STATE_ACTIVE"

    (sent,) = cli("send", "shop", f"+{bob.phone}", "hello Bob")
    assert bob.inbox(1, timeout=DEADLINE)[-1].text == "hello Bob"
    assert sent["messageId"]
    events = cli.start("events", "shop", "--kind", "message", "--count", "1")
    assert "snapshot" in json.loads(events.stdout.readline())
    bob.send_text(ann, "hello shop")
    code, lines, err = cli.end(events)
    assert code == exits.OK, err
    assert lines[-1]["event"]["messageReceived"]["text"] == "hello shop"

    (backup,) = cli("backup", "shop")
    assert backup["state"] == "STATE_ACTIVE"
    assert backup["name"] in {each["name"] for each in cli("backups", "shop")}
    (stopped,) = cli("sessions", "stop", "shop", "--wait")
    assert stopped["state"] == "STATE_STOPPED"
    code, _, err = cli.end(cli.start("restore", "shop", "--yes"))
    assert code == exits.REFUSED
    assert json.loads(err)["error"]["reason"] == "CREDENTIALS_EXIST"
    (restored,) = cli("restore", "shop", "--yes", "--force")
    assert restored["plan"]["targetSession"] == "sessions/shop"
    (active,) = cli("sessions", "start", "shop", "--wait")
    assert active["account"]["jid"] == ann.jid
    (gone,) = cli("sessions", "unlink", "shop", "--yes")
    assert gone["state"] == "STATE_UNLINKED"


def test_pairing_by_code_on_the_command_line(cli, people):
    """The code that is shown is the one the phone takes."""
    ann, _ = people
    process = cli.start("pair", "shop", "--create", "--phone", f"+{ann.phone}")
    shown = json.loads(process.stdout.readline())
    ann.enter_code(shown["pairingCode"]["payload"])
    code, rest, err = cli.end(process)
    assert code == exits.OK, err
    assert rest[-1]["completed"]["account"]["jid"] == ann.jid


def test_nobody_scans(cli, whatsapp):
    """The attempt ends with its own exit code."""
    process = cli.start("pair", "shop", "--create")
    payload = json.loads(process.stdout.readline())["qrCode"]["payload"]
    whatsapp.expire_qr(payload)
    code, _, err = cli.end(process)
    assert code == exits.PAIRING
    assert json.loads(err)["error"]["reason"] == "PAIRING_EXPIRED"


def test_doctor_finds_the_server_healthy(cli):
    """Everything is checked against the real thing; the simulator is a warning."""
    code, found, err = cli.end(cli.start("doctor"))
    assert code == exits.OK, (found, err)
    assert {check["name"]: check["status"] for check in found if check["status"] != "ok"} == {
        "whatsapp": "warning"
    }


def test_without_the_key_there_is_no_entry(server, cli, tmp_path):
    """UNAUTHENTICATED, from the client and from the command line."""
    with Client(server.address, "wrong") as stranger, pytest.raises(RoostError) as error:
        stranger.sessions.get("shop")
    assert error.value.reason == "TOKEN_INVALID"
    (tmp_path / "wrong").write_text("wrong")
    code, _, err = cli.end(cli.start("sessions", "list", "--key-file", str(tmp_path / "wrong")))
    assert code == exits.UNAUTHENTICATED
    assert "TOKEN_INVALID" in err


async def test_a_subscription_lives_through_a_killed_server(server, people, tmp_path):
    """Every text once and in order, to a subscriber that never noticed."""
    ann, bob = people
    place = FileCursor(tmp_path / "place")
    seen, began = [], asyncio.Event()

    async def read(roost):
        async for update in roost.events.subscribe(cursor=place):
            began.set()
            for event in update.events:
                if event.HasField("message_received"):
                    seen.append(event.message_received.text)
            if len(seen) >= TEXTS:
                return

    async with AsyncClient(server.address, server.key) as roost, asyncio.timeout(4 * DEADLINE):
        await roost.sessions.create("shop")
        async for step in roost.sessions.pair("shop"):
            if step.qr_code.attempt == 1:
                await asyncio.to_thread(ann.scan, step.qr_code.payload)
        await roost.sessions.wait_for("shop")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(read(roost))
            await began.wait()
            for number in range(TEXTS):
                await asyncio.to_thread(bob.send_text, ann, f"text {number}")
                if number == TEXTS // 2:
                    await asyncio.to_thread(server.kill)
                    await asyncio.to_thread(server.start)
    assert seen == [f"text {number}" for number in range(TEXTS)]


async def test_waiting_for_a_session(server, people, whatsapp):
    """It comes up, is stopped, and gives up for a reason that the waiter is told."""
    ann, _ = people
    async with AsyncClient(server.address, server.key) as roost:
        await roost.sessions.create("shop")
        with pytest.raises(RoostError) as error:
            await roost.sessions.start("shop")
        assert error.value.reason == "SESSION_NOT_PAIRED"
        async for step in roost.sessions.pair("shop"):
            if step.qr_code.attempt == 1:
                await asyncio.to_thread(ann.scan, step.qr_code.payload)
        await roost.sessions.wait_for("shop")
        await roost.sessions.stop("shop")
        await roost.sessions.wait_for("shop", [Session.STATE_STOPPED])
        await asyncio.to_thread(whatsapp.fault, ann, "login_failure", reason=405)
        await roost.sessions.start("shop")
        with pytest.raises(RoostError) as error:
            await roost.sessions.wait_for("shop", wait=timedelta(seconds=DEADLINE))
        assert error.value.reason == "CLIENT_OUTDATED"
        await roost.sessions.start("shop")  # FAILED until now: the old failure is not this one's
        await roost.sessions.wait_for("shop")
