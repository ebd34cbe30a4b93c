"""A fresh server takes over what a storage location holds."""

import asyncio
import shutil
from contextlib import asynccontextmanager

import pytest

from server.backups.model import Outcome
from server.core.errors import SessionLeased, StorageLocationNotFound
from server.core.names import SessionName, StorageLocationName
from server.sessions.model import State
from server.vault.masterkeys.file import FileKey
from server.vault.model import BackupKind, BackupState
from storage_backends.faults import flip_bit
from tests.backups.conftest import ANN, BEA

CAT = SessionName("cat")
PRIMARY = StorageLocationName("local")


async def recover(server, **wanted):
    done = await server.end_of(await server.service.recover(PRIMARY, **wanted))
    assert done.failure is None, done.failure
    return done.recover


def outcomes(result):
    return {each.session: each.outcome for each in result.sessions}


def reasons(result):
    return {each.session: each.reason for each in result.sessions}


@pytest.fixture
async def lost(new_server):
    """Three sessions were backed up, one twice, and their server is gone."""
    async with new_server("lost") as old:
        for number, name in enumerate((ANN, BEA, CAT)):
            old.pair(
                name,
                device=7 + number,
                display_name=f"The {name.session_id}",
                labels={"team": name.session_id},
                proxy_url=f"http://proxy/{name.session_id}",
            )
            await old.back_up(name)
        yield await old.back_up(ANN)


async def test_everything_comes_back(new_server, lost):
    """The newest copy of each, with what was set for the session."""
    async with new_server("fresh") as fresh:
        result = await recover(fresh)
        assert set(outcomes(result).values()) == {Outcome.RESTORED}
        assert [each.session for each in result.sessions] == [ANN, BEA, CAT]
        assert result.sessions[0].plan.backup == lost.name
        for name in (ANN, BEA, CAT):
            session = fresh.sessions.get(name)
            assert session.state is State.STOPPED
            assert session.display_name == f"The {name.session_id}"
            assert session.labels == {"team": name.session_id}
            assert session.proxy_url == f"http://proxy/{name.session_id}"
            assert fresh.sessions.store_path(name).exists()
        again = await recover(fresh)
        assert set(outcomes(again).values()) == {Outcome.PRESENT}


async def test_a_dry_run_changes_nothing(new_server, lost):
    """It says what would be done."""
    async with new_server("fresh") as fresh:
        result = await recover(fresh, dry_run=True, start=True)
        assert result.dry_run
        assert set(outcomes(result).values()) == {Outcome.PLANNED}
        assert all(each.plan.start and each.plan.losses for each in result.sessions)
        assert fresh.sessions.list(states=frozenset(State)) == []


async def test_one_session_of_a_device(new_server):
    """The one that used it last: two of them would take turns at throwing each other out."""
    async with new_server("lost") as old:
        store = old.pair(ANN, device=7)
        await old.back_up(ANN)
        await old.service.backup_now(ANN)
        twin = old.pair(BEA, device=7)
        shutil.copy(store, twin)
        await old.back_up(BEA)
        old.pair(CAT, device=9)
        await old.service.backup_now(CAT, BackupKind.PRE_DELETE)
    async with new_server("fresh") as fresh:
        for dry_run in (True, False):
            result = await recover(fresh, dry_run=dry_run)
            told = {each.session: (each.outcome, each.reason) for each in result.sessions}
            assert told == {
                ANN: (Outcome.SKIPPED, "CREDENTIALS_EXIST"),
                BEA: (Outcome.PLANNED if dry_run else Outcome.RESTORED, ""),
                CAT: (Outcome.SKIPPED, "SESSION_NOT_FOUND"),
            }
        assert str(BEA) in result.sessions[0].message
        assert str(CAT) in result.sessions[2].message
        assert {session.name for session in fresh.sessions.list(states=frozenset(State))} == {BEA}


async def test_what_is_here_stays(new_server, lost):
    """Whether it runs or not; a session whose store is lost is recovered."""
    async with new_server("fresh") as fresh:
        fresh.pair(ANN, state=State.STOPPED)
        before = fresh.sessions.get(ANN)
        fresh.pair(BEA, device=99)
        fresh.pair(CAT, device=9, state=State.STOPPED).unlink()
        result = await recover(fresh)
        assert outcomes(result) == {
            ANN: Outcome.PRESENT,
            BEA: Outcome.PRESENT,
            CAT: Outcome.RESTORED,
        }
        assert fresh.sessions.get(ANN) == before
        assert reasons(result)[ANN] == "CREDENTIALS_EXIST"


