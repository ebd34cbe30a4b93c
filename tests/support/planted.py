"""Sessions with large stores, put into a data directory before a server opens it."""

import json
import secrets
import shutil
import sqlite3
from contextlib import closing

from server.engine.base import Account
from tests.support.builders import make_session
from tests.support.event_log import open_log

ROW_BYTES = 4000


def grow(path, size):
    """Adds Signal sessions until the file has `size` bytes; half of each is hard to compress."""
    with closing(sqlite3.connect(path)) as store, store:
        (jid,) = store.execute("SELECT jid FROM whatsmeow_device").fetchone()
        store.executemany(
            "INSERT INTO whatsmeow_sessions VALUES (?, ?, ?)",
            [
                (jid, f"8{number:07}_1:0", json.dumps({"C": secrets.token_hex(ROW_BYTES // 2)}))
                for number in range((size - path.stat().st_size) // (ROW_BYTES + 100))
            ],
        )


async def plant(data_dir, make_store, count, size):
    """`count` stopped, paired sessions with a store of `size` bytes each; their names."""
    data_dir.mkdir(mode=0o700)
    names = []
    first = data_dir / "first.db"
    make_store(first, device=7)
    grow(first, size)
    with closing(sqlite3.connect(first)) as store:
        store.execute("PRAGMA journal_mode = DELETE")
    account = Account(
        jid="15550001111@s.whatsapp.net", lid="90000000000001@lid", push_name="Ann", device=7
    )
    async with open_log(f"sqlite:///{data_dir}/roost.db") as log:
        for number in range(count):
            session = make_session(
                f"large-{number:02}",
                account=account,
                store_epoch=1,
                last_store_epoch=1,
                connect_epoch=1,
            )
            store = data_dir / "sessions" / session.name.session_id / "1" / "store.db"
            store.parent.mkdir(parents=True, mode=0o700)
            shutil.copyfile(first, store)
            store.chmod(0o600)
            await log.record(session, [])
            names.append(str(session.name))
    first.unlink()
    return names
