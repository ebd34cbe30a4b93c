"""What `roost doctor` checks on a machine. Each check looks and changes nothing."""

import json
import os
import shutil
import socket
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

Status = Literal["ok", "warning", "problem"]
OLDEST_PYTHON = (3, 11)
CLIENT_LIBRARIES = ("grpcio", "protobuf", "click", "rich", "segno")
SERVER_LIBRARIES = ("neonize", "sqlalchemy", "cryptography", "pydantic-settings", "structlog")
LOW_DISK, NO_DISK = 1 << 30, 100 << 20
OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class Check:
    """One finding."""

    name: str
    status: Status
    detail: str
    action: str = ""


def python() -> Check:
    """New enough."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info < OLDEST_PYTHON:
        return Check("python", "problem", version, "install Python 3.11 or newer")
    return Check("python", "ok", version)


def libraries() -> Iterator[Check]:
    """Installed, the server's too."""
    for group, names in (("client", CLIENT_LIBRARIES), ("server", SERVER_LIBRARIES)):
        found, missing = [], []
        for name in names:
            try:
                found.append(f"{name} {metadata.version(name)}")
            except metadata.PackageNotFoundError:
                missing.append(name)
        label = f"{group} libraries"
        if missing:
            status: Status = "warning" if group == "server" else "problem"
            todo = "pip install 'roost[server]'" if group == "server" else "pip install roost"
            yield Check(label, status, f"missing: {', '.join(missing)}", todo)
        else:
            yield Check(label, "ok", ", ".join(found))


def data_dir(folder: Path) -> Check:
    """Ours, and closed to others."""
    if not folder.exists():
        return Check("data directory", "ok", f"{folder} (made at the first start)")
    facts = folder.stat()
    if not folder.is_dir() or facts.st_uid != os.geteuid():
        return Check("data directory", "problem", f"{folder} is not ours", f"chown it to {_user()}")
    if facts.st_mode & OTHERS:
        return Check("data directory", "problem", f"{folder} is open to others", "chmod 700 it")
    return Check("data directory", "ok", str(folder))


def key_file(name: str, path: Path) -> Check:
    """Readable by us alone."""
    if not path.exists():
        return Check(name, "ok", f"{path} (made at the first start)")
    if path.stat().st_mode & OTHERS:
        return Check(name, "problem", f"{path} is open to others", "chmod 600 it")
    if not path.read_bytes().strip():
        return Check(name, "problem", f"{path} is empty", "put your copy back")
    return Check(name, "ok", str(path))


def disk(folder: Path) -> Check:
    """Room for events, stores and backups."""
    place = next(each for each in (folder, *folder.parents) if each.exists())
    free = shutil.disk_usage(place).free
    text = f"{free / (1 << 30):.1f} GiB free at {place}"
    if free < NO_DISK:
        return Check("disk", "problem", text, "make room")
    return Check("disk", "warning" if free < LOW_DISK else "ok", text)


def port(listen: str, folder: Path) -> Check:
    """Free, or taken by our own server."""
    if running_pid(folder):
        return Check("port", "ok", f"{listen} (a server runs on this data directory)")
    host, _, number = listen.rpartition(":")
    if number == "0":
        return Check("port", "ok", f"{host}: a free one is taken")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), int(number)))
        except OSError as error:
            text = f"{listen}: {error.strerror}"
            return Check("port", "problem", text, "choose another with ROOST_LISTEN")
    return Check("port", "ok", f"{listen} is free")


def running_pid(folder: Path) -> int:
    """The server that runs on `folder`; 0: none."""
    try:
        pid = int(json.loads((folder / "server.json").read_text())["pid"])
        os.kill(pid, 0)
    except (OSError, ValueError, KeyError):
        return 0
    return pid


def _user() -> str:
    return f"uid {os.geteuid()}"
