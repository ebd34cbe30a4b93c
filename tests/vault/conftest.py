"""What tests of the vault's keys share."""

from datetime import timedelta

import pytest

from server.vault.masterkeys.external import ExternalKey
from tests.support.kms import Kms


class ExternalKms(Kms):
    """A key management service and the master key that asks it."""

    def key(self, mode="works", timeout=20.0, pause=0.0):
        seconds = timedelta(seconds=timeout), timedelta(seconds=pause)
        return ExternalKey(self.command(mode), *seconds)


@pytest.fixture
def new_kms(tmp_path):
    return lambda name="kms": ExternalKms(tmp_path / name)


@pytest.fixture
def kms(new_kms):
    return new_kms()
