"""Settings of `nightcrew up`: flags over NIGHTCREW_* variables over nightcrew.toml over defaults."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from nightcrew.domain.addresses import Allowed
from nightcrew.domain.secrets import key_of
from nightcrew.domain.spec.base import invalid
from nightcrew.domain.spec.outbound import OutboundHook
from nightcrew.domain.spec.pool import PoolSpec
from nightcrew.domain.spec.retention import RetentionSpec

FILE: Final = "nightcrew.toml"
OFF: Final = "off"
_HOST: Final = re.compile(r"[a-z0-9._-]+|[0-9a-f:]*:[0-9a-f:.]*:[0-9a-f:.]*")
SLUG: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_BASE: Final = re.compile(r"https?://[^?#\s\"<>]+")
_ORIGIN: Final = re.compile(r"https?://[^/?#\s]+")


class LogFormat(StrEnum):
    """How the runtime's own log looks."""

    CONSOLE = "console"
    JSON = "json"


class Settings(BaseSettings):
    """Everything that `nightcrew up` can be told.

    Attributes:
        data: The folder of the SQLite file; made 0700.
        grpc: HOST:PORT of the gRPC service; port 0 picks a free one.
        http: HOST:PORT of the HTTP service; port 0 picks a free one, `off` serves none.
        drain: Seconds that running work gets at SIGTERM.
        workers: POOL workers for Python programs, and as many for flows; 0 is one a core.
        worker_memory: Bytes of memory a worker may hold before it is ended.
        secret_key: What secrets are sealed with, 32 bytes in base64; empty is a key file in the data folder.
        allow: Kinds of programs that may run besides functions and flows: `command`, `http`.
        commands: Commands that run at once; 0 is eight a core.
        command_memory: Bytes that a command may hold, with all that it started; 0 is no bound, here and below.
        command_processes: Processes that a command may have.
        command_cpu: Seconds of CPU time that each of its processes may use.
        command_file_size: Bytes that a file it writes may have.
        outbound: Where the runtime's own events are sent to.
        pools: What agents share by name: so many executions at once, so many starts a minute.
        retention: How long executions, logs and events are kept.
        public_url: Where callers reach the HTTP service from outside, such as https://crew.example.org: what
            addresses that are given away begin with. Empty is the address that it serves on.
        hosts: Names besides loopback's that HTTP callers may call the server by, without a port.
        origins: Web pages that may call it, such as https://crew.example.org; its own may anyway.
        allow_private: Whether HTTP programs, outbound hooks and brokers may be at private addresses, this machine's
            included: true, or those names, addresses and networks that may.
    """

    model_config = SettingsConfigDict(env_prefix="NIGHTCREW_", toml_file=FILE, extra="forbid", frozen=True)

    data: Path = Path(".nightcrew")
    grpc: str = "127.0.0.1:7447"
    http: str = "127.0.0.1:7448"
    log_format: LogFormat = LogFormat.CONSOLE
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    drain: float = Field(default=10.0, ge=0, le=86400)
    workers: int = Field(default=0, ge=0, le=256)
    worker_memory: int = Field(default=2 * 1024**3, ge=64 * 1024**2)
    secret_key: SecretStr = SecretStr("")
    allow: Annotated[tuple[Literal["command", "http"], ...], NoDecode] = ()
    commands: int = Field(default=0, ge=0, le=4096)
    command_memory: int = Field(default=2 * 1024**3, ge=0)
    command_processes: int = Field(default=256, ge=0)
    command_cpu: int = Field(default=0, ge=0)
    command_file_size: int = Field(default=4 * 1024**3, ge=0)
    outbound: tuple[OutboundHook, ...] = ()
    pools: dict[str, PoolSpec] = Field(default_factory=dict)
    retention: RetentionSpec = RetentionSpec()
    public_url: str = ""
    hosts: Annotated[tuple[str, ...], NoDecode] = ()
    origins: Annotated[tuple[str, ...], NoDecode] = ()
    allow_private: Annotated[bool | tuple[str, ...], NoDecode] = False

    @field_validator("http")
    @classmethod
    def _host_and_port_or_off(cls, value: str) -> str:
        return value if value == OFF else cls._host_and_port(value)

    @field_validator("grpc")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        host, separator, port = value.rpartition(":")
        if not separator or not host or not port.isdecimal() or int(port) > 65535:  # noqa: PLR2004 - TCP's highest port
            raise ValueError(f"must be HOST:PORT such as 127.0.0.1:7447, not {value!r}")
        if not is_loopback(host):
            raise ValueError(
                f"{host!r} is not a loopback address; Nightcrew has no login yet, so it listens on loopback only"
            )
        return value

    @field_validator("secret_key")
    @classmethod
    def _a_key(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value():
            key_of(value.get_secret_value())
        return value

    @field_validator("outbound")
    @classmethod
    def _names_of_their_own(cls, hooks: tuple[OutboundHook, ...]) -> tuple[OutboundHook, ...]:
        names = [hook.name for hook in hooks]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"has the name {twice[0]!r} twice; each hook has one of its own")
        return hooks

    @field_validator("pools")
    @classmethod
    def _slugs(cls, pools: dict[str, PoolSpec]) -> dict[str, PoolSpec]:
        for name in pools:
            if not SLUG.fullmatch(name):
                raise ValueError(f"{name[:80]!r} is no name of a pool; it must match {SLUG.pattern}")
        return pools

    @field_validator("public_url")
    @classmethod
    def _a_base(cls, value: str) -> str:
        base = value.rstrip("/")
        if base and not _BASE.fullmatch(base):
            raise ValueError(f"must be a URL such as https://crew.example.org, not {value[:100]!r}")
        return base

    @field_validator("allow", mode="before")
    @classmethod
    def _kinds(cls, value: Any) -> Any:
        return _listed(value) if isinstance(value, str) else value

    @field_validator("hosts", mode="before")
    @classmethod
    def _host_names(cls, value: Any) -> Any:
        return _lowered(value, _HOST, "is no host name; write it without a scheme and a port")

    @field_validator("origins", mode="before")
    @classmethod
    def _page_origins(cls, value: Any) -> Any:
        return _lowered(value, _ORIGIN, "is no origin; https://crew.example.org is one, without a path")

    @field_validator("allow_private", mode="before")
    @classmethod
    def _names_and_networks(cls, value: Any) -> Any:
        if isinstance(value, str):
            if value.lower() in {"true", "false", "1", "0"}:
                return value.lower() in {"true", "1"}
            value = _listed(value)
        if isinstance(value, list | tuple):
            Allowed.of(map(str, value))
        return value

    @property
    def allowed(self) -> Allowed:
        """What may be reached besides public addresses."""
        if isinstance(self.allow_private, bool):
            return Allowed(private=self.allow_private)
        return Allowed.of(self.allow_private)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags first, then the environment, then the file."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def default_settings() -> Settings:
    """The settings of a runtime that is told nothing, whatever this machine's environment and files say."""
    return Settings.model_construct()


def load_settings(**flags: Any) -> Settings:
    """The settings with the flags that were given (None: not given).

    Raises:
        InvalidArgument: Names every setting that is wrong and what would be right.
    """
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        raise invalid(error) from error


def _lowered(value: Any, pattern: re.Pattern[str], wrong: str) -> Any:
    """Names in lower case, each of which must match."""
    names = _listed(value) if isinstance(value, str) else value
    if not isinstance(names, list | tuple):
        return value
    lowered = tuple(str(name).lower() for name in names)
    for name in lowered:
        if not pattern.fullmatch(name):
            raise ValueError(f"{name!r} {wrong}")
    return lowered


def _listed(text: str) -> list[str]:
    """The entries of a list in a variable of the environment: `a,b`."""
    return [entry for part in text.split(",") if (entry := part.strip())]


def is_loopback(host: str) -> bool:
    """Whether a host names this machine alone."""
    return host in {"localhost", "::1", "[::1]"} or host.startswith("127.")
