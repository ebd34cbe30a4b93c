"""The four real storages, each as a function that makes backends on the same empty place."""

from itertools import count
from urllib.parse import urlsplit

import pytest

from storage_backends.file import FileBackend, FileConfig
from storage_backends.memory import MemoryBackend, MemorySpace
from storage_backends.postgres import PostgresBackend, PostgresConfig
from storage_backends.s3 import S3Backend, S3Config
from tests.support.s3 import BUCKET, KEYS

SCHEMAS = count(1)


@pytest.fixture(scope="module")
def shared_url(postgres):
    """One database for all runs of the suite; each test has a schema of its own in it."""
    return postgres.create_database()


@pytest.fixture
def new_memory():
    space = MemorySpace()
    return lambda: MemoryBackend(space)


@pytest.fixture
def new_file(tmp_path):
    return lambda: FileBackend(FileConfig(root=tmp_path / "objects"))


@pytest.fixture
def new_postgresql(shared_url):
    schema = f"test_{next(SCHEMAS)}"
    config = PostgresConfig.from_url(urlsplit(f"{shared_url}&schema={schema}"))
    return lambda: PostgresBackend(config)


@pytest.fixture
def s3_config(s3):
    return S3Config(
        bucket=BUCKET,
        prefix=s3.fresh_prefix(),
        endpoint=s3.endpoint,
        region="us-east-1",
        path_style=True,
    )


@pytest.fixture
def new_s3(s3_config):
    return lambda: S3Backend(s3_config, **KEYS)


@pytest.fixture(params=["memory", "file", "postgresql", "s3"])
def new_real(request):
    """Each of the four in turn, without any layer."""
    return request.getfixturevalue(f"new_{request.param}")
