"""The one plain object: which repository this is."""

import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Self

import msgspec

FORMAT = 2
ID_BYTES = 16
_ID = re.compile(r"[0-9a-f]{32}")


class ConfigInvalid(Exception):
    """The bytes are not the config of a repository that this version knows; says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Not secret and not sealed: everything sealed is sealed for its `repository_id` (32 hex)."""

    format: int
    repository_id: str
    create_time: datetime

    @classmethod
    def fresh(cls, now: datetime) -> Self:
        """A new repository's."""
        return cls(format=FORMAT, repository_id=secrets.token_hex(ID_BYTES), create_time=now)

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
        if not _ID.fullmatch(config.repository_id):
            raise ConfigInvalid("the config object is damaged")
        return config
