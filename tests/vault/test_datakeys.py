"""Data keys: made, found again, rotated, and none lost with a master key."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from server.core.ids import time_ordered_id
from server.vault.datakeys import DataKeys, KeyCorrupt, KeyUnknown, MasterKeyInUse, Retired
from server.vault.masterkeys.base import MasterKeyUnavailable
from server.vault.masterkeys.file import FileKey
from server.vault.masterkeys.passphrase import Cost, PassphraseKey
from server.vault.workers import Workers
from storage_backends.errors import BackendUnavailable
from storage_backends.faults import Fault, Faulty
from storage_backends.layers import Checked
from storage_backends.memory import MemoryBackend, MemorySpace
from storage_backends.threaded import AsyncStorage

REPOSITORY = "ab" * 16
A, B, C = (FileKey(bytes([number]) * 32) for number in (1, 2, 3))

CHEAP = Cost(log_n=4)


class Remote:
    """A master key that can be away."""

    kind = "external"

    def __init__(self, key):
        self._key = key
        self.id = key.id
        self.away = False

    def for_repository(self, repository_id):
        return self

    def wrap(self, secret, context):
        self._check()
        return self._key.wrap(secret, context)

    def unwrap(self, wrapped, context):
        self._check()
        return self._key.unwrap(wrapped, context)

    def _check(self):
        if self.away:
            raise MasterKeyUnavailable


@pytest.fixture
def space():
    return MemorySpace()


@pytest.fixture
async def new_keys(space):
    """Opens the repository as a fresh process would, with some master keys."""
    async with AsyncExitStack() as stack:
        workers = await stack.enter_async_context(Workers())

        async def new_keys(*masters, repository=REPOSITORY, rule=lambda _: None):
            backend = Faulty(Checked(MemoryBackend(space)), rule)
            storage = await stack.enter_async_context(AsyncStorage(backend))
            return DataKeys(storage, repository, masters, workers.run)

        yield new_keys


def copied(space, source, target):
    """Puts an object's bytes under another name, as an attacker with storage access could."""
    space.objects[target] = space.objects[source]


def flipped(space, name, position=-1):
    data, info = space.objects[name]
    changed = bytearray(data)
    changed[position] ^= 1
    space.objects[name] = (bytes(changed), info)


async def test_first_term_is_wrapped_for_every_master_key(new_keys, space):
    """One object for each master key, and any one of them opens the term elsewhere."""
    key = await (await new_keys(A, B)).current("ann")
    assert set(space.objects) == {f"keys/ann/{key.term}/{each.id}" for each in (A, B)}
    assert len(key.secret) == 32
    for masters in ([A], [B], [C, B], [B, A]):
        keys = await new_keys(*masters)
        assert await keys.get("ann", key.term) == key
        assert await (await new_keys(*masters)).current("ann") == key


async def test_sessions_have_keys_of_their_own(new_keys):
    """No two sessions share a key, and asking twice gives the same."""
    keys = await new_keys(A)
    ann, bea = await keys.current("ann"), await keys.current("bea")
    assert ann.secret != bea.secret
    assert await keys.current("ann") == ann


async def test_asking_again_reads_nothing(new_keys, space):
    """A key that is known costs no call to the storage."""
    keys = await new_keys(A)
    key = await keys.current("ann")
    space.objects.clear()
    assert await keys.current("ann") == key == await keys.get("ann", key.term)


async def test_one_process_makes_one_first_term(new_keys, space):
    """Many backups at once of a new session share its first key."""
    keys = await new_keys(A)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(keys.current("ann")) for _ in range(20)]
    assert len({task.result() for task in tasks}) == 1
    assert len(space.objects) == 1


async def test_two_servers_make_the_first_term_at_once(new_keys):
    """Both terms can be read by both, and a third server takes the newer one."""
    one, two = await new_keys(A), await new_keys(A)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each.rotate("ann")) for each in (one, two)]
    made = [task.result() for task in tasks]
    for keys in (one, two):
        assert [await keys.get("ann", key.term) for key in made] == made
    assert await (await new_keys(A)).current("ann") == max(made, key=lambda key: key.term)


async def test_rotation(new_keys):
    """A new term seals; the old one still opens, also for a fresh process."""
    keys = await new_keys(A, B)
    old = await keys.current("ann")
    new = await keys.rotate("ann")
    assert new.term > old.term
    assert new.secret != old.secret
    assert await keys.current("ann") == new
    for master in (A, B):
        fresh = await new_keys(master)
        assert await fresh.current("ann") == new
        assert await fresh.get("ann", old.term) == old


