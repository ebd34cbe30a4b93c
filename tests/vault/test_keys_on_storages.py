"""Keys on real storages: rotated by several servers, one of two master keys lost."""

import asyncio
from contextlib import AsyncExitStack

from server.vault.datakeys import DataKeys
from server.vault.masterkeys.file import FileKey
from server.vault.masterkeys.passphrase import Cost, PassphraseKey
from server.vault.workers import Workers
from storage_backends.threaded import AsyncStorage
from tests.vault.test_tampering import backend as storage

__all__ = ["storage"]

FILE = FileKey(b"\x01" * 32)
WORDS = PassphraseKey("correct horse battery", Cost(log_n=4))


async def test_one_of_two_master_keys_is_lost(storage):
    """Memory, files, PostgreSQL and S3: whatever was ever used opens with the other one."""
    async with AsyncExitStack() as stack:
        workers = await stack.enter_async_context(Workers())
        face = await stack.enter_async_context(AsyncStorage(storage))

        def server(*masters):
            return DataKeys(face, "ab" * 16, masters, workers.run)

        used = {await server(FILE).current("ann")}  # before the passphrase was added

        async def rotate(keys):
            for _ in range(5):
                used.add(await keys.current("ann"))
                used.add(await keys.rotate("ann"))

        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            for _ in range(2):
                group.create_task(rotate(server(FILE, WORDS)))
        assert len(used) > 10
        await server(FILE, WORDS).rewrap()
        for survivor in (FILE, WORDS):
            keys = server(survivor)
            for key in used:
                assert await keys.get(key.session_id, key.term) == key
        replaced = server(WORDS)
        assert (await replaced.retire(FILE.id)).removed == len(used)
        assert set(await replaced.counts()) == {each.id for each in await replaced.masters()}
