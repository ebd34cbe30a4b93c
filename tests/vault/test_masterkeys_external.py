"""A master key behind a program, with a real child process."""

import time

import psutil
import pytest

from server.vault.masterkeys.base import MasterKeyBroken, MasterKeyUnavailable, WrapBroken
from server.vault.masterkeys.external import ExternalKey

REPOSITORY, OTHER = "ab" * 16, "cd" * 16
SECRET = bytes(range(32))


def test_round_trip(kms):
    """Another process with the same program opens what this one wrapped."""
    recipient = kms.key().for_repository(REPOSITORY)
    wrapped = recipient.wrap(SECRET, b"context")
    fresh = kms.key().for_repository(REPOSITORY)
    assert fresh.id == recipient.id
    assert fresh.unwrap(wrapped, b"context") == SECRET
    with pytest.raises(WrapBroken):
        fresh.unwrap(wrapped, b"other")


def test_what_the_program_is_asked(kms):
    """One JSON line with operation, context and data; never the data key itself."""
    recipient = kms.key().for_repository(REPOSITORY)
    recipient.unwrap(recipient.wrap(SECRET, b"context"), b"context")
    assert [(call["operation"], call["context"]) for call in kms.calls] == [
        ("wrap", f"roost/{REPOSITORY}"),
        ("unwrap", f"roost/{REPOSITORY}"),
    ]
    assert {call["version"] for call in kms.calls} == {"1"}


def test_one_request_serves_many_keys(kms):
    """A hundred keys are wrapped with one request, and a fresh process opens them with one."""
    recipient = kms.key().for_repository(REPOSITORY)
    wraps = [recipient.wrap(SECRET, b"%d" % number) for number in range(100)]
    before = len(kms.calls)
    fresh = kms.key().for_repository(REPOSITORY)
    for number, wrapped in enumerate(wraps):
        assert fresh.unwrap(wrapped, b"%d" % number) == SECRET
        assert fresh.wrap(SECRET, b"") != wrapped
    assert (before, len(kms.calls)) == (2, 3)


def test_another_repository(kms):
    """The program is told the repository, so it can refuse what belongs to another."""
    wrapped = kms.key().for_repository(REPOSITORY).wrap(SECRET, b"context")
    with pytest.raises(WrapBroken):
        kms.key().for_repository(OTHER).unwrap(wrapped, b"context")


def test_another_key(kms, new_kms):
    """What another key wrapped is refused, and asked again the next time."""
    wrapped = kms.key().for_repository(REPOSITORY).wrap(SECRET, b"context")
    other = new_kms("other")
    recipient = other.key().for_repository(REPOSITORY)
    for _ in range(2):
        with pytest.raises(WrapBroken):
            recipient.unwrap(wrapped, b"context")
    assert len(other.calls) == 2


def test_moved_program(kms):
    """The same key behind another command has another id and opens what was wrapped before."""
    wrapped = kms.key().for_repository(REPOSITORY).wrap(SECRET, b"context")
    moved = ExternalKey(("env", *kms.command())).for_repository(REPOSITORY)
    assert moved.id != kms.key().for_repository(REPOSITORY).id
    assert moved.unwrap(wrapped, b"context") == SECRET


def test_every_changed_byte_is_found(kms):
    """Also where the program's own part is changed."""
    recipient = kms.key().for_repository(REPOSITORY)
    wrapped = recipient.wrap(SECRET, b"context")
    blob = range(51, 51 + 96, 13)  # each of these runs the program
    for position in [*range(51), *blob, *range(51 + 96, len(wrapped))]:
        changed = bytearray(wrapped)
        changed[position] ^= 1
        with pytest.raises(WrapBroken):
            recipient.unwrap(bytes(changed), b"context")


@pytest.mark.parametrize(
    ("mode", "problem"),
    [
        ("fails", "ended with code 3"),
        ("hangs", "took too long"),
        ("closes-and-hangs", "took too long"),
        ("floods", "gave too long an answer"),
        ("babbles", "gave no JSON"),
        ("lists", "gave no JSON object"),
        ("no-data", "gave no data"),
        ("not-base64", "gave no data"),
    ],
)
def test_program_that_fails(kms, mode, problem):
    """Each way is one typed error, in bounded time, that says how and repeats nothing."""
    hangs = mode.endswith("hangs")
    recipient = kms.key(mode, timeout=1.5 if hangs else 20).for_repository(REPOSITORY)
    begin = time.monotonic()
    with pytest.raises(MasterKeyUnavailable) as caught:
        recipient.wrap(SECRET, b"context")
    assert str(caught.value) == f"the external key's program {problem}"
    assert time.monotonic() - begin < 15
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("mode", "problem"), [("plain", "encrypt"), ("forgets", "give back"), ("refuses", "wrap a key")]
)
def test_program_that_would_lose_or_tell_keys(kms, mode, problem):
    """Nothing is wrapped with it."""
    with pytest.raises(MasterKeyBroken, match=problem):
        kms.key(mode).for_repository(REPOSITORY).wrap(SECRET, b"context")


def test_program_that_is_not_there(tmp_path):
    """That is a key that is away."""
    recipient = ExternalKey((str(tmp_path / "none"),)).for_repository(REPOSITORY)
    with pytest.raises(MasterKeyUnavailable, match="cannot be started: FileNotFoundError"):
        recipient.wrap(SECRET, b"context")


def test_failure_is_remembered_for_a_while(kms):
    """A key that is away does not cost every backup its whole time limit."""
    recipient = kms.key("fails", pause=600).for_repository(REPOSITORY)
    for problem in ("ended with code 3", "failed a moment ago"):
        with pytest.raises(MasterKeyUnavailable, match=problem):
            recipient.wrap(SECRET, b"context")
    assert len(kms.calls) == 1


def test_no_program_is_left_behind(kms):
    """A program that was given up is ended and reaped."""
    with pytest.raises(MasterKeyUnavailable):
        kms.key("hangs", timeout=1.5).for_repository(REPOSITORY).wrap(SECRET, b"context")
    assert not psutil.pid_exists(int((kms.folder / "pid").read_text()))


def test_own_secrets_stay_here(kms, monkeypatch):
    """The program does not see Roost's own settings, where a passphrase may be."""
    monkeypatch.setenv("ROOST_BACKUP__PASSPHRASE", "correct horse battery staple")
    kms.key().for_repository(REPOSITORY).wrap(SECRET, b"context")
    assert len(kms.calls) == 2