async def test_rotation_after_the_clock_was_set_back(new_keys, space):
    """The new term is the newest even if the old one seems to come from the future."""
    first = await (await new_keys(A)).current("ann")
    future = "zz" + first.term[2:]
    for name in [*space.objects]:
        space.objects[name.replace(first.term, future)] = space.objects.pop(name)
    keys = await new_keys(A)
    new = await keys.rotate("ann")
    assert new.term > future
    assert await (await new_keys(A)).current("ann") == new


def test_time_ordered_id_after():
    """An id sorts behind the one it follows, whatever the clock says."""
    after = time_ordered_id("zzzzzzzy0aaaaaaa")
    assert after > "zzzzzzzy0aaaaaaa"
    assert len(after) == 16


async def test_no_master_key_fits(new_keys):
    """Another server's term is KeyUnknown; for writing this server makes one of its own."""
    theirs = await (await new_keys(A)).current("ann")
    keys = await new_keys(B)
    with pytest.raises(KeyUnknown):
        await keys.get("ann", theirs.term)
    ours = await keys.current("ann")
    assert ours.term > theirs.term
    assert await (await new_keys(A, B)).get("ann", theirs.term) == theirs


async def test_damaged_object_is_named(new_keys, space):
    """Every changed byte of the only object is found, and the error names the object."""
    key = await (await new_keys(A)).current("ann")
    [name] = space.objects
    whole = space.objects[name]
    for position in range(len(whole[0])):
        flipped(space, name, position)
        with pytest.raises(KeyCorrupt) as caught:
            await (await new_keys(A)).get("ann", key.term)
        assert caught.value.object == name
        space.objects[name] = whole
    assert await (await new_keys(A)).get("ann", key.term) == key


async def test_missing_term_is_named(new_keys):
    """A term that is not there at all is damage, not an unknown key."""
    keys = await new_keys(A)
    with pytest.raises(KeyCorrupt, match="keys/ann/0123456789abcdef"):
        await keys.get("ann", "0123456789abcdef")


async def test_one_damaged_object_of_two_loses_nothing(new_keys, space):
    """The other master key opens the term; coverage names what is damaged."""
    key = await (await new_keys(A, B)).current("ann")
    name = f"keys/ann/{key.term}/{A.id}"
    flipped(space, name)
    keys = await new_keys(A, B)
    assert await keys.get("ann", key.term) == key
    [found] = await keys.coverage("ann")
    assert (found.opened_by, found.damaged, found.others) == ((B.id,), (name,), ())


@pytest.mark.parametrize("what", ["session", "term", "master", "repository"])
async def test_objects_cannot_be_swapped(new_keys, space, what):
    """A wrapped key opens under its own name in its own repository only."""
    keys = await new_keys(A)
    ann, bea = await keys.current("ann"), await keys.current("bea")
    source = f"keys/bea/{bea.term}/{A.id}"
    if what == "session":
        copied(space, source, f"keys/ann/{ann.term}/{A.id}")
    elif what == "term":
        newer = await keys.rotate("ann")
        copied(space, f"keys/ann/{newer.term}/{A.id}", f"keys/ann/{ann.term}/{A.id}")
    elif what == "master":
        copied(space, f"keys/ann/{ann.term}/{A.id}", f"keys/ann/{ann.term}/{B.id}")
        space.objects.pop(f"keys/ann/{ann.term}/{A.id}")
    master = B if what == "master" else A
    other = await new_keys(master, repository="cd" * 16 if what == "repository" else REPOSITORY)
    with pytest.raises(KeyCorrupt):
        await other.get("ann", ann.term)


async def test_foreign_names_are_ignored(new_keys, space):
    """Objects that are not named like wrapped keys do not disturb."""
    key = await (await new_keys(A)).current("ann")
    [name] = space.objects
    for stray in ("keys/ann/zzzz/x", f"keys/ann/{'z' * 16}/readme", "keys/x", "keys/ann/a/b/c"):
        copied(space, name, stray)
    assert await (await new_keys(A)).current("ann") == key


async def test_rewrap_for_a_new_master_key(new_keys, space):
    """Adding a master key adds an object to every term of every session, once."""
    keys = await new_keys(A)
    made = [await keys.current("ann"), await keys.rotate("ann"), await keys.current("bea")]
    keys = await new_keys(A, B)
    done = await keys.rewrap()
    assert (done.added, done.present, done.unreadable, done.delayed) == (3, 3, (), 0)
    objects = dict(space.objects)
    again = await (await new_keys(A, B)).rewrap()
    assert (again.added, again.present) == (0, 6)
    assert space.objects == objects
    only_new = await new_keys(B)
    assert [await only_new.get(key.session_id, key.term) for key in made] == made


