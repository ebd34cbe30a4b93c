"""MaintenanceService over gRPC: the local trash, on real stores."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from roost.v1 import backup_service_pb2 as backups_pb
from roost.v1 import maintenance_service_pb2 as pb
from roost.v1 import session_service_pb2 as sessions_pb

from tests.rpc.conftest import ACCOUNT, failure, fields_of
from tests.rpc.test_backups import Backup, list_backups, stop, watched

NAME = "sessions/a"


async def list_trash(api, **fields):
    return await api.maintenance.ListTrash(pb.ListTrashRequest(**fields))


async def restore(api, name, **fields):
    """Brings an item back and waits for it."""
    request = pb.RestoreFromTrashRequest(name=name, **fields)
    response = await api.maintenance.RestoreFromTrash(request)
    return (await watched(api, response.operation.name))[-1]


async def purge(api, name, **fields):
    return await api.maintenance.PurgeTrash(pb.PurgeTrashRequest(name=name, **fields))


async def unlinked(api):
    """A session that was unlinked: its store is in trash. Gives the item."""
    await api.pair()
    await api.sessions.UnlinkSession(sessions_pb.UnlinkSessionRequest(name=NAME))
    (item,) = (await list_trash(api)).items
    return item


async def backed_up_at_rest(api):
    """Waits for the backup that follows the end of a session."""
    request = backups_pb.ListBackupsRequest(parent=NAME)
    async with asyncio.timeout(20):
        while all(
            each.kind != Backup.KIND_QUIESCED
            for each in (await api.backups.ListBackups(request)).backups
        ):
            await asyncio.sleep(0.01)


async def deleted(api, session_id="a"):
    """A session that was deleted. Gives the item."""
    await api.pair(session_id)
    name = f"sessions/{session_id}"
    await api.sessions.DeleteSession(sessions_pb.DeleteSessionRequest(name=name))
    return (await list_trash(api)).items[0]


def age(tmp_path, item, days=31):
    """Lets an item have been in trash for so long."""
    note = tmp_path / "data" / item.name / "TRASH.json"
    content = json.loads(note.read_text())
    content["time"] = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    note.write_text(json.dumps(content))


async def test_what_was_moved_away_is_listed_newest_first(api):
    """With the reason, the session, and from when on it may go."""
    unlinked_item = await unlinked(api)
    assert unlinked_item.reason == "unlinked-by-user"
    assert unlinked_item.session == NAME
    assert unlinked_item.size_bytes > 0
    kept = unlinked_item.purge_time.seconds - unlinked_item.trash_time.seconds
    assert kept == timedelta(days=30).total_seconds()
    await deleted(api, "b")
    first = await list_trash(api, page_size=1)
    second = await list_trash(api, page_size=1, page_token=first.next_page_token)
    names = [each.name for each in (*first.items, *second.items)]
    assert sorted(names, reverse=True) == names
    assert unlinked_item.name in names
    assert not second.next_page_token


async def test_a_store_comes_back_with_fresh_ratchets(api, tmp_path):
    """File and session row fit together again, and what is in trash stays there."""
    item = await unlinked(api)
    await api.in_state("UNLINKED")
    done = await restore(api, item.name)
    assert done.WhichOneof("result") == "untrashed", done
    assert (done.untrashed.item, done.untrashed.session) == (item.name, NAME)
    assert not done.untrashed.exact
    assert not done.untrashed.trash
    assert (await api.in_state("STOPPED")).account.jid == ACCOUNT.jid
    assert (tmp_path / "data" / item.name / "store.db").exists()
    assert [each.name for each in (await list_trash(api)).items] == [item.name]
    await api.sessions.StartSession(sessions_pb.StartSessionRequest(name=NAME))
    await api.in_state("ACTIVE")


async def test_credentials_that_are_there_go_to_trash_themselves(api):
    """Only with force."""
    item = await unlinked(api)
    await restore(api, item.name)
    again = pb.RestoreFromTrashRequest(name=item.name)
    await failure(api.maintenance.RestoreFromTrash(again), "CREDENTIALS_EXIST")
    done = await restore(api, item.name, force=True)
    assert done.untrashed.trash.startswith("trash/")
    assert len((await list_trash(api)).items) == 2
    kinds = [backup.kind for backup in (await list_backups(api)).backups]
    assert Backup.KIND_PRE_RESTORE in kinds


async def test_a_deleted_session_comes_back_as_it_was(api):
    """Nothing has happened to it meanwhile: no fresh ratchets."""
    item = await deleted(api)
    assert item.reason == "deleted"
    done = await restore(api, item.name)
    assert done.untrashed.exact
    assert (await api.in_state("STOPPED")).account.jid == ACCOUNT.jid
    assert not (await list_trash(api)).items


async def test_a_running_session_is_left_alone(api):
    """Its keys would fork."""
    item = await unlinked(api)
    await restore(api, item.name)
    await api.sessions.StartSession(sessions_pb.StartSessionRequest(name=NAME))
    await api.in_state("ACTIVE")
    call = api.maintenance.RestoreFromTrash(pb.RestoreFromTrashRequest(name=item.name, force=True))
    await failure(call, "SESSION_WRONG_STATE")


async def test_a_damaged_store_is_not_brought_back(api, tmp_path):
    """And the session stays as it was."""
    item = await unlinked(api)
    store = tmp_path / "data" / item.name / "store.db"
    store.write_bytes(b"not a database" * 100)
    done = await restore(api, item.name)
    assert done.WhichOneof("result") == "error"
    assert "damaged" in done.error.message
    await api.in_state("UNLINKED")


async def test_without_its_note_an_item_stays_where_it_is(api, tmp_path):
    """Nobody knows what it is: listed, but neither brought back nor purged."""
    item = await unlinked(api)
    (tmp_path / "data" / item.name / "TRASH.json").write_text("{")
    (found,) = (await list_trash(api)).items
    assert (found.reason, found.session) == ("", "")
    assert not found.HasField("purge_time")
    call = api.maintenance.RestoreFromTrash(pb.RestoreFromTrashRequest(name=item.name))
    await failure(call, "TRASH_ITEM_UNUSABLE")
    await failure(purge_call(api, item.name), "TRASH_ITEM_KEPT")


def purge_call(api, name):
    return api.maintenance.PurgeTrash(pb.PurgeTrashRequest(name=name, confirm=name))


async def test_purging_is_a_dry_run_unless_confirmed(api, tmp_path):
    """One item at a time, named twice; the vault has a copy of the device."""
    item = await unlinked(api)
    age(tmp_path, item)
    for name in (item.name, "trash/-"):
        planned = await purge(api, name)
        (verdict,) = planned.verdicts
        assert (verdict.item.name, verdict.may_purge) == (item.name, True)
        assert not planned.purged
    assert len((await list_trash(api)).items) == 1
    done = await purge(api, item.name, confirm=item.name)
    assert done.purged
    assert not (await list_trash(api)).items
    assert not list((tmp_path / "data" / "trash").iterdir())


async def test_nothing_is_purged_before_its_time(api):
    """Confirmed or not."""
    item = await unlinked(api)
    (verdict,) = (await purge(api, item.name)).verdicts
    assert not verdict.may_purge
    assert "not over" in verdict.kept_because
    await failure(purge_call(api, item.name), "TRASH_ITEM_KEPT")
    assert len((await list_trash(api)).items) == 1


async def test_the_last_good_copy_of_a_device_is_never_purged(api, tmp_path):
    """Whatever its age: without a verified copy in the vault it stays."""
    item = await unlinked(api)
    await backed_up_at_rest(api)  # or it is written after the damage, and a purge is right
    age(tmp_path, item, days=3650)
    for file in (tmp_path / "data" / "backups").rglob("*"):
        if file.is_file():
            file.chmod(0o600)
            file.write_bytes(b"")
    (verdict,) = (await purge(api, item.name)).verdicts
    assert not verdict.may_purge
    await failure(purge_call(api, item.name), "TRASH_ITEM_KEPT")
    assert (tmp_path / "data" / item.name / "store.db").exists()


async def test_a_store_that_cannot_be_read_is_not_purged(api, tmp_path):
    """It may hold keys."""
    item = await unlinked(api)
    age(tmp_path, item)
    (tmp_path / "data" / item.name / "store.db").write_bytes(b"not a database" * 100)
    (verdict,) = (await purge(api, item.name)).verdicts
    assert "cannot be read" in verdict.kept_because


async def test_the_whole_of_a_deleted_session_can_be_purged(api, tmp_path):
    """With its spool and all its stores."""
    item = await deleted(api)
    age(tmp_path, item)
    assert (await purge(api, item.name, confirm=item.name)).purged
    assert not list((tmp_path / "data" / "trash").iterdir())


async def test_bad_fields_are_named(api):
    """By every method, all at once."""
    for call, fields in [
        (api.maintenance.ListTrash(pb.ListTrashRequest(page_size=-1)), ["page_size"]),
        (api.maintenance.RestoreFromTrash(pb.RestoreFromTrashRequest(name="../x")), ["name"]),
        (
            api.maintenance.PurgeTrash(pb.PurgeTrashRequest(name="x", confirm="y")),
            ["name", "confirm"],
        ),
        (
            api.maintenance.PurgeTrash(pb.PurgeTrashRequest(name="trash/-", confirm="trash/-")),
            ["confirm"],
        ),
    ]:
        assert fields_of(await failure(call, "FIELD_INVALID")) == fields


@pytest.mark.parametrize("method", ["RestoreFromTrash", "PurgeTrash"])
async def test_what_is_not_there_is_not_found(api, method):
    """By its own reason."""
    request = getattr(pb, f"{method}Request")(name="trash/none")
    await failure(getattr(api.maintenance, method)(request), "TRASH_ITEM_NOT_FOUND")


async def test_a_session_that_is_gone_is_made_again(api, tmp_path):
    """From a store whose note names a session that this server does not know."""
    item = await unlinked(api)
    note = tmp_path / "data" / item.name / "TRASH.json"
    note.write_text(note.read_text().replace("sessions/a", "sessions/new"))
    done = await restore(api, item.name)
    assert done.untrashed.session == "sessions/new"
    assert (await api.get("new")).account.jid == ACCOUNT.jid
    await stop(api, "new")
