"""What `roost doctor` checks where the server is installed: its configuration and its backends."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from server import settings
from server.settings import ConfigurationError, Settings
from storage_backends.errors import StorageError
from storage_backends.registry import Registry

from .checks import Check, data_dir, disk, key_file, port


def configured(folder: str) -> Iterator[Check]:
    """The configuration and everything it names, as `roost serve` would find it here."""
    try:
        found = settings.load(data_dir=folder or None)
    except ConfigurationError as error:
        for problem in error.problems:
            yield Check("configuration", "problem", problem, "docs/configuration.md")
        return
    yield Check("configuration", "ok", "valid")
    home = found.data_dir
    yield data_dir(home)
    yield key_file("admin key", found.admin_key_file or home / "admin.key")
    yield from master_keys(found, home)
    yield disk(home)
    yield port(found.listen, home)
    yield from locations(found, home)


def master_keys(found: Settings, home: Path) -> Iterator[Check]:
    """What backups can be opened with: one is enough, two are safe."""
    backup, count = found.backup, 0
    path = backup.key_file or home / "backup.key"
    others = backup.passphrase.get_secret_value() or backup.passphrase_file or backup.external_key
    if backup.key_file or path.exists() or not others:
        count += 1
        yield key_file("backup key", path)
    if backup.passphrase_file is not None:
        name = "backup passphrase"
        if backup.passphrase_file.exists():
            yield key_file(name, backup.passphrase_file)
        else:
            yield Check(name, "problem", f"{backup.passphrase_file} does not exist", "make it")
    if backup.external_key:
        program = backup.external_key[0]
        there = shutil.which(program)
        todo = "" if there else "see docs/vault-keys.md"
        problem = there or f"{program} is no program"
        yield Check("external key", "ok" if there else "problem", problem, todo)
    count += bool(backup.passphrase.get_secret_value() or backup.passphrase_file)
    count += bool(backup.external_key)
    if count > 1:
        yield Check("master keys", "ok", f"{count}; any one of them opens all backups")
    else:
        todo = "keep a copy of it elsewhere, or set a second one (docs/vault-keys.md)"
        yield Check("master keys", "ok", "one", todo)


def locations(found: Settings, home: Path) -> Iterator[Check]:
    """Every place for backups is there and lets us in."""
    urls = {name: url.get_secret_value() for name, url in found.backup.locations.items()}
    registry = Registry.with_plugins()
    for name, url in (urls or {"local": (home.absolute() / "backups").as_uri()}).items():
        yield location(registry, f"backups in {name}", url)


def location(registry: Registry, name: str, url: str) -> Check:
    """One place; a folder that is not there yet is left for the server to make."""
    parts = urlsplit(url)
    folder = Path(unquote(parts.path))
    if parts.scheme == "file" and not folder.exists():
        return Check(name, "ok", f"{folder} (made at the first start)")
    try:
        with registry.create(url) as backend:
            next(backend.list(), None)
            return Check(name, "ok", backend.name)
    except StorageError as error:
        return Check(name, "problem", str(error), "see ROOST_BACKUP__LOCATIONS")
