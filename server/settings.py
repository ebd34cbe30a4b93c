"""The configuration tree: the only reader of the environment.

Every setting is a variable `ROOST_<NAME>`, nested with two underscores: `ROOST_TLS__CERT_FILE`.
A variable that starts so and is no setting fails the start: a misspelt one must not be silent.
"""

import difflib
import ipaddress
import json
import os
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "ROOST_"
NESTING = "__"
MASK = "***"
# Read by other programs of the project, not by the server: set-up script, client and command line.
FOREIGN = frozenset({"ROOST_PYTHON", "ROOST_ADDRESS", "ROOST_API_KEY", "ROOST_CA_FILE"})
_LISTEN = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]+):(\d{1,5})")
MIN_PASSPHRASE = 12
_HIGHEST_PORT = 65535
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
_LOCATION_ID = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_ROOT_KEY = re.compile(r"[0-9a-fA-F]{64}")


class ConfigurationError(Exception):
    """The configuration cannot be used. One problem a line; never holds a value."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def is_loopback(host: str) -> bool:
    """True for `localhost` and addresses that never leave the machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path.expanduser()))  # noqa: PTH100  (resolve() follows links)


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]


def _seconds(value: Any) -> Any:
    """A plain number is seconds also where it comes as text, as from the environment."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value)
    return value


Count = Annotated[int, Field(ge=0)]
Time = Annotated[timedelta, BeforeValidator(_seconds)]
PositiveTime = Annotated[Time, Field(gt=timedelta(0))]
NoNegativeTime = Annotated[Time, Field(ge=timedelta(0))]
LeaseTime = Annotated[Time, Field(ge=timedelta(seconds=3), le=timedelta(hours=1))]
TrashTime = Annotated[Time, Field(ge=timedelta(hours=1))]
Port = Annotated[str, Field(pattern=_LISTEN.pattern)]


class _Group(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True
    )


class Tls(_Group):
    """Transport security; with a client CA every client needs a certificate of it (mTLS)."""

    cert_file: AbsolutePath | None = None
    key_file: AbsolutePath | None = None
    client_ca_file: AbsolutePath | None = None

    @property
    def is_on(self) -> bool:
        """A certificate is configured."""
        return self.cert_file is not None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file go together")
        if self.client_ca_file is not None and self.cert_file is None:
            raise ValueError("client_ca_file needs cert_file and key_file")
        return self


class BackupSettings(_Group):
    """Where backups go."""

    locations: dict[str, SecretStr] = Field(default_factory=dict)
    """URL by id, as JSON; the first one is the primary. Empty: `backups` in the data directory."""
    key_file: AbsolutePath | None = None
    """Master keys, one a line. Default: `backup.key` in the data directory, made at first start if
    there is no other master key."""
    passphrase: SecretStr = SecretStr("")
    """Another master key."""
    passphrase_file: AbsolutePath | None = None
    """Or the file that has it."""
    external_key: tuple[str, ...] = ()
    """Another master key: a program and its arguments, as JSON. Holds no secret itself."""
    external_key_timeout: PositiveTime = timedelta(seconds=10)
    """For one answer of the program."""

    fencing: Literal["lenient", "strict", "off"] = "lenient"
    """What keeps two servers that share a storage from running one session: `strict` also stops
    all sessions while the primary location does not answer."""
    lease_ttl: LeaseTime = timedelta(seconds=60)
    """Without a sign of life for a little longer, other servers may take this one's sessions."""

    every: NoNegativeTime = timedelta(hours=6)
    """A running session's newest good backup is not older; 0: none by age."""
    on_change: bool = True
    """Changed credentials are backed up."""
    debounce: PositiveTime = timedelta(seconds=30)
    """Once nothing has changed for so long."""
    max_delay: PositiveTime = timedelta(minutes=5)
    """Or so long after the first change."""
    keep_within: NoNegativeTime = timedelta(days=1)
    """All backups that are younger stay."""
    keep_last: Count = 10
    """And the newest so many."""
    hourly: Count = 48
    """And the last of each hour, for so many hours that have one; likewise:"""
    daily: Count = 30
    weekly: Count = 12
    monthly: Count = 12
    trash_time: TrashTime = timedelta(days=7)
    """How long a backup that nothing keeps any more stays in trash."""

    @model_validator(mode="after")
    def _keeps_something(self) -> Self:
        rules = (self.keep_last, self.hourly, self.daily, self.weekly, self.monthly)
        if not self.keep_within and not any(rules):
            raise ValueError("keep_within, keep_last, hourly, daily, weekly, monthly: all are 0")
        return self

    @model_validator(mode="after")
    def _one_passphrase(self) -> Self:
        length = len(self.passphrase.get_secret_value())
        if length and self.passphrase_file is not None:
            raise ValueError("passphrase and passphrase_file: set one of them")
        if 0 < length < MIN_PASSPHRASE:
            raise ValueError(f"a passphrase needs at least {MIN_PASSPHRASE} characters")
        return self

    @field_validator("external_key")
    @classmethod
    def _program(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not part or "\0" in part for part in value):
            raise ValueError("a program and its arguments, none of them empty")
        return value

    @field_validator("locations")
    @classmethod
    def _ids(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for location_id, url in value.items():
            if not _LOCATION_ID.fullmatch(location_id):
                raise ValueError(f"a location id must match {_LOCATION_ID.pattern}")
            if not urlsplit(url.get_secret_value()).scheme:
                raise ValueError(f"location {location_id} needs a URL such as file:///path")
        return value


class EventSettings(_Group):
    """How long the event log is kept; whichever limit is reached first."""

    retention: PositiveTime = timedelta(days=7)
    max_bytes: int = Field(default=1 << 30, gt=0)
    check_interval: PositiveTime = timedelta(minutes=1)


class SimulatorSettings(_Group):
    """Talks to a simulator on loopback instead of WhatsApp: all three or none."""

    proxy_url: str = ""
    ca_file: AbsolutePath | None = None
    root_key: SecretStr = SecretStr("")

    @property
    def is_on(self) -> bool:
        """Every session talks to the simulator."""
        return bool(self.proxy_url)

    @model_validator(mode="after")
    def _all_or_none(self) -> Self:
        given = [bool(self.proxy_url), self.ca_file is not None, bool(self.root_key)]
        if not any(given):
            return self
        if not all(given):
            raise ValueError("proxy_url, ca_file and root_key: set all three or none")
        url = urlsplit(self.proxy_url)
        if url.scheme != "http" or not is_loopback(url.hostname or ""):
            raise ValueError("proxy_url must be http:// to a loopback address")
        if not _ROOT_KEY.fullmatch(self.root_key.get_secret_value()):
            raise ValueError("root_key must be 64 hex digits")
        return self


class LogSettings(_Group):
    """What is logged, to stderr."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    format: Literal["auto", "json", "console"] = "auto"
    """`auto`: console on a terminal, JSON otherwise."""


class EngineSettings(_Group):
    """Deadlines towards the engine hosts."""

    start_timeout: PositiveTime = timedelta(seconds=15)
    """From the start of a host to its first word."""
    login_timeout: PositiveTime = timedelta(seconds=60)
    """From the start of a paired session to its login."""
    send_timeout: PositiveTime = timedelta(seconds=30)
    """From a send to WhatsApp's acknowledgement."""
    request_timeout: PositiveTime = timedelta(seconds=20)
    """For everything else that is asked of a host."""


class Settings(BaseSettings):
    """Everything that can be configured. The defaults serve on loopback, with nothing set."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter=NESTING,
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        validate_default=True,
    )

    listen: Annotated[str, Field(pattern=f"^{_LISTEN.pattern}$")] = "127.0.0.1:50051"
    """`host:port`; port 0 takes a free one, written to `server.json` in the data directory."""
    data_dir: AbsolutePath = Path("~/.local/share/roost")
    database_url: SecretStr = SecretStr("")
    """State database; empty: SQLite in the data directory. Or `postgresql+psycopg://…`."""
    admin_key_file: AbsolutePath | None = None
    """Holds the admin key; made at first start. Default: `admin.key` in the data directory."""
    insecure: bool = False
    """Allows a non-loopback address without TLS: keys and messages then travel in clear."""
    drain_grace: PositiveTime = timedelta(seconds=30)
    """How long a stop may take before it turns hard."""
    tls: Tls = Tls()
    backup: BackupSettings = BackupSettings()
    events: EventSettings = EventSettings()
    simulator: SimulatorSettings = SimulatorSettings()
    log: LogSettings = LogSettings()
    engine: EngineSettings = EngineSettings()

    @property
    def state_url(self) -> str:
        """Where the state database is."""
        return self.database_url.get_secret_value() or f"sqlite:///{self.data_dir / 'roost.db'}"

    @property
    def admin_key_path(self) -> Path:
        """Where the admin key is."""
        return self.admin_key_file or self.data_dir / "admin.key"

    @property
    def backup_key_path(self) -> Path:
        """Where the master keys are that are kept in a file."""
        return self.backup.key_file or self.data_dir / "backup.key"

    @property
    def backup_urls(self) -> dict[str, str]:
        """The storage locations, the primary first."""
        given = {name: url.get_secret_value() for name, url in self.backup.locations.items()}
        return given or {"local": (self.data_dir / "backups").as_uri()}

    @field_validator("listen")
    @classmethod
    def _port(cls, value: str) -> str:
        if int(value.rpartition(":")[2]) > _HIGHEST_PORT:
            raise ValueError("the port must be 0 to 65535")
        return value

    @model_validator(mode="after")
    def _safe_by_default(self) -> Self:
        host = self.listen.rpartition(":")[0]
        if not (is_loopback(host) or self.tls.is_on or self.insecure):
            raise ValueError(
                "a listen address beyond loopback needs ROOST_TLS__CERT_FILE and "
                "ROOST_TLS__KEY_FILE, or ROOST_INSECURE=true to send keys and messages in clear"
            )
        return self


def load(**overrides: Any) -> Settings:
    """Reads the environment; `overrides` (from the command line) win.

    Raises:
        ConfigurationError: names every unknown variable and every bad value.
    """
    problems = list(_unknown(os.environ))
    if problems:
        raise ConfigurationError(problems)
    try:
        return Settings(**{key: value for key, value in overrides.items() if value is not None})
    except ValidationError as error:
        raise ConfigurationError(
            [f"{_variable(each['loc'])}: {_text(each['msg'])}" for each in error.errors()]
        ) from None
    except ValueError as error:  # a JSON value that does not parse
        found = re.search(r'field "(\w+)"', str(error))
        name = _variable((found[1], "…")) if found else "configuration"
        raise ConfigurationError([f"{name}: a value is not valid JSON"]) from None


def names() -> dict[str, tuple[str, ...]]:
    """Every variable and the attribute path it sets."""
    return {_variable(path): path for path in _paths(Settings, ())}


def masked(settings: Settings) -> list[str]:
    """The whole tree as `NAME=value` lines, secrets masked."""
    lines = []
    for name, path in names().items():
        value: Any = settings
        for part in path:
            value = getattr(value, part)
        lines.append(f"{name}={_shown(value)}")
    return lines


def _paths(model: type[BaseModel], above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _paths(kind, (*above, name))
        else:
            yield (*above, name)


def _variable(path: tuple[str | int, ...]) -> str:
    return PREFIX + NESTING.join(str(part) for part in path).upper() if path else "configuration"


def _unknown(environ: Mapping[str, str]) -> Iterator[str]:
    known = names()
    for variable in sorted(environ):
        if not variable.startswith(PREFIX) or variable in known or variable in FOREIGN:
            continue
        near = difflib.get_close_matches(variable, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        yield f"{variable}: no such setting{hint}"


def _text(message: str) -> str:
    return message.removeprefix("Value error, ")


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        secret = value.get_secret_value()
        return _mask_url(secret) if "://" in secret else (MASK if secret else "")
    if isinstance(value, tuple):
        return json.dumps(value)
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}"
    if isinstance(value, Mapping):
        return ",".join(f"{key}={_shown(each)}" for key, each in value.items())
    return _mask_url(value) if isinstance(value, str) and "://" in value else str(value)


def _mask_url(url: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    who = f"{MASK}@" if "@" in parts.netloc else ""
    return f"{parts.scheme}://{who}{host}{parts.path}" + (f"?{MASK}" if parts.query else "")
