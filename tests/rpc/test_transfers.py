"""Backups out of the vault and into it, over gRPC."""

import asyncio

import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from roost.v1 import backup_pb2, event_pb2
from roost.v1 import backup_service_pb2 as pb
from roost.v1 import session_service_pb2 as sessions_pb
from roost.v1.event_service_pb2 import SubscribeEventsRequest

from server.engine.fake import FakeEngine
from server.engine.store import template_path
from tests.rpc import toy
from tests.rpc.conftest import ACCOUNT, failure, fields_of
from tests.rpc.test_backups import Backup, back_up, list_backups, stop, watched
from tests.support import baileys

NAME = "sessions/a"
WORDS = "correct horse battery staple"


async def export(api, name, passphrase=WORDS):
    """The header and the whole file."""
    request = pb.ExportBackupRequest(name=name, passphrase=passphrase)
    header, *rest = await toy.rest(api.backups.ExportBackup(request))
    assert all(each.WhichOneof("part") == "chunk" for each in rest)
    return header.header, b"".join(each.chunk for each in rest)


def importing(api, data, step=100_000, **header):
    """The call that imports a file."""
    fields = {"parent": "sessions/new", "passphrase": WORDS} | header

    async def requests():
        yield pb.ImportBackupRequest(header=fields)
        for start in range(0, len(data), step):
            yield pb.ImportBackupRequest(chunk=data[start : start + step])

    return api.backups.ImportBackup(requests())


async def exported(api):
    """A paired session, backed up and exported; gives the backup and the file."""
    await api.pair()
    backup = await back_up(api)
    return backup, (await export(api, backup.name))[1]


async def test_a_backup_moves_to_another_server_with_nothing_but_a_passphrase(new_api, tmp_path):
    """Another key, another vault; restored there, it goes on."""
    async with new_api() as first:
        backup, data = await exported(first)
    (tmp_path / "data").rename(tmp_path / "first")
    async with new_api() as second:
        assert not (await list_backups(second, parent="sessions/-")).backups
        imported = (await importing(second, data)).backup
        assert imported.name.startswith("sessions/new/backups/")
        assert imported.kind == Backup.KIND_IMPORT
        assert imported.state == Backup.STATE_ACTIVE
        assert imported.device_fingerprint == backup.device_fingerprint
        assert imported.sha256 == backup.sha256
        assert imported.create_time == backup.create_time
        started = await second.backups.RestoreBackup(pb.RestoreBackupRequest(name=imported.name))
        assert started.plan.mode == backup_pb2.RESTORE_MODE_REKEY
        assert (await watched(second, started.operation.name))[-1].HasField("restore")
        assert (await second.get("new")).account.jid == ACCOUNT.jid


async def test_an_import_into_a_running_session_does_not_touch_it(api):
    """It is one more backup."""
    _, data = await exported(api)
    before = await api.get()
    imported = (await importing(api, data, parent=NAME)).backup
    assert await api.get() == before
    names = [each.name for each in (await list_backups(api)).backups]
    assert names[0] == imported.name
    assert len(names) == 3


async def test_subscribers_hear_of_backups_that_change(api):
    """Imported, pinned, moved to trash and brought back."""
    backup, data = await exported(api)
    kinds = [event_pb2.EVENT_KIND_BACKUP]
    stream = api.events.SubscribeEvents(SubscribeEventsRequest(kinds=kinds, from_snapshot={}))
    while not (await stream.read()).HasField("bookmark"):
        pass
    name = backup.name
    await importing(api, data, parent=NAME)
    await api.backups.PinBackup(pb.PinBackupRequest(name=name, pinned=True))
    await api.backups.DeleteBackup(pb.DeleteBackupRequest(name=name))
    await api.backups.UndeleteBackup(pb.UndeleteBackupRequest(name=name))
    heard = []
    async with asyncio.timeout(20):
        while len(heard) < 4:
            heard += [each.backup_changed.backup for each in (await stream.read()).events]
    stream.cancel()
    imported, pinned, trashed, back = heard[:4]
    assert imported.kind == Backup.KIND_IMPORT
    assert (pinned.name, pinned.pinned) == (name, True)
    assert trashed.purge_time.seconds
    assert not back.purge_time.seconds


