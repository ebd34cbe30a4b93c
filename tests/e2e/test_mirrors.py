"""A vault in PostgreSQL with a mirror in S3, and a server that has only the mirror left."""

import asyncio
import json
import shutil

from tests.support import s3 as s3_support
from tests.support.api import DEADLINE, Api, State
from tests.support.server import ServerProcess


async def test_the_mirror_alone_brings_a_session_back(
    sim, tmp_path, new_contact, new_phone, postgres_url, s3
):
    """PostgreSQL and the server's disk are lost; bucket and key file are enough."""
    mirror = f"s3://{s3_support.BUCKET}/{s3.fresh_prefix()}?endpoint={s3.endpoint}&path_style=true"
    env = sim.environment() | {
        "AWS_ACCESS_KEY_ID": s3_support.ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": s3_support.SECRET_KEY,
    }
    both = env | {
        "ROOST_BACKUP__LOCATIONS": json.dumps({"database": postgres_url, "bucket": mirror})
    }
    phone, bob = new_phone(), new_contact()
    with ServerProcess(tmp_path / "first", env=both) as first:
        async with Api.connect(first.address, first.key) as api:
            session = await api.create("desk")
            await api.pair_by_qr(session.name, phone.scan)
            await api.wait_for_state(session.name, State.STATE_ACTIVE)
            backup = await api.back_up(session.name)
            await asyncio.to_thread(_await_object, s3, mirror, backup)
        shutil.copy(first.data_dir / "backup.key", tmp_path / "backup.key")
        await asyncio.to_thread(first.kill)
    alone = env | {
        "ROOST_BACKUP__LOCATIONS": json.dumps({"bucket": mirror}),
        "ROOST_BACKUP__KEY_FILE": str(tmp_path / "backup.key"),
    }
    with ServerProcess(tmp_path / "second", env=alone) as second:
        async with Api.connect(second.address, second.key) as api:
            await api.restore(backup)
            await api.start(session.name)
            active = await api.wait_for_state(session.name, State.STATE_ACTIVE)
            assert active.account.jid == phone.jid
            await api.send(session.name, f"+{bob.phone}", "back from the mirror")
            received = await asyncio.to_thread(bob.inbox, 1, timeout=DEADLINE)
            assert received[0].text == "back from the mirror"


def _await_object(s3, mirror, backup):
    """Returns when the manifest has arrived in the bucket."""
    prefix = mirror.partition(f"{s3_support.BUCKET}/")[2].partition("?")[0]
    _, session_id, _, backup_id = backup.split("/")
    client = s3.client()
    waiter = client.get_waiter("object_exists")
    waiter.wait(
        Bucket=s3_support.BUCKET,
        Key=f"{prefix}/snapshots/{session_id}/{backup_id}",
        WaiterConfig={"Delay": 1, "MaxAttempts": 30},
    )
    client.close()
