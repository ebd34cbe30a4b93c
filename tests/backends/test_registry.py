"""From URLs to backends."""

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from storage_backends import file, memory
from storage_backends.errors import BackendMisconfigured
from storage_backends.factory import Factory, LazyFactory
from storage_backends.file import FileConfig
from storage_backends.registry import ENTRY_POINT_GROUP, Registry


def point(name, value):
    return EntryPoint(name=name, value=value, group=ENTRY_POINT_GROUP)


class Needy(Factory):
    schemes = ("needy", "needy+tls")
    extra = "roost[needy]"

    def create(self, url):
        import no_such_library  # noqa: F401, PLC0415


NEEDY = Needy()
NOT_A_FACTORY = object()


def test_installed_plugins():
    """The installed package brings its own backends, once each."""
    assert {"file", "memory"} <= set(Registry.with_plugins().schemes)


def test_create(tmp_path):
    """A URL gives an unopened backend; what it stored is there for the next one."""
    registry = Registry.with_plugins([])
    with registry.create(f"file://{tmp_path}/ob%20jects") as backend:
        backend.put("a", b"x")
    assert (tmp_path / "ob jects" / "a").read_bytes() == b"x"
    with registry.create("memory://one") as one, registry.create("memory://one") as same:
        one.put("a", b"x")
        assert same.get("a") == b"x"
        with registry.create("memory://two") as two:
            assert list(two.list()) == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nothing",
        "/a/path",
        "gopher://host",
        "file://host/path",
        "file:relative",
        "file:///",
        "file:///x?y=z",
        "file:///x#y",
        "memory://x/y",
        "memory://x?y",
        "memory://user:geheim@x",
    ],
)
def test_wrong_urls(url):
    """A URL that makes no sense is refused, and its password is not repeated."""
    with pytest.raises(BackendMisconfigured) as caught:
        Registry.with_plugins([]).create(url)
    assert "geheim" not in f"{caught.value}{caught.value!r}"


def test_unknown_scheme_names_the_known_ones():
    """The message helps."""
    with pytest.raises(BackendMisconfigured, match="installed are file, memory, postgres"):
        Registry.with_plugins([]).create("s4://bucket")


def test_missing_library():
    """A backend whose library is missing says what to install."""
    with pytest.raises(BackendMisconfigured, match=r"pip install 'roost\[needy\]'") as caught:
        Registry([NEEDY]).create("needy+tls://x")
    assert isinstance(caught.value.__cause__, ImportError)


def test_plugin_that_cannot_be_imported():
    """A broken plug-in does not stop the others; using it says what is missing."""
    registry = Registry.with_plugins([point("broken", "no_such_plugin:FACTORY")])
    with registry.create("memory://x"):
        pass
    with pytest.raises(BackendMisconfigured, match="no_such_plugin is not installed"):
        registry.create("broken://x")


def test_plugin_that_is_no_factory():
    """An entry point to something else is an error at once."""
    with pytest.raises(BackendMisconfigured, match="not a Factory"):
        Registry.with_plugins([point("wrong", "storage_backends.base:MAX_KEY_BYTES")])


def test_duplicate_scheme():
    """Two backends cannot share a scheme; the same one twice is fine."""
    registry = Registry([file.FACTORY, memory.FACTORY, file.FACTORY])
    with pytest.raises(BackendMisconfigured, match="two storage backends"):
        registry.register(type("Other", (Needy,), {"schemes": ("file",)})())


def test_file_url_of_localhost():
    """`file://localhost/x` is the same as `file:///x`."""
    registry = Registry.with_plugins([])
    assert registry.create("file://localhost/x/y").name == "file:/x/y"
    assert FileConfig(root=Path("/x")).root == Path("/x")


def test_lazy_factory():
    """The module of a lazy factory is imported when it is first used; then its extra is named."""
    lazy = LazyFactory(schemes=("lazy",), extra="roost-lazy", module="no_such_module_here")
    registry = Registry([lazy])
    assert registry.schemes == ("lazy",)
    with pytest.raises(BackendMisconfigured, match="pip install 'roost-lazy'"):
        registry.create("lazy://x")
