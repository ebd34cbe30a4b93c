"""Objects as files below one folder.

URL: `file:///absolute/folder`. Files are 0600 and folders 0700. A write goes to a temporary beside
its target, is synced, moved into place by one atomic step, and the folder is synced: it survives a
power cut once the call has returned. Any number of processes on one machine may share the folder;
over a network file system `if_absent` needs hard links and `cas` needs working `flock`.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self
from urllib.parse import SplitResult, unquote

from .base import ObjectInfo, Properties, StorageBackend, is_segment
from .errors import (
    AccessDenied,
    BackendMisconfigured,
    BackendTimeout,
    BackendUnavailable,
    KeyInvalid,
    ObjectChanged,
    ObjectExists,
    ObjectNotFound,
    QuotaExceeded,
    StorageError,
    Translation,
    translating,
)
from .factory import Factory

LOCK_NAME = "~lock"  # `~` is in no key: neither the lock nor a temporary can be mistaken for one
TEMPORARY_PREFIX = "~"
STALE = timedelta(days=1)

_BY_ERRNO: Mapping[int, type[StorageError]] = {
    errno.ENOENT: ObjectNotFound,
    errno.ENOTDIR: KeyInvalid,
    errno.EISDIR: KeyInvalid,
    errno.ENOTEMPTY: KeyInvalid,
    errno.ENAMETOOLONG: KeyInvalid,
    errno.EEXIST: ObjectExists,
    errno.EACCES: AccessDenied,
    errno.EPERM: AccessDenied,
    errno.EROFS: AccessDenied,
    errno.ENOSPC: QuotaExceeded,
    errno.EDQUOT: QuotaExceeded,
    errno.EFBIG: QuotaExceeded,
    errno.EMLINK: BackendMisconfigured,
    errno.EXDEV: BackendMisconfigured,
    errno.EOPNOTSUPP: BackendMisconfigured,
    errno.ELOOP: BackendMisconfigured,
}


def _by_errno(exc: Exception) -> type[StorageError]:
    code = exc.errno if isinstance(exc, OSError) else None
    return _BY_ERRNO.get(code or 0, BackendUnavailable)


ERRORS: Mapping[type[Exception], Translation] = {OSError: _by_errno}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileConfig:
    """Where the files are and how long a lock may take."""

    root: Path
    lock_timeout: timedelta = timedelta(seconds=10)

    @classmethod
    def from_url(cls, url: SplitResult) -> Self:
        """Reads `file:///absolute/folder`; percent escapes are undone."""
        path = Path(unquote(url.path))
        if url.netloc not in {"", "localhost"} or url.query or url.fragment:
            raise BackendMisconfigured(backend="file", problem="the URL must be file:///<folder>")
        if not path.is_absolute() or path == Path("/"):
            raise BackendMisconfigured(backend="file", problem="the folder must be absolute")
        return cls(root=path)


class FileBackend(StorageBackend):
    """See the module."""

    def __init__(self, config: FileConfig) -> None:
        self._config = config
        self._root = config.root

    @property
    def name(self) -> str:
        """As in the contract."""
        return f"file:{self._root}"

    @property
    def properties(self) -> Properties:
        """As in the contract."""
        return Properties(connections=4)

    def open(self) -> None:
        """Creates the folder if its parent exists; forgets temporaries that a crash left behind."""
        with translating(ERRORS, backend=self.name):
            try:
                with contextlib.suppress(FileExistsError):
                    self._root.mkdir(mode=0o700)
                    _sync_folder(self._root.parent)
                self._sweep(self._root)
            except (FileNotFoundError, NotADirectoryError) as exc:
                raise BackendMisconfigured(
                    backend=self.name, problem="the folder's parent does not exist"
                ) from exc

    def close(self) -> None:
        """Nothing to give back."""

    def put(
        self, key: str, data: bytes, *, if_absent: bool = False, sha256: str | None = None
    ) -> ObjectInfo:
        """As in the contract; `sha256` was compared before the call and becomes the etag."""
        with translating(ERRORS, backend=self.name, key=key):
            return self._write(key, data, sha256 or _etag(data), if_absent=if_absent)

    def get(self, key: str, *, offset: int = 0, length: int | None = None) -> bytes:
        """As in the contract."""
        with self._reading(key), self._path(key).open("rb") as file:
            file.seek(offset)
            return file.read(-1 if length is None else length)

    def stat(self, key: str) -> ObjectInfo:
        """As in the contract; reads the file, because the etag is the SHA-256 of its bytes."""
        with self._reading(key), self._path(key).open("rb") as file:
            etag = hashlib.file_digest(file, "sha256").hexdigest()
            return _info(key, os.fstat(file.fileno()), etag)

    def delete(self, key: str) -> None:
        """As in the contract; folders that became empty go too."""
        path = self._path(key)
        with translating(ERRORS, backend=self.name, key=key):
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return
            except PermissionError:
                if path.is_dir():  # what macOS says of a folder
                    return
                raise
            _sync_folder(path.parent)
        for folder in path.parents:
            if folder == self._root:
                break
            try:
                folder.rmdir()
            except OSError:  # not empty: done
                break

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """As in the contract; objects written meanwhile may or may not be seen."""
        with translating(ERRORS, backend=self.name, key=prefix):
            yield from self._walk(self._path(prefix), f"{prefix}/" if prefix else "")

    def cas(self, key: str, data: bytes, *, expected: str | None) -> ObjectInfo:
        """As in the contract; one advisory lock for the whole folder."""
        with translating(ERRORS, backend=self.name, key=key), self._locked(key):
            try:
                present = self.stat(key).etag
            except ObjectNotFound:
                present = None
            if present != expected:
                raise ObjectChanged(backend=self.name, key=key)
            return self._write(key, data, _etag(data), if_absent=False)

    def _path(self, key: str) -> Path:
        return self._root / key

    @contextlib.contextmanager
    def _reading(self, key: str) -> Iterator[None]:
        with translating(ERRORS, backend=self.name, key=key):
            try:
                yield
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as exc:
                self._prove_root()
                raise ObjectNotFound(backend=self.name, key=key) from exc

    def _prove_root(self) -> None:
        # A disk that went away must not look like one without objects, nor be made up anew.
        if not self._root.is_dir():
            raise BackendMisconfigured(backend=self.name, problem="the folder is gone")

    def _make_folders(self, folder: Path) -> None:
        """Creates what is missing below the root, each new name durable in its parent."""
        if folder.is_dir():
            return
        self._prove_root()
        self._make_folders(folder.parent)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            _sync_folder(folder.parent)

    def _write(self, key: str, data: bytes, etag: str, *, if_absent: bool) -> ObjectInfo:
        target = self._path(key)
        temporary, info = self._write_temporary(key, data, etag)
        try:
            if if_absent:
                target.hardlink_to(temporary)
            else:
                temporary.replace(target)
        except FileNotFoundError as exc:
            # Another server's clock jumped ahead, and it swept what it took for an old temporary.
            raise BackendUnavailable(backend=self.name, key=key) from exc
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(target.parent)
        return info

    def _write_temporary(self, key: str, data: bytes, etag: str) -> tuple[Path, ObjectInfo]:
        temporary = self._path(key).parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
        handle = self._create(temporary)
        try:
            with open(handle, "wb", buffering=0) as file:  # noqa: PTH123  a descriptor
                rest = memoryview(data)
                while rest:
                    rest = rest[file.write(rest) :]
                os.fsync(file.fileno())
                return temporary, _info(key, os.fstat(file.fileno()), etag)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def _create(self, temporary: Path) -> int:
        while True:
            try:
                self._make_folders(temporary.parent)
                return os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileNotFoundError:  # a delete removed the empty folder meanwhile
                self._prove_root()

    @contextlib.contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        deadline = time.monotonic() + self._config.lock_timeout.total_seconds()
        handle = os.open(self._root / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as exc:
                    if time.monotonic() > deadline:
                        raise BackendTimeout(backend=self.name, key=key) from exc
                    time.sleep(0.005)
            yield
        finally:
            os.close(handle)  # gives the lock back

    def _walk(self, folder: Path, prefix: str) -> Iterator[ObjectInfo]:
        try:
            with os.scandir(folder) as found:
                entries = [
                    (f"{entry.name}/" if entry.is_dir() else entry.name, entry)
                    for entry in found
                    if is_segment(entry.name)
                ]
        except (FileNotFoundError, NotADirectoryError):
            self._prove_root()
            return
        for name, entry in sorted(entries, key=lambda pair: pair[0]):
            if name.endswith("/"):
                yield from self._walk(folder / entry.name, prefix + name)
            else:
                with contextlib.suppress(FileNotFoundError):
                    yield _info(prefix + name, entry.stat(), "")

    def _sweep(self, folder: Path) -> None:
        with os.scandir(folder) as found:
            entries = list(found)
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                self._sweep(Path(entry.path))
            elif entry.name.startswith(TEMPORARY_PREFIX) and entry.name != LOCK_NAME:
                with contextlib.suppress(FileNotFoundError):
                    if time.time() - entry.stat().st_mtime > STALE.total_seconds():
                        Path(entry.path).unlink()


def _etag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _info(key: str, stat: os.stat_result, etag: str) -> ObjectInfo:
    return ObjectInfo(
        key=key,
        size_bytes=stat.st_size,
        modify_time=datetime.fromtimestamp(stat.st_mtime, UTC),
        etag=etag,
    )


def _sync_folder(folder: Path) -> None:
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:  # deleted meanwhile, with everything that was in it
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class _FileFactory(Factory):
    schemes = ("file",)

    def create(self, url: SplitResult) -> FileBackend:
        return FileBackend(FileConfig.from_url(url))


FACTORY = _FileFactory()