async def test_rewrap_of_one_session(new_keys, space):
    """Only that session, and a session known to be complete costs nothing."""
    keys = await new_keys(A)
    await keys.current("ann")
    await keys.current("bea")
    keys = await new_keys(A, B)
    assert (await keys.rewrap("ann")).added == 1
    assert len(space.objects) == 3
    space.objects.clear()
    assert (await keys.rewrap("ann")).present == 0


async def test_current_rewraps_what_it_uses(new_keys):
    """Nothing is sealed with a key that a new master key would not open."""
    key = await (await new_keys(A)).current("ann")
    assert await (await new_keys(A, B)).current("ann") == key
    assert await (await new_keys(B)).get("ann", key.term) == key


async def test_rewrap_names_what_it_cannot_open(new_keys):
    """A term of another server stays as it is and is reported."""
    theirs = await (await new_keys(A)).current("ann")
    keys = await new_keys(B)
    ours = await keys.rotate("ann")
    done = await keys.rewrap()
    assert done.unreadable == (f"keys/ann/{theirs.term}",)
    assert (done.added, done.present) == (0, 1)
    assert await (await new_keys(A)).get("ann", theirs.term) == theirs
    assert await keys.current("ann") == ours


async def test_rewrap_mends_what_is_damaged(new_keys, space):
    """When asked to verify: a damaged object is written anew from one that opens."""
    key = await (await new_keys(A, B)).current("ann")
    name = f"keys/ann/{key.term}/{A.id}"
    flipped(space, name)
    keys = await new_keys(A, B)
    assert (await keys.rewrap("ann")).repaired == 0
    done = await keys.rewrap("ann", verify=True)
    assert (done.added, done.present, done.repaired, done.unreadable) == (0, 1, 1, ())
    assert await (await new_keys(A)).get("ann", key.term) == key
    for each in (A, B):
        flipped(space, f"keys/ann/{key.term}/{each.id}")
    before = dict(space.objects)
    done = await (await new_keys(A, B)).rewrap(verify=True)
    assert (done.repaired, done.unreadable) == (0, (f"keys/ann/{key.term}",))
    assert space.objects == before, "what nothing opens is left alone"


async def test_rewrap_mends_from_memory(new_keys, space):
    """A key that is in use is written anew although no object of it opens any more."""
    keys = await new_keys(A)
    key = await keys.current("ann")
    flipped(space, f"keys/ann/{key.term}/{A.id}")
    assert (await keys.rewrap(verify=True)).repaired == 1
    assert await (await new_keys(A)).get("ann", key.term) == key


async def test_counts(new_keys):
    """How many terms each master key has, also of one that is not configured."""
    await (await new_keys(A)).rotate("ann")
    keys = await new_keys(B, C)
    await keys.rotate("ann")
    await keys.rotate("bea")
    assert await keys.counts() == {A.id: 1, B.id: 2, C.id: 2}
    assert await keys.sessions() == ["ann", "bea"]


async def test_retire(new_keys, space):
    """Objects of a master key that is gone are removed where another one opens the term."""
    both, only = await new_keys(A, B), await new_keys(A)
    kept = await only.rotate("ann")
    shared = await both.rotate("bea")
    done = await (await new_keys(B)).retire(A.id)
    assert done == Retired(removed=1, kept=(f"keys/ann/{kept.term}",))
    assert set(space.objects) == {f"keys/ann/{kept.term}/{A.id}", f"keys/bea/{shared.term}/{B.id}"}


async def test_retire_proves_before_it_removes(new_keys, space):
    """A damaged object of the other master key keeps the retired one's."""
    key = await (await new_keys(A, B)).current("ann")
    flipped(space, f"keys/ann/{key.term}/{B.id}")
    assert (await (await new_keys(B)).retire(A.id)).removed == 0
    assert await (await new_keys(A)).get("ann", key.term) == key


async def test_configured_master_key_is_not_retired(new_keys):
    """It would be a recipient again at the next backup."""
    keys = await new_keys(A, B)
    await keys.current("ann")
    with pytest.raises(MasterKeyInUse):
        await keys.retire(A.id)


async def test_master_key_away_while_a_term_is_made(new_keys):
    """The others do; when it is back, rewrap makes up for it."""
    remote = Remote(B)
    remote.away = True
    keys = await new_keys(A, remote)
    key = await keys.current("ann")
    assert (await keys.rewrap("ann")).delayed == 1
    remote.away = False
    assert (await keys.rewrap("ann")).added == 1
    assert await (await new_keys(B)).get("ann", key.term) == key