async def test_the_header_says_what_comes(api):
    """The backup, and a name for the file that tells nothing but ids."""
    await api.pair()
    backup = await back_up(api)
    header, data = await export(api, backup.name)
    assert header.backup == backup
    assert header.file_name == f"a-{backup.name.rpartition('/')[2]}.roost"
    assert data.startswith(b"ROOSTX1")


async def test_a_client_that_leaves_leaves_nothing_behind(api, tmp_path):
    """No plain image in the server's scratch room."""
    await api.pair()
    backup = await back_up(api)
    request = pb.ExportBackupRequest(name=backup.name, passphrase=WORDS)
    stream = api.backups.ExportBackup(request)
    await stream.read()
    scratch = tmp_path / "data" / "scratch"
    stream.cancel()
    async with asyncio.timeout(20):
        while list(scratch.iterdir()):
            await asyncio.sleep(0.01)


async def test_a_wrong_passphrase_and_a_damaged_file_are_told_apart(api):
    """And nothing is left of either."""
    _, data = await exported(api)
    await failure(importing(api, data, passphrase="something else"), "PASSPHRASE_WRONG")
    for damaged in (data[:-1], data[:-200] + bytes(200), data + b"x", b"PK\x03\x04" + data):
        await failure(importing(api, damaged), "EXPORT_CORRUPT")
    assert not (await list_backups(api, parent="sessions/new")).backups


async def test_what_is_not_there_is_not_found(api):
    """Each kind with its own reason."""
    request = pb.ExportBackupRequest(name=f"{NAME}/backups/none", passphrase=WORDS)
    await failure(api.backups.ExportBackup(request), "BACKUP_NOT_FOUND")
    call = importing(api, b"", storage_location="storageLocations/none")
    await failure(call, "STORAGE_LOCATION_NOT_FOUND")


async def test_a_damaged_backup_is_not_exported(api, tmp_path):
    """Not one byte of it."""
    await api.pair()
    backup = await back_up(api)
    for pack in (tmp_path / "data" / "backups" / "packs").rglob("*"):
        if pack.is_file():
            pack.chmod(0o600)
            pack.write_bytes(pack.read_bytes()[:-1] + b"x")
    request = pb.ExportBackupRequest(name=backup.name, passphrase=WORDS)
    await failure(api.backups.ExportBackup(request), "BACKUP_CORRUPT")


async def test_bad_fields_are_named(api):
    """All at once, and never with the passphrase."""

    def send(*requests):
        async def stream():
            for request in requests:
                yield request

        return api.backups.ImportBackup(stream())

    bad = pb.ImportBackupRequest(header={"parent": "x", "storage_location": "y"})
    header = pb.ImportBackupRequest(header={"parent": NAME, "passphrase": WORDS})
    for call, fields in [
        (
            api.backups.ExportBackup(pb.ExportBackupRequest(name="x", passphrase="planted")),
            ["name", "passphrase"],
        ),
        (send(bad), ["header.parent", "header.storage_location", "header.passphrase"]),
        (send(), ["header"]),
        (send(pb.ImportBackupRequest(chunk=b"x")), ["header"]),
        (send(header, header), ["part"]),
        (send(header, pb.ImportBackupRequest()), ["part"]),
    ]:
        status = await failure(call, "FIELD_INVALID")
        assert fields_of(status) == fields
        assert "planted" not in str(status)


async def test_a_session_that_does_not_run_can_be_exported_too(api):
    """The vault has what it needs."""
    backup, data = await exported(api)
    await stop(api)
    assert len((await export(api, backup.name))[1]) == pytest.approx(len(data), rel=0.1)


# --- other programs' credentials


@pytest.fixture
def template(tmp_path, make_store):
    """The engine's empty store, which the fake engine does not make."""
    path = template_path(tmp_path / "data" / "engine", FakeEngine().version)
    path.parent.mkdir(parents=True)
    path.write_bytes(make_store.template.read_bytes())


