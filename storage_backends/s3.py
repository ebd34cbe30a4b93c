"""Objects in a bucket of any S3 that has conditional writes.

URL: `s3://bucket/prefix?endpoint=https://host&region=eu-central-1&path_style=true`; only the bucket
is needed. Credentials come from where boto3 looks for them: environment, profile, instance. Needs
`If-None-Match` and `If-Match` on PutObject (AWS, SeaweedFS, MinIO, Ceph, R2; not rclone).

The bucket is part of the host's name with `path_style=false`, of the path with `true`; without
either, boto3 chooses: the host for AWS itself, the path for an endpoint. Every object is one
PutObject: the largest one allowed here is far below S3's own limit, and no parts can be left over.
"""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Self
from urllib.parse import SplitResult, parse_qsl

import boto3
import botocore.session
from botocore import exceptions, loaders
from botocore.config import Config

from .base import ObjectInfo, Properties, StorageBackend
from .errors import (
    AccessDenied,
    BackendClosed,
    BackendMisconfigured,
    BackendTimeout,
    BackendUnavailable,
    KeyInvalid,
    ObjectChanged,
    ObjectCorrupt,
    ObjectExists,
    ObjectNotFound,
    ObjectTooLarge,
    QuotaExceeded,
    StorageError,
    Translation,
    translating,
)

CONNECT_SECONDS = 10
_MODELS = loaders.create_loader()  # S3's description: large, and read once for all backends

_PATH_STYLES = {None: None, "true": True, "false": False}
_ADDRESSING = {None: "auto", True: "path", False: "virtual"}

# What S3 calls it, or the bare HTTP status where an answer has no body (HEAD).
_BY_CODE: Mapping[str, type[StorageError]] = {
    "NoSuchKey": ObjectNotFound,
    "404": ObjectNotFound,
    "PreconditionFailed": ObjectExists,
    "412": ObjectExists,
    "ConditionalRequestConflict": BackendUnavailable,  # two at once: ask again
    "409": BackendUnavailable,
    "OperationAborted": BackendUnavailable,
    "NoSuchBucket": BackendMisconfigured,
    "InvalidBucketName": BackendMisconfigured,
    "PermanentRedirect": BackendMisconfigured,
    "301": BackendMisconfigured,
    "AuthorizationHeaderMalformed": BackendMisconfigured,
    "NotImplemented": BackendMisconfigured,
    "400": BackendMisconfigured,
    "AccessDenied": AccessDenied,
    "InvalidAccessKeyId": AccessDenied,
    "SignatureDoesNotMatch": AccessDenied,
    "ExpiredToken": AccessDenied,
    "InvalidToken": AccessDenied,
    "RequestTimeTooSkewed": AccessDenied,
    "401": AccessDenied,
    "403": AccessDenied,
    "BadDigest": ObjectCorrupt,
    "InvalidDigest": ObjectCorrupt,
    "XAmzContentChecksumMismatch": ObjectCorrupt,
    "EntityTooLarge": ObjectTooLarge,
    "KeyTooLongError": KeyInvalid,
    "QuotaExceeded": QuotaExceeded,
    "RequestTimeout": BackendTimeout,
}


