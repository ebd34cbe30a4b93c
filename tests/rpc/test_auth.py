"""The admin key."""

import stat

import pytest

from server.rpc.auth import AdminKey, AdminKeyUnusable

METHOD = "/roost.v1.SessionService/GetSession"


def test_the_first_start_makes_a_private_key_that_the_next_start_reads(tmp_path):
    """0600, and unlike any other."""
    path = tmp_path / "deep" / "admin.key"
    AdminKey.load_or_create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    secret = path.read_text().strip()
    assert AdminKey.load_or_create(path).opens(METHOD, [("authorization", f"Bearer {secret}")])
    AdminKey.load_or_create(tmp_path / "other.key")
    assert (tmp_path / "other.key").read_text().strip() != secret


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        [],
        [("authorization", "")],
        [("authorization", "Bearer ")],
        [("authorization", "Bearer wrong-wrong-wrong")],
        [("authorization", "Basic the-right-secret-1")],
        [("authorization", "the-right-secret-1")],
        [("x-authorization", "Bearer the-right-secret-1")],
        [("authorization", "Bearer \N{SNOWMAN}")],
        [("authorization", b"Bearer \xff")],
    ],
)
def test_anything_but_the_key_is_refused_except_for_health(metadata):
    """A balancer asks for health without a key."""
    key = AdminKey("the-right-secret-1")
    assert not key.opens(METHOD, metadata)
    assert key.opens("/grpc.health.v1.Health/Check", metadata)
    assert key.opens("/grpc.health.v1.Health/Watch", metadata)


@pytest.mark.parametrize("value", ["Bearer the-right-secret-1", "bearer the-right-secret-1"])
def test_the_key_opens(value):
    """The scheme's case does not matter (RFC 9110)."""
    assert AdminKey("the-right-secret-1").opens(METHOD, [("a", "b"), ("authorization", value)])


@pytest.mark.parametrize("content", [b"", b"short\n", b"\xff" * 40])
def test_a_broken_key_file_fails_the_start_without_quoting_it(tmp_path, content):
    """An empty key would let everybody in."""
    path = tmp_path / "admin.key"
    path.write_bytes(content)
    with pytest.raises(AdminKeyUnusable, match=r"admin\.key"):
        AdminKey.load_or_create(path)


def test_an_unreadable_place_says_why(tmp_path):
    """The operator sees the path and the system's reason."""
    (tmp_path / "file").touch()
    with pytest.raises(AdminKeyUnusable, match=r"Not a directory|File exists"):
        AdminKey.load_or_create(tmp_path / "file" / "admin.key")
