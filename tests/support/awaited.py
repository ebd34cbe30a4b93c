"""The async face of storage as a blocking backend again, so that the suite can test it."""

import asyncio
import threading

from storage_backends.base import StorageBackend
from storage_backends.threaded import AsyncStorage


class Awaited(StorageBackend):
    """Each call waits for the coroutine of an AsyncStorage, which runs in a loop of its own."""

    def __init__(self, backend):
        self._storage = AsyncStorage(backend)
        self._loop = None

    @property
    def name(self):
        return self._storage.name

    @property
    def properties(self):
        return self._storage.properties

    def open(self):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        try:
            self._wait(self._storage.__aenter__())
        except BaseException:
            self._end()
            raise

    def close(self):
        if self._loop is not None:
            self._wait(self._storage.__aexit__(None, None, None))
            self._end()

    def put(self, key, data, *, if_absent=False, sha256=None):
        return self._wait(self._storage.put(key, data, if_absent=if_absent, sha256=sha256))

    def get(self, key, *, offset=0, length=None):
        return self._wait(self._storage.get(key, offset=offset, length=length))

    def stat(self, key):
        return self._wait(self._storage.stat(key))

    def delete(self, key):
        return self._wait(self._storage.delete(key))

    def list(self, prefix=""):
        return iter(self._wait(self._storage.list(prefix)))

    def cas(self, key, data, *, expected):
        return self._wait(self._storage.cas(key, data, expected=expected))

    def _wait(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=120)

    def _end(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = None