def _by_code(error: Exception) -> type[StorageError]:
    answer = getattr(error, "response", {})
    code = str(answer.get("Error", {}).get("Code", ""))
    status = str(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
    if status == "507":  # no space, whatever the code is
        return QuotaExceeded
    return _BY_CODE.get(code) or (
        _BY_CODE.get(status, BackendUnavailable) if code == status else BackendUnavailable
    )


ERRORS: Mapping[type[Exception], Translation] = {
    exceptions.ClientError: _by_code,
    exceptions.NoCredentialsError: AccessDenied,
    exceptions.PartialCredentialsError: AccessDenied,
    exceptions.CredentialRetrievalError: AccessDenied,
    exceptions.ReadTimeoutError: BackendTimeout,
    exceptions.ConnectTimeoutError: BackendTimeout,
    exceptions.HTTPClientError: BackendUnavailable,
    exceptions.FlexibleChecksumError: ObjectCorrupt,
    exceptions.ChecksumError: ObjectCorrupt,
    exceptions.IncompleteReadError: BackendUnavailable,
    exceptions.ResponseStreamingError: BackendUnavailable,
    exceptions.NoRegionError: BackendMisconfigured,
    exceptions.InvalidRegionError: BackendMisconfigured,
    exceptions.ProfileNotFound: BackendMisconfigured,
    exceptions.ParamValidationError: BackendMisconfigured,
    exceptions.BotoCoreError: BackendUnavailable,
    ValueError: BackendMisconfigured,  # how boto3 refuses an endpoint that is no URL
}


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Config:
    """Which bucket, and how to reach it. Holds no credentials."""

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None
    path_style: bool | None = None
    connections: int = 8
    timeout: timedelta = timedelta(seconds=30)

    @classmethod
    def from_url(cls, url: SplitResult) -> Self:
        """Reads the URL; refuses what it does not know, credentials among it."""
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        path_style = query.pop("path_style", None)
        config = cls(
            bucket=url.hostname or "",
            prefix=url.path.strip("/"),
            endpoint=query.pop("endpoint", None),
            region=query.pop("region", None),
            path_style=_PATH_STYLES.get(path_style),
        )
        problem = ""
        if url.username is not None:
            problem = "credentials do not belong into the URL; set them where boto3 finds them"
        elif not config.bucket:
            problem = "the URL must be s3://bucket/prefix"
        elif query or path_style not in _PATH_STYLES:
            problem = "known settings are endpoint, region and path_style=true|false"
        if problem:
            raise BackendMisconfigured(backend="s3", problem=problem)
        return config


class S3Backend(StorageBackend):
    """See the module."""

    def __init__(self, config: S3Config, **credentials: str) -> None:
        self._config = config
        self._credentials = credentials  # for tests; else boto3 finds them
        self._prefix = f"{config.prefix}/" if config.prefix else ""
        self._client: Any = None

    @property
    def name(self) -> str:
        """As in the contract."""
        return f"s3:{self._config.bucket}/{self._config.prefix}".rstrip("/")

    @property
    def properties(self) -> Properties:
        """As in the contract."""
        return Properties(connections=self._config.connections)

    def open(self) -> None:
        """Proves that the bucket is there; never creates one."""
        config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=self._config.timeout.total_seconds(),
            max_pool_connections=self._config.connections,
            retries={"total_max_attempts": 1, "mode": "standard"},
            s3={"addressing_style": _ADDRESSING[self._config.path_style]},
            request_checksum_calculation="when_required",  # put gives SHA-256 itself
        )
        with translating(ERRORS, backend=self.name):
            # A session of its own looks for credentials anew each time it is opened.
            session = botocore.session.get_session()
            session.register_component("data_loader", _MODELS)
            client = boto3.session.Session(botocore_session=session).client(
                "s3",
                endpoint_url=self._config.endpoint,
                region_name=self._config.region,
                config=config,
                **self._credentials,
            )
            try:
                client.head_bucket(Bucket=self._config.bucket)
            except exceptions.ClientError as error:
                client.close()
                if _by_code(error) is ObjectNotFound:
                    raise BackendMisconfigured(
                        backend=self.name, problem="the bucket does not exist"
                    ) from error
                raise
            except BaseException:
                client.close()
                raise
        self._client = client

    def close(self) -> None:
        """As in the contract."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def put(
        self, key: str, data: bytes, *, if_absent: bool = False, sha256: str | None = None
    ) -> ObjectInfo:
        """As in the contract; S3 compares the checksum of what arrived."""
        condition = {"IfNoneMatch": "*"} if if_absent else {}
        return self._write(key, data, sha256, condition)

    def get(self, key: str, *, offset: int = 0, length: int | None = None) -> bytes:
        """As in the contract; a full read is compared with its checksum."""
        if length == 0:
            self.stat(key)
            return b""
        part = {}
        if offset or length is not None:
            part["Range"] = f"bytes={offset}-{'' if length is None else offset + length - 1}"
        else:
            part["ChecksumMode"] = "ENABLED"
        with self._calling(key) as client:
            try:
                answer = client.get_object(**self._name(key), **part)
            except exceptions.ClientError as error:
                if error.response.get("Error", {}).get("Code") in {"InvalidRange", "416"}:
                    return b""  # beyond the end
                raise
            with answer["Body"] as body:
                return bytes(body.read())

    def stat(self, key: str) -> ObjectInfo:
        """As in the contract."""
        with self._calling(key) as client:
            answer = client.head_object(**self._name(key))
        return ObjectInfo(
            key=key,
            size_bytes=answer["ContentLength"],
            modify_time=answer["LastModified"],
            etag=answer["ETag"],
        )

    def delete(self, key: str) -> None:
        """As in the contract."""
        with self._calling(key) as client:
            client.delete_object(**self._name(key))

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """As in the contract; read completely first, because not every S3 sorts by bytes."""
        return iter(sorted(self._list(prefix), key=lambda info: info.key))

    def _list(self, prefix: str) -> Iterator[ObjectInfo]:
        folder = f"{self._prefix}{prefix}/" if prefix else self._prefix
        more: dict[str, str] = {}
        while True:
            with self._calling(prefix) as client:
                page = client.list_objects_v2(Bucket=self._config.bucket, Prefix=folder, **more)
            for found in page.get("Contents", ()):
                yield ObjectInfo(
                    key=found["Key"].removeprefix(self._prefix),
                    size_bytes=found["Size"],
                    modify_time=found["LastModified"],
                )
            if not page["IsTruncated"]:
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def cas(self, key: str, data: bytes, *, expected: str | None) -> ObjectInfo:
        """As in the contract."""
        condition = {"IfNoneMatch": "*"} if expected is None else {"IfMatch": expected}
        try:
            return self._write(key, data, None, condition)
        except (ObjectExists, ObjectNotFound) as error:  # gone: 412 or 404, by server
            raise ObjectChanged(backend=self.name, key=key) from error

    def _write(
        self, key: str, data: bytes, sha256: str | None, condition: Mapping[str, str]
    ) -> ObjectInfo:
        digest = bytes.fromhex(sha256) if sha256 else hashlib.sha256(data).digest()
        with self._calling(key) as client:
            answer = client.put_object(
                **self._name(key),
                Body=data,
                ChecksumSHA256=base64.b64encode(digest).decode(),
                **condition,
            )
        date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        return ObjectInfo(
            key=key,
            size_bytes=len(data),
            modify_time=parsedate_to_datetime(date) if date else datetime.now(UTC),
            etag=answer["ETag"],
        )

    def _name(self, key: str) -> dict[str, str]:
        return {"Bucket": self._config.bucket, "Key": self._prefix + key}

    @contextmanager
    def _calling(self, key: str) -> Iterator[Any]:
        if self._client is None:
            raise BackendClosed(backend=self.name, key=key)
        with translating(ERRORS, backend=self.name, key=key):
            yield self._client


def create(url: SplitResult) -> S3Backend:
    """Makes an unopened backend from its URL; raises BackendMisconfigured."""
    return S3Backend(S3Config.from_url(url))
