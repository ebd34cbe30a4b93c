"""Instances, open and closed, and what errors say."""

from collections.abc import Callable

import pytest

from ..base import StorageBackend
from ..errors import BackendClosed, ObjectNotFound
from ..layers import Checked
from .calling import attempt
from .fixtures import SuiteFixtures


class InstanceTests(SuiteFixtures):
    """What instances share, when they refuse, and how they say so."""

    def test_two_instances_see_each_other(
        self, backend: StorageBackend, other: StorageBackend
    ) -> None:
        """What one instance did, another sees at once."""
        backend.put("a", b"1")
        assert other.get("a") == b"1"
        self.assert_keys(other, "", ["a"])
        other.put("a", b"2")
        assert backend.get("a") == b"2"
        other.delete("a")
        assert attempt(backend.get, "a") is ObjectNotFound

    def test_reopen(self, new_backend: Callable[[], StorageBackend]) -> None:
        """Objects outlive the instance, and a closed instance can be opened again."""
        first = Checked(new_backend())
        with first:
            first.put("a", b"x")
        with Checked(new_backend()) as second:
            assert second.get("a") == b"x"
        with first:
            assert first.get("a") == b"x"
            first.delete("a")

    def test_closed_backend_refuses(self, new_backend: Callable[[], StorageBackend]) -> None:
        """Before open and after close every verb raises BackendClosed; close can be repeated."""
        backend = Checked(new_backend())

        def assert_closed() -> None:
            for call in (
                lambda: backend.put("a", b"x"),
                lambda: backend.get("a"),
                lambda: backend.stat("a"),
                lambda: backend.delete("a"),
                lambda: list(backend.list()),
                lambda: backend.cas("a", b"x", expected=None),
            ):
                assert attempt(call) is BackendClosed

        assert_closed()
        backend.open()
        assert list(backend.list()) == []
        backend.close()
        backend.close()
        assert_closed()

    # --- errors

    def test_errors_say_where_and_tell_no_secret(self, backend: StorageBackend) -> None:
        """An error carries backend and key, its text has both, and no secret is in any of it."""
        with pytest.raises(ObjectNotFound) as caught:
            backend.get("a/b")
        assert (caught.value.backend, caught.value.key) == (backend.name, "a/b")
        assert str(caught.value).startswith(f"{backend.name}: a/b: ")
        for secret in self.secrets:
            assert secret not in f"{caught.value!r}{caught.value}{backend.name}"

    def test_properties_do_not_change(self, new_backend: Callable[[], StorageBackend]) -> None:
        """Name and properties are known before open and stay the same."""
        backend = new_backend()
        before = (backend.name, backend.properties)
        with backend:
            assert (backend.name, backend.properties) == before
        assert (backend.name, backend.properties) == before
        assert before[1].connections > 0
