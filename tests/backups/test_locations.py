"""Storage locations."""

import pytest

from server.backups.locations import Locations
from server.core.errors import FieldInvalid, StorageLocationNotFound, StorageUnavailable
from server.core.names import StorageLocationName
from storage_backends.errors import BackendMisconfigured, BackendUnavailable
from storage_backends.layers import Checked, Layer
from storage_backends.memory import MemoryBackend
from storage_backends.registry import Registry

ONE, TWO = StorageLocationName("one"), StorageLocationName("two")


class Late(Layer):
    """Not there at first."""

    opens = 0

    def open(self):
        self.opens += 1
        if self.opens == 1:
            raise BackendUnavailable(backend=self.name)
        super().open()


async def test_from_urls(tmp_path):
    """URLs by id; the first one is the primary; schemes are shown, places are not."""
    urls = {"one": f"file://{tmp_path}/objects", "two": "memory://x"}
    async with Locations.from_urls(urls, Registry.with_plugins()) as locations:
        assert locations.primary == ONE
        assert [(place.name, place.scheme, place.primary) for place in locations.list()] == [
            (ONE, "file", True),
            (TWO, "memory", False),
        ]
        storage = await locations.storage(ONE)
        await storage.put("a", b"x")
        assert (tmp_path / "objects" / "a").read_bytes() == b"x"
        with pytest.raises(StorageLocationNotFound):
            await locations.storage(StorageLocationName("three"))


async def test_wrong_configuration_stops_the_start(tmp_path):
    """A folder that cannot be is found at the start, and the others are closed again."""
    urls = {"two": "memory://x", "one": f"file://{tmp_path}/no/such/folder"}
    with pytest.raises(Exception, match="refuses access or is misconfigured"):
        async with Locations.from_urls(urls, Registry.with_plugins()):
            pass


@pytest.mark.parametrize("urls", [{"one": "s4://x"}, {"one": "file://relative"}])
def test_wrong_url(urls):
    """So is a wrong URL, even before."""
    with pytest.raises(BackendMisconfigured):
        Locations.from_urls(urls, Registry.with_plugins())


def test_wrong_id():
    """Ids are parts of resource names."""
    with pytest.raises(FieldInvalid):
        Locations.from_urls({"One/Two": "memory://x"}, Registry.with_plugins())
    with pytest.raises(ValueError, match="at least one"):
        Locations.from_urls({}, Registry.with_plugins())


async def test_absent_storage_does_not_stop_the_start():
    """A location that does not answer at the start is opened when it is needed."""
    late = Late(Checked(MemoryBackend()))
    async with Locations({"one": late}, {"one": "memory"}) as locations:
        assert late.opens == 1
        await (await locations.storage(ONE)).put("a", b"x")
        await (await locations.storage(ONE)).get("a")
        assert late.opens == 2


async def test_absent_storage_is_unavailable():
    """Until it answers, calls say so."""

    class Never(Late):
        def open(self):
            raise BackendUnavailable(backend=self.name)

    async with Locations({"one": Never(MemoryBackend())}, {"one": "memory"}) as locations:
        with pytest.raises(StorageUnavailable):
            await locations.storage(ONE)