async def test_only_master_key_is_away(new_keys):
    """That is told as such: trying again helps, and no key is called lost."""
    remote = Remote(B)
    key = await (await new_keys(remote)).current("ann")
    remote.away = True
    keys = await new_keys(remote)
    with pytest.raises(MasterKeyUnavailable):
        await keys.get("ann", key.term)
    with pytest.raises(MasterKeyUnavailable):
        await keys.current("bea")
    remote.away = False
    assert await keys.get("ann", key.term) == key


async def test_interrupted_making_of_a_term(new_keys, space):
    """A term that only some master keys got is completed before it is used again."""

    class Dies(Exception):
        """The process ends."""

    def second_put(call):
        if (call.verb, call.key[-16:]) == ("put", B.id):
            raise Dies

    with pytest.raises(Dies):
        await (await new_keys(A, B, rule=second_put)).current("ann")
    assert len(space.objects) == 1
    key = await (await new_keys(A, B)).current("ann")
    assert await (await new_keys(B)).get("ann", key.term) == key


async def test_storage_errors_pass(new_keys, space):
    """A storage that is away is not mistaken for a missing key, and no second term is made."""
    key = await (await new_keys(A)).current("ann")
    keys = await new_keys(A, rule=lambda _: Fault.UNAVAILABLE)
    for call in (keys.current("ann"), keys.get("ann", key.term), keys.rewrap()):
        with pytest.raises(BackendUnavailable):
            await call
    assert len(space.objects) == 1


@pytest.mark.parametrize("fault", [Fault.TORN_SILENTLY, Fault.LOST_SILENTLY])
async def test_storage_that_does_not_keep_what_it_was_given(new_keys, fault):
    """A key is used only after it was read back from storage."""
    keys = await new_keys(A, rule=lambda call: fault if call.verb == "put" else None)
    with pytest.raises(KeyCorrupt):
        await keys.current("ann")


@pytest.mark.parametrize("left", ["file", "passphrase", "external"])
async def test_any_one_kind_of_master_key_is_enough(new_keys, kms, left):
    """File, passphrase and program configured, all but one lost: a fresh server reads all terms."""
    masters = {"file": A, "passphrase": PassphraseKey("x" * 12, CHEAP), "external": kms.key()}
    keys = await new_keys(*masters.values())
    made = [await keys.current(name) for name in ("ann", "bea")] + [await keys.rotate("ann")]
    fresh = await new_keys(masters[left])
    assert [await fresh.get(key.session_id, key.term) for key in made] == made
    assert await fresh.current("ann") == made[-1]
    assert (await fresh.rewrap()).added == 0
    found = await keys.coverage()
    assert len(found) == 3
    for each in found:
        assert set(each.opened_by) == {master.id for master in await keys.masters()}
        assert (each.damaged, each.others, each.missing) == ((), (), ())


async def test_lost_key_is_replaced(new_keys, space):
    """After a loss the new server's key joins, and the lost one can be retired."""
    words = PassphraseKey("x" * 12, CHEAP)
    keys = await new_keys(A, words)
    made = [await keys.current("ann"), await keys.rotate("ann")]
    keys = await new_keys(B, words)
    assert (await keys.rewrap()).added == 2
    assert await keys.retire(A.id) == Retired(removed=2)
    assert not [name for name in space.objects if name.endswith(A.id)]
    fresh = await new_keys(B)
    assert [await fresh.get("ann", key.term) for key in made] == made


async def test_passphrase_with_another_cost(new_keys):
    """A later default opens what an older one wrapped, and joins beside it."""
    key = await (await new_keys(PassphraseKey("x" * 12, CHEAP))).current("ann")
    later = PassphraseKey("x" * 12, Cost(log_n=5))
    keys = await new_keys(later)
    assert await keys.get("ann", key.term) == key
    assert (await keys.rewrap()).added == 1
    assert await (await new_keys(later)).current("ann") == key


async def test_wrong_passphrase_is_an_unknown_key(new_keys):
    """It is not called damage: the object is another key's."""
    key = await (await new_keys(PassphraseKey("x" * 12, CHEAP))).current("ann")
    keys = await new_keys(PassphraseKey("y" * 12, CHEAP))
    with pytest.raises(KeyUnknown):
        await keys.get("ann", key.term)


async def test_coverage_tells_who_opens_what(new_keys):
    """Missing, foreign and working master keys of each term."""
    first = await (await new_keys(A)).current("ann")
    second = await (await new_keys(B)).rotate("ann")
    found = await (await new_keys(B, C)).coverage()
    assert [each.term for each in found] == [first.term, second.term]
    assert [each.opened_by for each in found] == [(), (B.id,)]
    assert [each.others for each in found] == [(A.id,), ()]
    assert [set(each.missing) for each in found] == [{B.id, C.id}, {C.id}]
