"""One JSON file with everything, in the layouts that occur."""

import json

import pytest

from server.backups.imports.model import CredentialsFormat
from server.backups.imports.records import split_name
from server.backups.model import RestoreMode
from server.core.errors import CredentialsInvalid
from tests.support.baileys import GROUP, LID, PEER, files, folder, written

OLD = {
    "pre-key": "preKeys",
    "session": "sessions",
    "sender-key": "senderKeys",
    "sender-key-memory": "senderKeyMemory",
    "app-state-sync-key": "appStateSyncKeys",
    "app-state-sync-version": "appStateVersions",
}


def keys_of(content):
    """By kind and id, the ids as Baileys has them in memory."""
    found = {}
    for name, value in content.items():
        kind, key = split_name(name.removesuffix(".json")) or (None, "")
        if kind is not None:
            key = key.replace("__", "/").replace("--", "::")
            found.setdefault(kind.value, {})[key] = value
    return found


def nested(content):
    return keys_of(content)


def old(content):
    return {OLD[kind]: keys for kind, keys in keys_of(content).items() if kind in OLD}


def flat(content):
    return {
        f"{kind}-{key}": value
        for kind, keys in keys_of(content).items()
        for key, value in keys.items()
    }


@pytest.mark.parametrize("layout", [nested, old, flat])
def test_every_layout_gives_the_same_store(import_files, import_folder, layout):
    """As the folder it was made of."""
    content = folder()
    known, _ = import_folder(content)
    whole = {"creds": content["creds.json"], "keys": layout(content)}
    converted, _ = import_files([written("session.json", whole)])
    assert converted.format is CredentialsFormat.BAILEYS_SINGLE_FILE
    assert converted.mode is RestoreMode.EXACT
    assert converted.dropped == {}
    same = {"pre_keys", "sessions", "sender_keys", "app_state_sync_keys"}
    assert {name: converted.counts[name] for name in same} == {
        name: known.counts[name] for name in same
    }


def test_parts_that_are_text_themselves(import_files):
    """As a database column holds them."""
    content = folder()
    whole = {
        "creds": {"type": "Buffer", "data": list(json.dumps(content["creds.json"]).encode())},
        "keys": nested(content),
    }
    assert import_files([written("x.json", whole)])[0].counts["sessions"] == 3


def test_a_file_without_keys_is_rekeyed(import_files):
    """There is nothing to go on with."""
    whole = {"creds": folder()["creds.json"]}
    converted, _ = import_files([written("x.json", whole)])
    assert converted.reasons == ("there are no keys in the file",)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "it is empty"),
        (b'{"creds": {', "it is not whole"),
        (b"[]", "no Baileys credentials"),
        (b'{"keys": {}}', "no Baileys credentials"),
        (b'{"creds": 3}', "no Baileys credentials"),
        (b'{"creds": {}, "keys": 3}', "no Baileys credentials"),
        (b'{"clientID": "x", "encKey": "y", "macKey": "z"}', "before linked devices"),
        (b'{"creds": {"signedIdentityKey": 1}}', "never paired"),
    ],
)
def test_what_is_refused(import_files, data, problem):
    """By the same rules as a folder."""
    with pytest.raises(CredentialsInvalid, match=problem):
        import_files([written("auth.json", data)])


def test_bare_credentials_are_no_single_file(import_files):
    """They are a folder's `creds.json` under another name, and its records are missing."""
    content = folder()
    with pytest.raises(CredentialsInvalid, match="`creds`"):
        import_files([written("mine.json", content["creds.json"])])


def test_several_files_are_not_one(import_files):
    """It would be a guess which is meant."""
    with pytest.raises(CredentialsInvalid, match="one file"):
        import_files(files(folder()), CredentialsFormat.BAILEYS_SINGLE_FILE)


def test_names_in_the_folder_are_what_baileys_makes_of_ids():
    """So that the layouts above are the real ones."""
    ids = keys_of(folder())
    assert f"{GROUP}::{PEER}::0" in ids["sender-key"]
    assert f"{LID}_1.0" in ids["session"]
    assert "AAAA/+8=" in ids["app-state-sync-key"]
