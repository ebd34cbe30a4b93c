"""Stores are made with care, and a damaged one never becomes a new identity."""

import os
import sqlite3
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from server.engine import store
from server.engine.base import Account, Ended, EndReason, QrCode
from simulator import Phone

from .conftest import GRACE, Sessions

ROW = {
    "jid": "15551234567:3@s.whatsapp.net",
    "lid": "987654321:3@lid",
    "registration_id": 1,
    "noise_key": bytes(32),
    "identity_key": bytes(32),
    "signed_pre_key": bytes(32),
    "signed_pre_key_id": 1,
    "signed_pre_key_sig": bytes(64),
    "adv_key": bytes(32),
    "adv_details": b"x",
    "adv_account_sig": bytes(64),
    "adv_account_sig_key": bytes(32),
    "adv_device_sig": bytes(64),
    "platform": "android",
    "business_name": "",
    "push_name": "Ann, with a comma",
}


def write(path: Path, **changes: object) -> None:
    row = ROW | changes
    with sqlite3.connect(path) as db:
        db.execute(
            f"INSERT INTO whatsmeow_device ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})",
            tuple(row.values()),
        )
    db.close()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    subprocess.run(store.template_command(folder / "draft"), check=True)
    store.finish_template(folder / "draft", folder / "template.db")
    assert list(folder.iterdir()) == [folder / "template.db"]
    return folder / "template.db"


@pytest.fixture
def path(template: Path, tmp_path: Path) -> Path:
    path = tmp_path / "a b#c%41?d" / "store.db"
    store.create(template, path)
    return path


def test_a_fresh_store_is_private_and_empty(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]
    assert store.is_store_ready(path)
    assert not store.is_store_sound(path)
    assert store.read_account(path) is None


def test_an_existing_store_is_never_replaced(path: Path, template: Path) -> None:
    write(path)
    store.create(template, path)
    assert store.is_store_sound(path)


def test_the_account_is_read_from_the_device(path: Path) -> None:
    write(path)
    assert store.read_account(path) == Account(
        jid="15551234567@s.whatsapp.net",
        lid="987654321@lid",
        push_name="Ann, with a comma",
        device=3,
    )


def test_the_guard_keeps_the_device(path: Path) -> None:
    write(path)
    with sqlite3.connect(path) as db, pytest.raises(sqlite3.IntegrityError, match="protected"):
        db.execute("DELETE FROM whatsmeow_device")
    db.close()
    assert store.is_store_sound(path)


def test_a_missing_guard_comes_back(path: Path) -> None:
    write(path)
    with sqlite3.connect(path) as db:
        db.execute("DROP TRIGGER roost_guard")
    db.close()
    assert store.is_store_sound(path)
    with sqlite3.connect(path) as db, pytest.raises(sqlite3.IntegrityError, match="protected"):
        db.execute("DELETE FROM whatsmeow_device")
    db.close()


def damage_nothing_there(path: Path) -> None:
    path.unlink()


def damage_empty(path: Path) -> None:
    path.write_bytes(b"")


def damage_truncated(path: Path) -> None:
    os.truncate(path, 40_000)


def damage_header(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04" + path.read_bytes()[4:])


def damage_page(path: Path) -> None:
    with sqlite3.connect(path) as db:
        ((page,),) = db.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'whatsmeow_device'"
        ).fetchall()
    db.close()
    data = bytearray(path.read_bytes())
    data[(page - 1) * 4096 : page * 4096] = os.urandom(4096)
    path.write_bytes(data)


def damage_device_gone(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("DROP TRIGGER roost_guard")
        db.execute("DELETE FROM whatsmeow_device")
    db.close()


DAMAGES = [
    damage_nothing_there,
    damage_empty,
    damage_truncated,
    damage_header,
    damage_page,
    damage_device_gone,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_and_nothing_is_created(path: Path, damage: Callable[[Path], None]) -> None:
    write(path)
    damage(path)
    was_there = path.exists()
    assert not store.is_store_sound(path)
    assert store.read_account(path) is None
    assert path.exists() == was_there


def test_two_devices_are_one_too_many(path: Path) -> None:
    write(path)
    write(path, jid="15557654321:1@s.whatsapp.net")
    assert not store.is_store_sound(path)


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_store_ends_the_session_and_shows_no_code(
    sessions: Sessions, new_phone: Callable[[], Phone], damage: Callable[[Path], None]
) -> None:
    watched = await sessions.paired(new_phone())
    await watched.session.stop(GRACE)
    store.is_store_sound(watched.spec.store)  # its end folds the write-ahead log in
    damage(watched.spec.store)
    again = await sessions.again(watched)
    assert await again.ended() == Ended(
        reason=EndReason.STORE_DAMAGED, clean=True, engine_code="store-check"
    )
    assert [one for one in again.events if isinstance(one, QrCode)] == []
