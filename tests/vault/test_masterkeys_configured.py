"""Which master keys a configuration gives, and their self-test at the start."""

import secrets

import pytest
from structlog.testing import capture_logs

from server.vault.masterkeys.base import MasterKeyUnusable
from server.vault.masterkeys.configured import MasterKeysConfig, load
from server.vault.masterkeys.file import FileKey
from server.vault.masterkeys.passphrase import Cost, PassphraseKey
from server.vault.masterkeys.selftest import self_test

WORDS = "correct horse battery staple"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "backup.key"


def kinds(masters):
    return [master.kind for master in masters]


def test_nothing_set(path):
    """A key file is made, and its key is the only one."""
    assert kinds(load(MasterKeysConfig(key_file=path))) == ["file"]
    assert path.exists()


def test_others_need_no_file(path):
    """With another master key no file is made, unless it is asked for by name."""
    config = MasterKeysConfig(key_file=path, passphrase=WORDS, external_command=("kms",))
    assert kinds(load(config)) == ["passphrase", "external"]
    assert not path.exists()
    given = MasterKeysConfig(key_file=path, key_file_given=True, passphrase=WORDS)
    assert kinds(load(given)) == ["file", "passphrase"]


def test_existing_file_stays_a_master_key(path):
    """Adding a passphrase to a server that has run does not lock it out of its own backups."""
    before = load(MasterKeysConfig(key_file=path))
    after = load(MasterKeysConfig(key_file=path, passphrase=WORDS))
    assert after[:1] == before
    assert kinds(after) == ["file", "passphrase"]


def test_passphrase_file(path, tmp_path):
    """Its text without the end of the line; private, not empty."""
    words = tmp_path / "words"
    words.write_text(WORDS + "\n")
    words.chmod(0o600)
    config = MasterKeysConfig(key_file=path, passphrase_file=words)
    assert load(config) == [PassphraseKey(WORDS)]
    words.chmod(0o644)
    with pytest.raises(MasterKeyUnusable, match="chmod 600"):
        load(config)
    words.chmod(0o600)
    words.write_text("\n")
    with pytest.raises(MasterKeyUnusable, match="empty"):
        load(config)
    words.unlink()
    with pytest.raises(MasterKeyUnusable, match="cannot be read"):
        load(config)


def test_short_passphrase(path):
    """What can be guessed is refused, and not repeated."""
    with pytest.raises(MasterKeyUnusable, match="12 characters") as caught:
        load(MasterKeysConfig(key_file=path, passphrase="pencil"))
    assert "pencil" not in str(caught.value)
    assert "pencil" not in repr(MasterKeysConfig(key_file=path, passphrase="pencil"))


def test_self_test_passes(kms):
    """All three kinds."""
    self_test([FileKey.generate(), PassphraseKey(WORDS, Cost(log_n=4)), kms.key()])


@pytest.mark.parametrize("mode", ["plain", "forgets", "refuses"])
def test_self_test_finds_a_bad_program(kms, mode):
    """It refuses, also when another key works."""
    with pytest.raises(MasterKeyUnusable, match="external key's program did not"):
        self_test([FileKey.generate(), kms.key(mode)])


def test_self_test_warns_of_a_key_that_is_away(kms):
    """One key that works is enough; none is not."""
    with capture_logs() as logs:
        self_test([FileKey.generate(), kms.key("fails")])
    assert [(each["event"], each["kind"]) for each in logs] == [
        ("vault.master_key_away", "external")
    ]
    with pytest.raises(MasterKeyUnusable, match="no master key answers"):
        self_test([kms.key("fails")])


class Bad(FileKey):
    """A master key with a fault."""

    def __init__(self, secret, fault):
        super().__init__(secret)
        object.__setattr__(self, "fault", fault)

    def wrap(self, secret, context):
        return super().wrap(secret, b"" if self.fault == "no context" else context)

    def unwrap(self, wrapped, context):
        match self.fault:
            case "no context":
                return super().unwrap(wrapped, b"")
            case "opens all":
                return secrets.token_bytes(32)
            case _:
                return super().unwrap(wrapped[:-1] + bytes([wrapped[-1] ^ 1]), context)


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ("no context", "opens what it did not wrap"),
        ("opens all", "does not open what it wrapped"),
        ("loses", "does not open what it wrapped"),
    ],
)
def test_self_test_finds_a_bad_key(fault, problem):
    """A key that loses or confuses what it wraps stops the start."""
    with pytest.raises(MasterKeyUnusable, match=problem):
        self_test([FileKey.generate(), Bad(bytes(32), fault)])
