"""The S3 backend on a real server."""

import socket
import time
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from botocore import exceptions

from storage_backends.errors import (
    AccessDenied,
    BackendMisconfigured,
    BackendTimeout,
    BackendUnavailable,
    KeyInvalid,
    ObjectCorrupt,
    ObjectNotFound,
    QuotaExceeded,
)
from storage_backends.s3 import _BY_CODE, ERRORS, S3Backend, S3Config, _by_code
from storage_backends.testing import BackendSuite, attempt
from tests.support.s3 import BUCKET, KEYS, SECRET_KEY


@pytest.fixture
def config(s3_config):
    return s3_config


class TestS3(BackendSuite):
    secrets = (SECRET_KEY,)

    @pytest.fixture
    def new_backend(self, new_s3):
        return new_s3


def test_whole_bucket(s3, config):
    """Without a prefix the bucket is the storage."""
    with S3Backend(replace(config, bucket=s3.create_bucket(), prefix=""), **KEYS) as backend:
        backend.put("a/b", b"x")
        backend.put("c", b"y")
        assert [info.key for info in backend.list()] == ["a/b", "c"]
        assert [info.key for info in backend.list("a")] == ["a/b"]
        assert backend.get("a/b") == b"x"


def test_neighbours(s3, config):
    """Objects of others beside the prefix are neither seen nor touched."""
    beside = [config.prefix, f"{config.prefix}0/a", f"{config.prefix}-b/a"]
    with closing(s3.client()) as client, S3Backend(config, **KEYS) as backend:
        for key in beside[1:]:
            client.put_object(Bucket=BUCKET, Key=key, Body=b"theirs")
        backend.put("a", b"x")
        assert [info.key for info in backend.list()] == ["a"]
        assert attempt(backend.get, "b/a") is ObjectNotFound


def parse(url):
    return S3Config.from_url(urlsplit(url))


def test_url():
    """Bucket, prefix and the known settings."""
    assert parse("s3://bucket") == S3Config(bucket="bucket")
    assert parse("s3://bucket?path_style=false").path_style is False
    assert parse("s3://bucket/a/b/?endpoint=http://h:1&region=eu&path_style=true") == S3Config(
        bucket="bucket", prefix="a/b", endpoint="http://h:1", region="eu", path_style=True
    )


@pytest.mark.parametrize(
    "url",
    ["s3://", "s3:///x", "s3://b?x=y", "s3://b?path_style=yes", "s3://key:geheim@bucket"],
)
def test_wrong_urls(url):
    """Anything else is refused, credentials among it, and these are not repeated."""
    with pytest.raises(BackendMisconfigured) as caught:
        parse(url)
    assert "geheim" not in str(caught.value)


def test_missing_bucket(config):
    """A bucket that does not exist is a wrong configuration; none is made."""
    missing = S3Backend(replace(config, bucket="no-such-bucket"), **KEYS)
    for _ in range(2):
        with pytest.raises(BackendMisconfigured, match="bucket does not exist"):
            missing.open()


@pytest.mark.parametrize(
    "wrong", [{"aws_secret_access_key": "geheim"}, {"aws_access_key_id": "geheim"}]
)
def test_wrong_credentials(config, wrong):
    """Wrong credentials are refused and not repeated."""
    with pytest.raises(AccessDenied) as caught:
        S3Backend(config, **{**KEYS, **wrong}).open()
    assert "geheim" not in f"{caught.value}{caught.value!r}"


def test_bucket_removed(s3, config):
    """A bucket that went away is not an empty storage."""
    config = replace(config, bucket=s3.create_bucket())
    with S3Backend(config, **KEYS) as backend, closing(s3.client()) as client:
        client.delete_bucket(Bucket=config.bucket)
        assert attempt(backend.get, "a") is BackendMisconfigured
        with pytest.raises(BackendMisconfigured):
            list(backend.list())


def test_damage_on_the_way(config):
    """The server itself compares the checksum: nothing wrong becomes visible."""
    with S3Backend(config, **KEYS) as backend:
        assert attempt(backend.put, "a", b"x", sha256="0" * 64) is ObjectCorrupt
        assert list(backend.list()) == []


def test_nobody_there(config):
    """A server that is not there is unavailable."""
    with pytest.raises(BackendUnavailable):
        S3Backend(replace(config, endpoint="http://127.0.0.1:1"), **KEYS).open()


def test_time_limit(config):
    """A server that takes the call and never answers is a timeout."""
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        stuck = replace(config, endpoint=endpoint, timeout=timedelta(seconds=0.5))
        started = time.monotonic()
        with pytest.raises(BackendTimeout):
            S3Backend(stuck, **KEYS).open()
        assert time.monotonic() - started < 10


def test_endpoint_that_is_no_url(config):
    """A misspelt endpoint is a wrong configuration."""
    with pytest.raises(BackendMisconfigured):
        S3Backend(replace(config, endpoint="localhost"), **KEYS).open()


def answer(code, status):
    return SimpleNamespace(
        response={"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    )


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("NoSuchKey", 404, ObjectNotFound),
        ("404", 404, ObjectNotFound),
        ("NoSuchBucket", 404, BackendMisconfigured),
        ("NoSuchUpload", 404, BackendUnavailable),
        ("SlowDown", 503, BackendUnavailable),
        ("InternalError", 500, BackendUnavailable),
        ("Anything", 507, QuotaExceeded),
        ("KeyTooLongError", 400, KeyInvalid),
        ("403", 403, AccessDenied),
        ("", 200, BackendUnavailable),
    ],
)
def test_codes(code, status, error):
    """S3's code says what happened; the status only where there is no code."""
    assert _by_code(answer(code, status)) is error
    assert all(isinstance(meaning, type) for meaning in _BY_CODE.values())


def test_every_exception_is_in_the_table():
    """Whatever botocore raises becomes a StorageError, but for two bugs of its own making."""
    public = {
        value
        for value in vars(exceptions).values()
        if isinstance(value, type)
        and issubclass(value, Exception)
        and not issubclass(value, Warning)
        and value.__module__ == exceptions.__name__
    }
    unknown = {error for error in public if not any(base in ERRORS for base in error.__mro__)}
    assert len(public) > 50
    assert unknown == {exceptions.UndefinedModelAttributeError, exceptions.MissingServiceIdError}
