"""What the layers and promises of storage cost: `./roost bench storage`.

Each write and read of a file, PostgreSQL and S3 beside a bare one of the same bytes on the same
storage, by turns, so that the ratio holds on any machine. Ends by itself within a minute.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from storage_backends.base import StorageBackend
from storage_backends.file import FileBackend, FileConfig
from storage_backends.layers import Checked
from storage_backends.postgres import PostgresBackend, PostgresConfig
from storage_backends.registry import stack
from storage_backends.s3 import S3Backend, S3Config
from tests.support import postgres, s3

SIZES = ((8 << 20, 9), (256 << 10, 40))
TARGET = 2.0


@dataclass
class Bare:
    """The same place without us."""

    put: Callable[[str, bytes], object]
    get: Callable[[str], bytes]


@contextmanager
def files() -> Iterator[tuple[StorageBackend, Bare]]:
    """Temporary, fsync, rename, fsync of the folder: the least that is durable."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)

        def put(key: str, data: bytes) -> None:
            path = root / key
            with (root / "new").open("wb") as file:
                file.write(data)
                os.fsync(file.fileno())
            (root / "new").rename(path)
            folder = os.open(root, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)

        with stack(Checked(FileBackend(FileConfig(root=root / "objects")))) as storage:
            yield storage, Bare(put, lambda key: (root / key).read_bytes())


@contextmanager
def postgresql() -> Iterator[tuple[StorageBackend, Bare]]:
    """One INSERT, one SELECT."""
    with postgres.running_server() as server:
        url = server.create_database()
        config = PostgresConfig.from_url(urlsplit(url))
        with (
            stack(Checked(PostgresBackend(config))) as storage,
            psycopg.connect(url, autocommit=True) as connection,
        ):
            connection.execute("CREATE TABLE bare (key text PRIMARY KEY, data bytea)")
            connection.execute("ALTER TABLE bare ALTER data SET STORAGE EXTERNAL")

            def put(key: str, data: bytes) -> None:
                connection.execute("INSERT INTO bare VALUES (%s, %s)", (key, data))

            def get(key: str) -> bytes:
                query = "SELECT data FROM bare WHERE key = %s"
                row = connection.execute(query, (key,), binary=True).fetchone()
                return bytes(row[0])

            yield storage, Bare(put, get)


@contextmanager
def objects() -> Iterator[tuple[StorageBackend, Bare]]:
    """One PutObject, one GetObject."""
    with s3.running_server() as server:
        config = S3Config(
            bucket=s3.BUCKET, prefix="ours", endpoint=server.endpoint, region="us-east-1"
        )
        client = server.client()
        with stack(Checked(S3Backend(config, **s3.KEYS))) as storage:
            yield (
                storage,
                Bare(
                    lambda key, data: client.put_object(Bucket=s3.BUCKET, Key=key, Body=data),
                    lambda key: client.get_object(Bucket=s3.BUCKET, Key=key)["Body"].read(),
                ),
            )


def compare(turns: int, ours: Callable[[str], object], bare: Callable[[str], object]) -> str:
    """Medians of both and their ratio; one more turn first to warm up."""
    keys = (f"object-{number}" for number in count())
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(turns + 1):
        key = next(keys)
        for call, into in zip((ours, bare), times, strict=True):
            started = time.perf_counter()
            call(key)
            into.append((time.perf_counter() - started) * 1000)
    one, other = (statistics.median(each[1:]) for each in times)
    verdict = "" if one <= TARGET * other else f"  above {TARGET}"
    return f"{one:9.2f} ms {other:9.2f} ms {one / other:7.2f}{verdict}"


def main() -> None:
    """Prints one line for each storage, size and verb."""
    print(f"{'storage':<12}{'KiB':>6} {'verb':<5}{'ours':>12} {'bare':>12} {'ratio':>7}")
    for name, place in (("file", files), ("postgresql", postgresql), ("s3", objects)):
        for size, turns in SIZES:
            data = os.urandom(size)
            with place() as (storage, bare):
                put = compare(
                    turns,
                    lambda key, data=data, storage=storage: storage.put(key, data, if_absent=True),
                    lambda key, data=data, bare=bare: bare.put(key, data),
                )
                get = compare(turns, storage.get, bare.get)
            for verb, figures in (("put", put), ("get", get)):
                print(f"{name:<12}{size >> 10:>6} {verb:<5}{figures}", flush=True)


if __name__ == "__main__":
    main()
