"""Where the server is and which key opens it."""

import ipaddress
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

DEFAULT_ADDRESS = "127.0.0.1:50051"
PLAIN, SECURE = "http://", "https://"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A server to talk to."""

    address: str  # host:port
    key: str = field(repr=False)  # empty: none was found
    secure: bool = False
    ca: bytes | None = field(default=None, repr=False)  # PEM; None: the machine's own

    @property
    def is_local(self) -> bool:
        """The server is on this machine."""
        return is_loopback(self.address)


def default_data_dir(env: Mapping[str, str] = os.environ) -> Path:
    """The server's data directory when nothing else is said."""
    return Path(env.get("ROOST_DATA_DIR") or "~/.local/share/roost").expanduser()


def is_loopback(address: str) -> bool:
    """True for `localhost:1`, `127.0.0.1:1` and `[::1]:1`."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def find(
    *,
    address: str = "",
    key: str = "",
    data_dir: str | Path = "",
    ca_file: str | Path = "",
    env: Mapping[str, str] = os.environ,
) -> Target:
    """Finds the server: what is given, else the environment, else the machine's own server.

    `ROOST_ADDRESS` is `host:port`, or `https://host:port` or `http://host:port` to say whether TLS
    is used; without that it is, except on loopback. `ROOST_API_KEY` holds the key, `ROOST_CA_FILE`
    the authority of a private certificate. Without an address, `server.json` in the data directory
    says where the running server listens. The data directory's `admin.key` is only ever shown to a
    server on this machine.
    """
    folder = Path(data_dir) if data_dir else default_data_dir(env)
    given = address or env.get("ROOST_ADDRESS", "")
    place = given or _running(folder)
    bare = place.removeprefix(SECURE).removeprefix(PLAIN).rstrip("/")
    secure = place.startswith(SECURE) or not (place.startswith(PLAIN) or is_loopback(bare))
    ca_path = ca_file or env.get("ROOST_CA_FILE", "")
    secret = key or env.get("ROOST_API_KEY", "")
    if not secret and is_loopback(bare):
        secret = _read(Path(env.get("ROOST_ADMIN_KEY_FILE") or folder / "admin.key"))
    return Target(
        address=bare,
        key=secret,
        secure=secure,
        ca=Path(ca_path).read_bytes() if ca_path else None,
    )


def _running(folder: Path) -> str:
    """The address in server.json, else the default."""
    text = _read(folder / "server.json")
    facts = json.loads(text) if text else {}
    place = str(facts.get("address", DEFAULT_ADDRESS))
    return f"{SECURE}{place}" if facts.get("tls") else place


def _read(path: Path) -> str:
    """A small file's text; empty when there is none that we may read."""
    try:
        return path.read_text().strip()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return ""
