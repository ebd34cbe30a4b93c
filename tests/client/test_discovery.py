"""The client finds the server of its machine, and shows its key to nobody else."""

import json

import pytest
from roost_client import discovery

from server import settings


@pytest.fixture
def data_dir(tmp_path):
    (tmp_path / "server.json").write_text(json.dumps({"address": "127.0.0.1:4711", "pid": 1}))
    (tmp_path / "admin.key").write_text("local-key\n")
    return tmp_path


def find(data_dir, env=None, **arguments):
    return discovery.find(env={"ROOST_DATA_DIR": str(data_dir)} | (env or {}), **arguments)


def test_the_running_server_is_found(data_dir):
    """Address from server.json, key from admin.key, no TLS on loopback."""
    target = find(data_dir)
    assert (target.address, target.key, target.secure) == ("127.0.0.1:4711", "local-key", False)


def test_without_a_server_the_default_address_is_tried(tmp_path):
    """The call then fails with UNAVAILABLE, which says more than an error here."""
    assert find(tmp_path / "none").address == discovery.DEFAULT_ADDRESS


def test_the_environment_comes_before_the_machine(data_dir):
    """ROOST_ADDRESS and ROOST_API_KEY."""
    target = find(data_dir, {"ROOST_ADDRESS": "127.0.0.1:9", "ROOST_API_KEY": "k"})
    assert (target.address, target.key) == ("127.0.0.1:9", "k")


def test_arguments_come_before_the_environment(data_dir):
    """As everywhere."""
    env = {"ROOST_ADDRESS": "127.0.0.1:9", "ROOST_API_KEY": "k"}
    target = find(data_dir, env, address="127.0.0.1:8", key="j")
    assert (target.address, target.key) == ("127.0.0.1:8", "j")


@pytest.mark.parametrize("address", ["roost.example:443", "10.0.0.1:50051", "http://10.0.0.1:1"])
def test_the_admin_key_never_leaves_the_machine(data_dir, address):
    """A server elsewhere gets a key only when one is given for it."""
    assert find(data_dir, address=address).key == ""


@pytest.mark.parametrize(
    ("address", "bare", "secure"),
    [
        ("127.0.0.1:1", "127.0.0.1:1", False),
        ("localhost:1", "localhost:1", False),
        ("[::1]:1", "[::1]:1", False),
        ("roost.example:443", "roost.example:443", True),
        ("https://localhost:1/", "localhost:1", True),
        ("http://10.0.0.1:1", "10.0.0.1:1", False),
    ],
)
def test_tls_is_used_unless_it_is_loopback_or_declined(tmp_path, address, bare, secure):
    """A scheme in the address decides plainly."""
    target = find(tmp_path, address=address)
    assert (target.address, target.secure) == (bare, secure)


def test_a_local_server_with_tls_says_so(data_dir):
    """`tls` in server.json."""
    (data_dir / "server.json").write_text(json.dumps({"address": "127.0.0.1:1", "tls": True}))
    assert find(data_dir).secure


def test_the_key_is_not_in_the_representation(data_dir):
    """A target may be logged."""
    assert "local-key" not in repr(find(data_dir))


def test_client_and_server_agree_without_any_setting():
    """The same default address and data directory, and the server minds none of our variables."""
    defaults = settings.Settings.model_fields
    assert defaults["listen"].default == discovery.DEFAULT_ADDRESS
    assert defaults["data_dir"].default.expanduser() == discovery.default_data_dir({})
    assert {"ROOST_ADDRESS", "ROOST_API_KEY", "ROOST_CA_FILE"} <= settings.FOREIGN
    assert {"ROOST_DATA_DIR", "ROOST_ADMIN_KEY_FILE"} <= set(settings.names())
