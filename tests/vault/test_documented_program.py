"""The program for a KMS in the documentation works as it stands there."""

import re
import sys
from pathlib import Path

import pytest

from server.vault.masterkeys.base import MasterKeyUnavailable, WrapBroken
from server.vault.masterkeys.external import ExternalKey
from server.vault.masterkeys.selftest import self_test

DOCUMENT = Path(__file__).parents[2] / "docs/vault-keys.md"
STAND_IN = '''
"""Stands in for AWS: as much of boto3's KMS client as the program uses."""

import json
import os

from botocore.exceptions import ClientError


class Kms:
    def encrypt(self, *, KeyId, Plaintext, EncryptionContext):
        made = {"key": KeyId, "data": Plaintext[::-1].hex(), "context": EncryptionContext}
        return {"CiphertextBlob": json.dumps(made).encode()}

    def decrypt(self, *, CiphertextBlob, EncryptionContext):
        if os.environ.get("KMS_AWAY"):
            raise ClientError({"Error": {"Code": "KMSInternalException"}}, "Decrypt")
        try:
            made = json.loads(CiphertextBlob)
        except ValueError:
            made = {}
        if made.get("context") != EncryptionContext:
            raise ClientError({"Error": {"Code": "InvalidCiphertextException"}}, "Decrypt")
        return {"Plaintext": bytes.fromhex(made["data"])[::-1]}


def client(name):
    assert name == "kms"
    return Kms()
'''


@pytest.fixture
def key(tmp_path, monkeypatch):
    (found,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    (tmp_path / "roost-kms").write_text(found)
    (tmp_path / "boto3.py").write_text(STAND_IN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return ExternalKey((sys.executable, str(tmp_path / "roost-kms"), "alias/roost"))


def test_it_works(key, monkeypatch):
    """It passes the self-test, refuses what is not its own, and is away when the KMS is."""
    self_test([key])
    wrapped = key.for_repository("a" * 32).wrap(bytes(32), b"context")
    assert key.for_repository("a" * 32).unwrap(wrapped, b"context") == bytes(32)
    with pytest.raises(WrapBroken):
        key.for_repository("b" * 32).unwrap(wrapped, b"context")
    monkeypatch.setenv("KMS_AWAY", "1")
    with pytest.raises(MasterKeyUnavailable, match="ended with code 1"):
        key.for_repository("a" * 32).unwrap(wrapped, b"context")
