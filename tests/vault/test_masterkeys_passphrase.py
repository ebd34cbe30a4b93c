"""A master key made of a passphrase."""

import time

import pytest

from server.vault.masterkeys.base import WrapBroken
from server.vault.masterkeys.passphrase import Cost, PassphraseKey, derive

REPOSITORY, OTHER = "ab" * 16, "cd" * 16
CHEAP = Cost(log_n=4)
WORDS = "correct horse battery staple"
SECRET = bytes(range(32))
RECIPIENT = PassphraseKey(WORDS, CHEAP).for_repository(REPOSITORY)
WRAPPED = RECIPIENT.wrap(SECRET, b"context")


def test_derivation_is_scrypt():
    """The test vector of RFC 7914, cut to our length, with its cost."""
    found = derive("pleaseletmein", b"SodiumChloride", Cost(log_n=14, r=8, p=1))
    assert found.hex() == "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"


def test_passphrase_alone_opens():
    """Another process that knows the passphrase only opens it, and has the same id."""
    fresh = PassphraseKey(WORDS, CHEAP).for_repository(REPOSITORY)
    assert fresh.unwrap(WRAPPED, b"context") == SECRET
    assert fresh.id == RECIPIENT.id
    assert len(fresh.id) == 16


def test_composed_and_decomposed_letters_are_the_same():
    """The same passphrase typed on another system is the same key."""
    one = PassphraseKey("caf\u00e9 au lait", CHEAP).for_repository(REPOSITORY)
    two = PassphraseKey("cafe\u0301 au lait", CHEAP).for_repository(REPOSITORY)
    assert two.unwrap(one.wrap(SECRET, b""), b"") == SECRET


def test_ids_differ():
    """By passphrase and by repository: equal passphrases of two repositories do not show."""
    ids = {
        PassphraseKey(words, CHEAP).for_repository(repository).id
        for words in (WORDS, WORDS + " ")
        for repository in (REPOSITORY, OTHER)
    }
    assert len(ids) == 4


def test_another_cost_still_opens():
    """The cost stands in the wrapped key, so a later default opens what an older one wrapped."""
    later = PassphraseKey(WORDS, Cost(log_n=5)).for_repository(REPOSITORY)
    assert later.id != RECIPIENT.id
    assert later.unwrap(WRAPPED, b"context") == SECRET


def test_wrong_passphrase():
    """It opens nothing."""
    wrong = PassphraseKey(WORDS.upper(), CHEAP).for_repository(REPOSITORY)
    with pytest.raises(WrapBroken):
        wrong.unwrap(WRAPPED, b"context")


@pytest.mark.parametrize("position", range(len(WRAPPED)))
def test_every_flipped_bit_is_found(position):
    """Salt and cost included, and no flipped bit of the cost takes all memory."""
    for bit in range(8):
        changed = bytearray(WRAPPED)
        changed[position] ^= 1 << bit
        with pytest.raises(WrapBroken):
            RECIPIENT.unwrap(bytes(changed), b"context")


@pytest.mark.parametrize(
    "cost", [Cost(log_n=31), Cost(r=255), Cost(log_n=21), Cost(p=255), Cost(log_n=0), Cost(r=0)]
)
def test_absurd_costs_are_refused(cost):
    """Before anything is derived with them."""
    assert not cost.is_sane
    assert Cost().is_sane
    assert Cost().memory_bytes == 128 << 20


def test_one_derivation_serves_many_keys():
    """With the default cost: 500 wraps and unwraps take hardly longer than one derivation."""
    begin = time.perf_counter()
    recipient = PassphraseKey(WORDS).for_repository(REPOSITORY)
    one = time.perf_counter() - begin
    assert one > 0.02, "scrypt at its default cost is slower than that on any machine"
    begin = time.perf_counter()
    for number in range(500):
        context = str(number).encode()
        assert recipient.unwrap(recipient.wrap(SECRET, context), context) == SECRET
    assert time.perf_counter() - begin < 500 * one / 10


def test_repr_tells_no_secret():
    """Neither the passphrase nor the derived key reaches logs by accident."""
    assert "horse" not in repr(RECIPIENT)
    assert "horse" not in repr(RECIPIENT.master)
    assert repr(derive(WORDS, RECIPIENT.hint[:16], CHEAP))[2:-1] not in repr(RECIPIENT)
