"""Checking one stored backup."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from server.backups.verifying import ENGINE, SAMPLED, wants_engine
from server.engine.trial import EngineRefused
from server.vault.history import Mark, MarkKind, add_mark
from server.vault.model import BackupState
from storage_backends.faults import flip_bit
from tests.backups.conftest import ANN


def verifier_of(server, open_by_engine):
    return replace(server.service._verifier, open_by_engine=open_by_engine)


async def finds_ann(copy):
    return ["15550001111:7@s.whatsapp.net"]


def test_which_copies_the_engine_opens():
    """The first of a device, the first that another engine wrote, and samples."""
    this = {"fingerprint": "f", "engine": "neonize/1"}
    assert wants_engine(seq=1, parent=None, **this)
    assert wants_engine(seq=7, parent=("other", "neonize/1"), **this)
    assert wants_engine(seq=7, parent=("f", "neonize/0"), **this)
    assert not wants_engine(seq=7, parent=("f", "neonize/1"), **this)
    sampled = [
        seq for seq in range(2, 1000) if wants_engine(seq=seq, parent=("f", "neonize/1"), **this)
    ]
    assert sampled == [*range(SAMPLED, 1000, SAMPLED)]


async def test_the_engine_is_asked_for_the_first_copy_of_a_device(server):
    """And for no other one, until something changes."""
    server.pair()
    first = await server.back_up()
    await server.back_up()
    assert await server.service.next_engine_drill() == first.name
    assert server.service._engine_drills.empty()


async def test_all_levels(server):
    """With the real engine: each is a step, and the level is in the backup and its event."""
    server.pair()
    backup = await server.back_up()
    assert backup.verify_level == 4
    done = await server.end_of(await server.service.verify(backup.name, ENGINE))
    result = done.verified
    assert [(step.level, step.problem) for step in result.steps] == [(n, "") for n in range(6)]
    assert result.backup.verify_level == ENGINE
    assert await server.service.get(backup.name) == result.backup
    assert server.sessions.told[-1] == (result.backup, True)
    assert server.scratch_files() == []


@pytest.mark.parametrize("answer", [[], ["15550001111:8@s.whatsapp.net"], EngineRefused()])
async def test_a_copy_that_the_engine_does_not_open_is_suspect(server, answer):
    """The newest one decides the session's condition."""

    async def answers(copy):
        if isinstance(answer, Exception):
            raise answer
        return answer

    server.pair()
    backup = await server.back_up()
    verifier = verifier_of(server, answers)
    result = await verifier.verify(backup.name, ENGINE, lambda *_: None)
    assert result.backup.state is BackupState.SUSPECT
    assert result.steps[-1].level == ENGINE
    assert "engine" in result.steps[-1].problem
    found = await server.service.get(backup.name)
    assert (found.state, found.state_reason) == (BackupState.SUSPECT, result.steps[-1].problem)
    assert server.sessions.told[-1] == (found, True)


async def test_an_engine_that_does_not_answer_proves_nothing(server):
    """The copy is as good as it was."""

    async def hangs(copy):
        raise TimeoutError

    server.pair()
    backup = await server.back_up()
    result = await verifier_of(server, hangs).verify(backup.name, ENGINE, lambda *_: None)
    assert [step.level for step in result.steps] == [0, 1, 2, 3, 4]
    assert result.backup.state is BackupState.ACTIVE
    assert result.backup.verify_level == 4


async def test_a_suspect_copy_that_passes_is_good_again(server):
    """A later drill that it passes says more than an earlier one that it did not."""
    server.pair()
    backup = await server.back_up()
    repository, _ = await server.service._catalog.find(backup.name)
    mark = Mark(kind=MarkKind.SUSPECT, time=backup.create_time, reason="a doubt")
    await add_mark(repository, ANN, backup.name.backup_id, mark)
    assert (await server.service.get(backup.name)).state is BackupState.SUSPECT
    result = await server.service.verify_now(backup.name, 4)
    assert (result.backup.state, result.backup.state_reason) == (BackupState.ACTIVE, "")


async def test_an_older_copy_is_no_matter_of_the_session(server):
    """Its event says what became of it, no more."""
    server.pair()
    old = await server.back_up()
    await server.back_up()
    await server.service.verify_now(old.name, 4)
    assert server.sessions.told[-1][0].name == old.name
    assert server.sessions.told[-1][1] is False


@pytest.mark.parametrize(("damage", "level"), [("missing", 1), ("flipped", 2)])
async def test_damage_in_storage_is_told_but_not_marked(server, spaces, damage, level):
    """A copy in another location may be whole, and a mark would go there, too."""
    server.pair()
    backup = await server.back_up()
    objects = spaces["local"].objects
    (pack,) = [key for key in objects if key.startswith("packs/")]
    if damage == "missing":
        del objects[pack]
    else:
        data, info = objects[pack]
        objects[pack] = (flip_bit(data), info)
    result = await server.service.verify_now(backup.name, ENGINE)
    assert (result.steps[-1].level, result.backup.state) == (level, BackupState.SUSPECT)
    assert pack in result.steps[-1].problem
    assert (await server.service.get(backup.name)).state is BackupState.ACTIVE


async def test_a_copy_of_a_store_that_the_engine_wrote_since(server):
    """The drill looks at the copy, never at the store."""
    store = server.pair()
    backup = await server.back_up()
    with closing(sqlite3.connect(store)) as engine, engine:
        engine.execute("DELETE FROM whatsmeow_device")
    result = await server.service.verify_now(backup.name, 4)
    assert result.backup.state is BackupState.ACTIVE
