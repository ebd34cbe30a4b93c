"""The one plain object: which repository this is."""

import hashlib
import re
import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

import msgspec

FORMAT = 2
ID_BYTES = 16
CHECKSUM_DIGITS = 16
_ID = re.compile(r"[0-9a-f]{32}")


class ConfigInvalid(Exception):
    """The bytes are not the config of a repository that this version knows; says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Not secret and not sealed: everything sealed is sealed for its `repository_id` (32 hex)."""

    format: int
    repository_id: str
    create_time: datetime
    checksum: str = ""
    """Against damage; who changes it on purpose is found out by what is sealed."""

    @classmethod
    def fresh(cls, now: datetime) -> Self:
        """A new repository's."""
        draft = cls(format=FORMAT, repository_id=secrets.token_hex(ID_BYTES), create_time=now)
        return replace(draft, checksum=_checksum(draft))

    def encode(self) -> bytes:
        """As JSON."""
        return msgspec.json.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> "Config":
        """Undoes `encode`; raises ConfigInvalid."""
        try:
            config = msgspec.json.decode(data, type=Config)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ConfigInvalid("the config object is damaged") from error
        if config.format != FORMAT:
            raise ConfigInvalid(f"its format is {config.format}, this version knows {FORMAT}")
        if not _ID.fullmatch(config.repository_id) or config.encode() != data:
            raise ConfigInvalid("the config object is damaged")
        if config.checksum != _checksum(config):
            raise ConfigInvalid("the config object is damaged")
        return config


def _checksum(config: Config) -> str:
    return hashlib.sha256(replace(config, checksum="").encode()).hexdigest()[:CHECKSUM_DIGITS]
