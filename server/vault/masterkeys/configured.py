"""The master keys of a configuration."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from .base import MasterKey, MasterKeyUnusable
from .external import ExternalKey
from .file import OTHERS, FileKey
from .passphrase import PassphraseKey

MIN_PASSPHRASE = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterKeysConfig:
    """Where the master keys are. All that are given are recipients."""

    key_file: Path
    key_file_given: bool = False
    """False: the file is made only if there is no other master key, but used if it is there."""
    passphrase: str = field(default="", repr=False)
    passphrase_file: Path | None = None
    external_command: tuple[str, ...] = ()
    external_timeout: timedelta = timedelta(seconds=10)


def load(config: MasterKeysConfig) -> list[MasterKey]:
    """All configured master keys; the cheapest to ask comes first.

    Raises:
        MasterKeyUnusable: one of them cannot be read.
    """
    others: list[MasterKey] = []
    passphrase = config.passphrase
    if config.passphrase_file is not None:
        passphrase = _read_passphrase(config.passphrase_file)
    if passphrase:
        if len(passphrase) < MIN_PASSPHRASE:
            raise MasterKeyUnusable(f"the passphrase is shorter than {MIN_PASSPHRASE} characters")
        others.append(PassphraseKey(passphrase))
    if config.external_command:
        others.append(ExternalKey(config.external_command, config.external_timeout))
    if others and not config.key_file_given and not config.key_file.exists():
        return others
    return [*FileKey.load_or_create(config.key_file), *others]


def _read_passphrase(path: Path) -> str:
    try:
        if path.stat().st_mode & OTHERS:
            raise MasterKeyUnusable(f"{path} can be read by others; chmod 600 it")
        passphrase = path.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise MasterKeyUnusable(f"{path} cannot be read: {type(error).__name__}") from error
    if not passphrase:
        raise MasterKeyUnusable(f"{path} is empty")
    return passphrase
