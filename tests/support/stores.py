"""Credential stores for tests: the engine's own schema, filled with keys that belong together."""

import json
import os
import secrets
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from simulator.signal import xeddsa

MAKE_SCHEMA = """
import os, sys
os.umask(0o077)
from neonize.client import ClientFactory
assert ClientFactory(sys.argv[1]).get_all_devices() == []
"""
LIST_DEVICES = """
import sys
from neonize.client import ClientFactory
for device in ClientFactory(sys.argv[1]).get_all_devices():
    print(f"{device.JID.User}@{device.JID.Server}")  # neonize leaves the device in the user
"""


def public(private):
    key = X25519PrivateKey.from_private_bytes(private).public_key()
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


@dataclass(frozen=True)
class StoreMaker:
    """Makes paired stores as the engine would leave them."""

    template: Path

    def __call__(self, path, *, user="15550001111", lid="90000000000001", device=7, hosted=False):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.template.read_bytes())
        with closing(sqlite3.connect(path)) as store, store:
            store.execute("PRAGMA foreign_keys = on")
            store.execute("PRAGMA journal_mode = WAL")
            fill(store, user, lid, device, hosted)
        return path


def fill(store, user, lid, device, hosted):
    identity, signed_prekey, phone = (secrets.token_bytes(32) for _ in range(3))
    details = secrets.token_bytes(20)
    account_prefix, device_prefix = (
        (b"\x06\x05", b"\x06\x06") if hosted else (b"\x06\x00", b"\x06\x01")
    )
    jid = f"{user}:{device}@s.whatsapp.net"
    signed = account_prefix + details + public(identity)
    row = {
        "jid": jid,
        "lid": f"{lid}:{device}@lid" if lid else None,
        "registration_id": 1234,
        "noise_key": secrets.token_bytes(32),
        "identity_key": identity,
        "signed_pre_key": signed_prekey,
        "signed_pre_key_id": 1,
        "signed_pre_key_sig": xeddsa.sign(identity, b"\x05" + public(signed_prekey)),
        "adv_key": secrets.token_bytes(32),
        "adv_details": details,
        "adv_account_sig": xeddsa.sign(phone, signed),
        "adv_account_sig_key": public(phone),
        "adv_device_sig": xeddsa.sign(
            identity, device_prefix + details + public(identity) + public(phone)
        ),
        "push_name": "Ann",
    }
    columns, marks = ", ".join(row), ", ".join("?" * len(row))
    store.execute(f"INSERT INTO whatsmeow_device ({columns}) VALUES ({marks})", [*row.values()])
    store.executemany(
        "INSERT INTO whatsmeow_pre_keys VALUES (?, ?, ?, true)",
        [(jid, number, secrets.token_bytes(32)) for number in range(1, 21)],
    )
    add_sessions(store, jid, 5)
    for sender in (f"{lid}_1:{device}", f"{user}:{device}", "91111_1:0", "15559999999:3"):
        store.execute(
            "INSERT INTO whatsmeow_sender_keys VALUES (?, 'group@g.us', ?, ?)",
            (jid, sender, json.dumps({"Keys": [sender]}).encode()),
        )
    store.execute("INSERT INTO whatsmeow_lid_map VALUES ('91111', '15557777777')")
    if lid:
        store.execute("INSERT INTO whatsmeow_lid_map VALUES (?, ?)", (lid, user))


def add_sessions(store, jid, count, start=0):
    store.executemany(
        "INSERT INTO whatsmeow_sessions VALUES (?, ?, ?)",
        [
            (jid, f"9{number:05}_1:0", json.dumps({"Chain": secrets.token_hex(300)}).encode())
            for number in range(start, start + count)
        ],
    )


def rows(path, query):
    with closing(sqlite3.connect(path)) as store:
        return store.execute(query).fetchall()


def devices_seen_by_engine(path):
    """What neonize itself finds in a store, in a process of its own."""
    return _python(LIST_DEVICES, path).split()


def _python(code, path):
    done = subprocess.run(
        [sys.executable, "-c", code, f"{path}?_foreign_keys=on&_journal_mode=WAL&x="],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def make_store(tmp_path_factory):
    """A function that makes a paired store at a path."""
    template = tmp_path_factory.mktemp("template") / "template.db"
    _python(MAKE_SCHEMA, template)
    with closing(sqlite3.connect(template)) as store:
        store.execute("PRAGMA journal_mode = DELETE")
    return StoreMaker(template)
