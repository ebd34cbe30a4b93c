"""Files that the client sends and writes."""

import os
import stat

import grpc
import pytest
from roost.v1 import backup_service_pb2 as pb
from roost.v1.backup_pb2 import Backup
from roost_client import RoostError
from roost_client.local_files import CHUNK_BYTES

from tests.support.scripted import rich

NAME = "sessions/a/backups/b"
EXPORT = "BackupService.ExportBackup"
HEADER = pb.ExportBackupResponse(header={"backup": {"name": NAME}, "file_name": "x.roost"})


def names(folder):
    return [entry.name for entry in folder.iterdir()]


def chunk(data):
    return pb.ExportBackupResponse(chunk=data)


async def test_an_export_is_a_private_file_that_appears_when_it_is_complete(
    script, roost, tmp_path
):
    """Under its name only then, and with everything in it."""
    script.answer(EXPORT, HEADER, chunk(b"one"), chunk(b"two"))
    seen = []
    target = tmp_path / "out.roost"
    backup = await roost.backups.export(
        NAME, target, "some words", progress=lambda done, _: seen.append(done)
    )
    assert backup == Backup(name=NAME)
    assert target.read_bytes() == b"onetwo"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert seen == [0, 3, 6]
    assert names(tmp_path) == ["out.roost"]
    (request,) = script.requests(EXPORT)
    assert (request.name, request.passphrase) == (NAME, "some words")


async def test_an_export_that_breaks_leaves_nothing(script, roost, tmp_path):
    """No half file that somebody would trust."""
    script.answer(EXPORT, HEADER, chunk(b"one"), rich(grpc.StatusCode.DATA_LOSS, "BACKUP_CORRUPT"))
    with pytest.raises(RoostError, match="BACKUP_CORRUPT"):
        await roost.backups.export(NAME, tmp_path / "out.roost", "some words")
    assert names(tmp_path) == []


async def test_an_export_never_overwrites(script, roost, tmp_path):
    """Not even a file that appears while it runs; and then it asks for nothing."""
    target = tmp_path / "out.roost"
    script.answer(EXPORT, HEADER, chunk(b"one"))
    with pytest.raises(FileExistsError):
        await roost.backups.export(
            NAME, target, "some words", progress=lambda *_: target.write_bytes(b"mine")
        )
    assert target.read_bytes() == b"mine"
    assert names(tmp_path) == ["out.roost"]
    script.calls.clear()
    with pytest.raises(FileExistsError):
        await roost.backups.export(NAME, target, "some words")
    assert not script.calls


async def test_a_file_is_sent_behind_its_header(script, roost, tmp_path):
    """In parts, in order."""
    source = tmp_path / "in.roost"
    source.write_bytes(b"a" * CHUNK_BYTES + b"b")
    answer = pb.ImportBackupResponse(backup={"name": NAME})
    script.answer("BackupService.ImportBackup", answer)
    seen = []
    backup = await roost.backups.import_file(
        source, "a", "some words", location="far", progress=lambda *both: seen.append(both)
    )
    assert backup.name == NAME
    header, *parts = script.uploads["BackupService.ImportBackup"]
    assert header.header == pb.ImportBackupRequest.Header(
        parent="sessions/a", passphrase="some words", storage_location="storageLocations/far"
    )
    assert b"".join(part.chunk for part in parts) == source.read_bytes()
    assert seen == [(CHUNK_BYTES, CHUNK_BYTES + 1), (CHUNK_BYTES + 1, CHUNK_BYTES + 1)]


async def test_a_folder_is_sent_file_by_file(script, roost, tmp_path):
    """With names, times and empty files; a large one in parts. Folders in it are left out."""
    os.utime(_written(tmp_path / "creds.json", b"{}"), (1_700_000_000, 1_700_000_000))
    _written(tmp_path / "empty.json", b"")
    _written(tmp_path / "large.json", b"x" * CHUNK_BYTES + b"y")
    (tmp_path / "folder").mkdir()
    script.answer("BackupService.ImportCredentials", pb.ImportCredentialsResponse())
    await roost.backups.import_credentials(
        tmp_path, "a", format="baileys_multi_file", mode="rekey", labels={"a": "b"}, force=True
    )
    header, *parts = script.uploads["BackupService.ImportCredentials"]
    assert header.header.session == "sessions/a"
    assert (header.header.format, header.header.mode) == (1, 3)
    assert (dict(header.header.labels), header.header.force) == ({"a": "b"}, True)
    sent = [(part.file.name, len(part.file.data)) for part in parts]
    assert sent == [
        ("creds.json", 2),
        ("empty.json", 0),
        ("large.json", CHUNK_BYTES),
        ("large.json", 1),
    ]
    assert parts[0].file.modify_time.seconds == 1_700_000_000


async def test_a_database_is_sent_with_its_wal(script, roost, tmp_path):
    """Its last steps are in there."""
    database = _written(tmp_path / "whatsapp.db", b"db")
    _written(tmp_path / "whatsapp.db-wal", b"wal")
    _written(tmp_path / "other.db", b"other")
    script.answer("BackupService.ImportCredentials", pb.ImportCredentialsResponse())
    await roost.backups.import_credentials(database, "a")
    _, *parts = script.uploads["BackupService.ImportCredentials"]
    assert [part.file.name for part in parts] == ["whatsapp.db", "whatsapp.db-wal"]


async def test_a_refused_upload_raises(script, roost, tmp_path):
    """As every other call does."""
    source = _written(tmp_path / "in.roost", b"x")
    error = rich(grpc.StatusCode.INVALID_ARGUMENT, "PASSPHRASE_WRONG", "no")
    script.answer("BackupService.ImportBackup", error)
    with pytest.raises(RoostError, match="PASSPHRASE_WRONG"):
        await roost.backups.import_file(source, "a", "some words")


async def test_a_file_that_is_not_there_is_no_call(script, roost, tmp_path):
    """The mistake is on this side."""
    with pytest.raises(FileNotFoundError):
        await roost.backups.import_file(tmp_path / "none", "a", "some words")
    with pytest.raises(FileNotFoundError):
        await roost.backups.import_credentials(tmp_path / "none", "a")
    assert not script.uploads


def _written(path, data):
    path.write_bytes(data)
    return path