async def test_one_that_fails_stops_no_other(new_server, lost, spaces):
    """Each session's result says why; the others are there."""
    for key in [key for key in spaces["local"].objects if key.startswith("packs/bea/")]:
        data, info = spaces["local"].objects[key]
        spaces["local"].objects[key] = (flip_bit(data), info)
    for key in [key for key in spaces["local"].objects if key.startswith("snapshots/cat/")]:
        data, info = spaces["local"].objects[key]
        spaces["local"].objects[key] = (data[:-1], info)
    async with new_server("fresh") as fresh:
        result = await recover(fresh)
        assert outcomes(result) == {
            ANN: Outcome.RESTORED,
            BEA: Outcome.FAILED,
            CAT: Outcome.FAILED,
        }
        assert reasons(result) == {ANN: "", BEA: "BACKUP_CORRUPT", CAT: "BACKUP_CORRUPT"}
        assert all(each.message for each in result.sessions if each.reason)
        assert [each.name for each in fresh.sessions.list(states=frozenset(State))] == [ANN]
        assert fresh.scratch_files() == []


async def test_a_damaged_newest_copy_gives_way_to_an_older_one(new_server, lost, spaces):
    """Found out while it is read: its manifest alone looked good."""
    key = max(key for key in spaces["local"].objects if key.startswith("snapshots/ann/"))
    data, info = spaces["local"].objects[key]
    spaces["local"].objects[key] = (flip_bit(data), info)
    async with new_server("fresh") as fresh:
        result = await recover(fresh)
        assert outcomes(result)[ANN] is Outcome.RESTORED
        assert result.sessions[0].plan.backup < lost.name


async def test_another_servers_key_is_told(new_server, lost):
    """Nothing opens; each session says so."""
    async with new_server("fresh", masters=[FileKey.generate()]) as fresh:
        result = await recover(fresh)
        assert set(outcomes(result).values()) == {Outcome.FAILED}
        assert set(reasons(result).values()) == {"BACKUP_KEY_MISSING"}


async def test_a_device_that_was_logged_out_is_left_alone(new_server, lost):
    """WhatsApp would refuse it; RestoreBackup with force tries all the same."""
    async with new_server("other") as other:
        await other.service.revoke(ANN, lost.device_fingerprint, "LOGGED_OUT")
        assert (await other.service.get(lost.name)).state is BackupState.REVOKED
    async with new_server("fresh") as fresh:
        result = await recover(fresh)
        assert outcomes(result)[ANN] is Outcome.SKIPPED
        assert reasons(result)[ANN] == "BACKUP_REVOKED"


async def test_copies_of_an_older_device_are_not_used(new_server):
    """The session was paired again since: its first device is not linked any more."""
    async with new_server("lost") as old:
        old.pair(ANN, device=7)
        await old.back_up(ANN)
        old.sessions.change(ANN, store_epoch=2)
        old._make_store(old.sessions.path(old.sessions.get(ANN)), device=8)
        second = await old.back_up(ANN)
        await old.service.revoke(ANN, second.device_fingerprint, "LOGGED_OUT")
    async with new_server("fresh") as fresh:
        assert outcomes(await recover(fresh))[ANN] is Outcome.SKIPPED


class Fence:
    """Another server runs these sessions."""

    def __init__(self, *leased):
        self.leased = {*leased}
        self.taken = []

    async def check(self, session):
        if session in self.leased:
            raise SessionLeased(session=str(session), server="other")

    @asynccontextmanager
    async def claiming(self, session, *, take_over=False):
        if not take_over:
            await self.check(session)
        self.taken.append(session)
        yield


async def test_what_another_server_runs_stays_there(new_server, lost):
    """Unless it is taken over."""
    fence = Fence(ANN, BEA)
    async with new_server("fresh", fence=fence) as fresh:
        for dry_run in (True, False):
            result = await recover(fresh, dry_run=dry_run)
            assert outcomes(result) == {
                ANN: Outcome.SKIPPED,
                BEA: Outcome.SKIPPED,
                CAT: Outcome.PLANNED if dry_run else Outcome.RESTORED,
            }
            assert reasons(result)[ANN] == "SESSION_LEASED"
        result = await recover(fresh, take_over=True)
        assert outcomes(result)[ANN] is outcomes(result)[BEA] is Outcome.RESTORED
        assert {*fence.taken} == {ANN, BEA, CAT}


async def test_a_location_that_is_not_configured(server):
    """And an empty one has nothing to recover."""
    with pytest.raises(StorageLocationNotFound):
        await server.service.recover(StorageLocationName("nowhere"))
    assert (await recover(server)).sessions == ()


async def test_a_recovery_that_is_cancelled_ends(new_server, lost):
    """What is restored stays, what is not is not."""
    async with new_server("fresh") as fresh:
        operation = await fresh.service.recover(PRIMARY)
        await asyncio.sleep(0)
        await fresh.operations.cancel(operation.name)
        done = await fresh.end_of(operation)
        assert done.failure.reason == "OPERATION_CANCELLED"
        assert set(outcomes(await recover(fresh)).values()) <= {Outcome.RESTORED, Outcome.PRESENT}