def import_call(api, given, step=1000, **header):
    """The call that imports files, each in parts."""

    async def requests():
        yield pb.ImportCredentialsRequest(header={"session": NAME} | header)
        for file in given:
            for start in range(0, len(file.data) or 1, step):
                data = file.data[start : start + step]
                part = {"name": file.name, "modify_time": file.modify_time, "data": data}
                yield pb.ImportCredentialsRequest(file=part)

    return api.backups.ImportCredentials(requests())


@pytest.mark.usefixtures("template")
async def test_a_baileys_folder_becomes_a_session(api):
    """Made with its settings, stopped, and backed up before anything connects."""
    started = await import_call(
        api, baileys.files(baileys.folder()), display_name="Shop", labels={"from": "baileys"}
    )
    done = (await watched(api, started.operation.name))[-1]
    assert done.WhichOneof("result") == "imported", done
    result = done.imported
    assert result.session == NAME
    assert result.format == backup_pb2.CREDENTIAL_FORMAT_BAILEYS_MULTI_FILE
    assert result.mode == backup_pb2.RESTORE_MODE_REKEY
    assert result.reasons
    assert result.counts["pre_keys"] == 31  # a fresh one among them
    assert result.backup.kind == Backup.KIND_IMPORT
    assert not result.trash
    session = await api.in_state("STOPPED")
    assert (session.display_name, dict(session.labels)) == ("Shop", {"from": "baileys"})
    assert session.account.jid
    assert [each.name for each in (await list_backups(api)).backups] == [result.backup.name]


@pytest.mark.usefixtures("template")
async def test_credentials_are_replaced_by_an_import_only_with_force(api):
    """What was there goes to trash."""
    await api.pair()
    await stop(api)
    given = baileys.files(baileys.folder())
    await failure(import_call(api, given), "CREDENTIALS_EXIST")
    started = await import_call(api, given, force=True)
    done = (await watched(api, started.operation.name))[-1]
    assert done.imported.trash.startswith("trash/")


@pytest.mark.usefixtures("template")
async def test_a_running_session_is_not_imported_into(api):
    """Its keys would fork."""
    await api.pair()
    call = import_call(api, baileys.files(baileys.folder()), force=True)
    await failure(call, "SESSION_WRONG_STATE")


@pytest.mark.usefixtures("template")
@pytest.mark.parametrize("content", [{}, {"creds.json": b""}, {"creds.json": {"noiseKey": 1}}])
async def test_files_that_are_no_credentials_are_refused(api, content):
    """The operation says why, and no session is made."""
    started = await import_call(api, baileys.files(content))
    done = (await watched(api, started.operation.name))[-1]
    (info,) = toy.unpacked(done.error, ErrorInfo)
    assert info.reason == "CREDENTIALS_INVALID"
    assert done.error.message
    request = sessions_pb.GetSessionRequest(name=NAME)
    await failure(api.sessions.GetSession(request), "SESSION_NOT_FOUND")


async def test_bad_fields_of_an_import_are_named(api):
    """All of the header at once; then what is wrong with the files."""

    def send(*requests):
        async def stream():
            for request in requests:
                yield pb.ImportCredentialsRequest(**request)

        return api.backups.ImportCredentials(stream())

    header = {"header": {"session": NAME}}
    bad = {"session": "x", "format": 77, "mode": 78, "proxy_url": "y", "display_name": "\n"}
    for call, fields in [
        (
            send({"header": bad}),
            [
                "header.session",
                "header.format",
                "header.mode",
                "header.display_name",
                "header.proxy_url",
            ],
        ),
        (send({"file": {"name": "creds.json"}}), ["header"]),
        (send(header, header), ["part"]),
        (send(header, {"file": {"data": b"x"}}), ["file.name"]),
        (
            send(header, {"file": {"name": "a", "modify_time": {"seconds": 1 << 60}}}),
            ["file.modify_time"],
        ),
    ]:
        assert fields_of(await failure(call, "FIELD_INVALID")) == fields
