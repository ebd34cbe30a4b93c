"""PostgreSQL and S3 over a line that is really cut: after the work was done, and in its middle."""

import contextlib
import os
import socket
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import pytest

from storage_backends.base import StorageBackend
from storage_backends.errors import (
    BackendUnavailable,
    ObjectChanged,
    ObjectExists,
    ObjectNotFound,
    QuotaExceeded,
)
from storage_backends.layers import Checked
from storage_backends.postgres import PostgresBackend, PostgresConfig
from storage_backends.retrying import Retrying
from storage_backends.s3 import S3Backend
from storage_backends.testing import attempt
from tests.support.relay import Cut, Relay
from tests.support.s3 import KEYS

DATA = os.urandom(3 << 20)


@dataclass
class Storage:
    """A storage behind a relay, and the same one by a direct line."""

    relay: Relay
    backend: StorageBackend
    direct: StorageBackend
    answer_lost: dict[str, Cut]
    torn: dict[str, Cut]


@contextlib.contextmanager
def over_postgresql(server, url):
    insert, update = (Cut(verb, after_bytes=1 << 20) for verb in (b"INSERT", b"UPDATE"))
    inserted = Cut(b"INSERT", answer=b"INSERT 0 1")
    with Relay.to(server.connect) as relay:
        line = f"host=127.0.0.1&port={relay.port}&sslmode=disable&gssencmode=disable"
        behind = PostgresConfig.from_url(urlsplit(url)._replace(query=line))
        with (
            Checked(PostgresBackend(PostgresConfig.from_url(urlsplit(url)))) as direct,
            Checked(PostgresBackend(behind)) as backend,
        ):
            yield Storage(
                relay,
                backend,
                direct,
                {
                    **dict.fromkeys(("put", "if_absent", "cas"), inserted),
                    "swap": Cut(b"UPDATE", answer=b"UPDATE 1"),
                    "delete": Cut(b"DELETE", answer=b"DELETE 1"),
                },
                {**dict.fromkeys(("put", "if_absent", "cas"), insert), "swap": update},
            )


@contextlib.contextmanager
def over_s3(config):
    place = urlsplit(config.endpoint)
    with Relay.to(lambda: socket.create_connection((place.hostname, place.port))) as relay:
        line = replace(config, endpoint=f"http://127.0.0.1:{relay.port}")
        with (
            Checked(S3Backend(config, **KEYS)) as direct,
            Checked(S3Backend(line, **KEYS)) as backend,
        ):
            done = Cut(b"PUT /", answer=b" 200 OK")
            middle = Cut(b"PUT /", after_bytes=1 << 20)
            writes = ("put", "if_absent", "cas", "swap")
            yield Storage(
                relay,
                backend,
                direct,
                {**dict.fromkeys(writes, done), "delete": Cut(b"DELETE /", answer=b" 204 ")},
                dict.fromkeys(writes, middle),
            )


@pytest.fixture(params=["postgresql", "s3"])
def storage(request):
    if request.param == "postgresql":
        line = over_postgresql(
            request.getfixturevalue("postgres"), request.getfixturevalue("postgres_url")
        )
    else:
        line = over_s3(request.getfixturevalue("s3_config"))
    with line as storage:
        yield storage


def prepare(write, storage):
    """What the write finds: nothing, or an old object whose etag it knows."""
    if write in {"put", "swap", "delete"}:
        return storage.direct.put("a", b"old").etag
    return None


def do(write, backend, etag):
    if write == "delete":
        backend.delete("a")
    elif write in {"put", "if_absent"}:
        backend.put("a", DATA, if_absent=write == "if_absent")
    else:
        backend.cas("a", DATA, expected=etag)


def found(backend):
    try:
        return backend.get("a")
    except ObjectNotFound:
        return None


WRITES = ("put", "if_absent", "cas", "swap", "delete")


@pytest.mark.parametrize("write", WRITES)
def test_answer_is_lost(storage, write):
    """The server has done it and the line is cut: unavailable; a repetition knows its own work."""
    etag = prepare(write, storage)
    storage.relay.cut = storage.answer_lost[write]
    assert attempt(do, write, storage.backend, etag) is BackendUnavailable
    assert storage.relay.cuts == 1
    assert found(storage.direct) == (None if write == "delete" else DATA)

    storage.direct.delete("a")
    etag = prepare(write, storage)
    storage.relay.cut = storage.answer_lost[write]
    do(write, Retrying(storage.backend), etag)
    assert storage.relay.cuts == 2
    assert found(storage.direct) == (None if write == "delete" else DATA)


@pytest.mark.parametrize("write", WRITES[:-1])
def test_write_is_torn(storage, write):
    """The line is cut in the middle of the bytes: what was there stays, and nothing else shows."""
    etag = prepare(write, storage)
    before = found(storage.direct)
    storage.relay.cut = storage.torn[write]
    assert attempt(do, write, storage.backend, etag) is BackendUnavailable
    assert storage.relay.cuts == 1
    assert found(storage.direct) == before
    assert [info.key for info in storage.direct.list()] == (["a"] if before else [])

    storage.relay.cut = storage.torn[write]
    do(write, Retrying(storage.backend), etag)
    assert storage.relay.cuts == 2
    assert found(storage.direct) == DATA


@pytest.mark.parametrize(("write", "error"), [("if_absent", ObjectExists), ("cas", ObjectChanged)])
def test_neighbour_is_faster(storage, write, error):
    """Torn on the way, and another writer was there before the repetition: we have lost."""
    storage.relay.cut = storage.torn[write]
    overtaken = Retrying(storage.backend, sleep=lambda _: storage.direct.put("a", b"theirs"))
    assert attempt(do, write, overtaken, None) is error
    assert found(storage.direct) == b"theirs"


def test_s3_without_space(s3_config):
    """An S3 that answers 507 is full: not asked again, and what was there stays."""
    full = b"HTTP/1.1 507 Insufficient Storage\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with over_s3(s3_config) as storage:
        storage.direct.put("a", b"old")
        storage.relay.cut = Cut(b"PUT /", instead=full)
        assert attempt(do, "put", Retrying(storage.backend), None) is QuotaExceeded
        assert storage.relay.cuts == 1
        assert found(storage.direct) == b"old"
        do("put", storage.backend, None)
        assert found(storage.direct) == DATA
