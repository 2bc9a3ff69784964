"""What an agent runs: a Python object, a Langflow flow, a command or an HTTP endpoint."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any, ClassVar, Final, Self

from pydantic import Field, field_validator, model_validator

from nightcrew.domain.durations import Duration
from nightcrew.domain.spec.base import Spec, exactly_one
from nightcrew.domain.values import encode
from nightcrew.domain.web_address import web_address

METHODS: Final = ("POST", "PUT", "PATCH", "GET", "DELETE")
WITHOUT_BODY: Final = frozenset({"GET", "DELETE"})
OURS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection", "te", "upgrade"})
"""Headers that belong to the connection: whoever makes it sets them."""
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class SessionMode(StrEnum):
    """Whether a flow's chat memory is one for each execution (the default) or one for the agent."""

    UNSPECIFIED = "SESSION_UNSPECIFIED"
    PER_EXECUTION = "SESSION_PER_EXECUTION"
    PER_AGENT = "SESSION_PER_AGENT"


class Isolation(StrEnum):
    """Where a program runs; UNSPECIFIED is the program's own default.

    Async functions and HTTP programs run INLINE, sync functions and flows in the POOL, commands DEDICATED.
    """

    UNSPECIFIED = "ISOLATION_UNSPECIFIED"
    INLINE = "ISOLATION_INLINE"
    POOL = "ISOLATION_POOL"
    DEDICATED = "ISOLATION_DEDICATED"


class PythonProgram(Spec):
    """A registered object, `package.module:object`."""

    entrypoint: str = Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$")


class LangflowProgram(Spec):
    """A flow by the name it was registered under (its file's stem)."""

    flow: str = Field(min_length=1)
    tweaks: dict[str, Any] = Field(default_factory=dict)
    variables: dict[str, str] = Field(default_factory=dict)
    session: SessionMode = SessionMode.UNSPECIFIED


class CommandProgram(Spec):
    """A command: argv, never a shell."""

    argv: tuple[str, ...] = Field(min_length=1)
    env: dict[str, str] = Field(default_factory=dict)
    working_directory: str = ""

    @field_validator("argv")
    @classmethod
    def _words(cls, argv: tuple[str, ...]) -> tuple[str, ...]:
        if not argv[0]:
            raise ValueError("must begin with the program's name")
        _no_nul(argv)
        return argv

    @field_validator("env")
    @classmethod
    def _variables(cls, env: dict[str, str]) -> dict[str, str]:
        for name in env:
            if not name or "=" in name:
                raise ValueError(f"{name[:40]!r} is no name of a variable")
        _no_nul([*env, *env.values()])
        return env

    @field_validator("working_directory")
    @classmethod
    def _folder(cls, folder: str) -> str:
        _no_nul([folder])
        return folder


class HttpProgram(Spec):
    """An HTTP endpoint that is posted the input."""

    url: str = Field(min_length=1)
    method: str = ""
    headers: dict[str, str] = Field(default_factory=dict)
    timeout: Duration | None = None

    @field_validator("url")
    @classmethod
    def _callable(cls, url: str) -> str:
        web_address(url)
        return url

    @field_validator("method")
    @classmethod
    def _known(cls, method: str) -> str:
        if method not in {"", *METHODS}:
            raise ValueError(f"must be one of {', '.join(METHODS)}, not {method[:20]!r}")
        return method

    @field_validator("headers")
    @classmethod
    def _sendable(cls, headers: dict[str, str]) -> dict[str, str]:
        check_headers(headers)
        return headers

    @field_validator("timeout")
    @classmethod
    def _some(cls, timeout: timedelta | None) -> timedelta | None:
        if timeout is not None and timeout <= timedelta(0):
            raise ValueError("must be more than 0s; leave it out for no limit")
        return timeout


class Program(Spec):
    """Exactly one of its kinds."""

    KINDS: ClassVar[tuple[str, ...]] = ("python", "langflow", "command", "http")

    python: PythonProgram | None = None
    langflow: LangflowProgram | None = None
    command: CommandProgram | None = None
    http: HttpProgram | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, self.KINDS, "program")
        return self

    @cached_property
    def kind(self) -> str:
        """`python`, `langflow`, `command` or `http`."""
        return exactly_one(self, self.KINDS, "program")

    @property
    def name(self) -> str:
        """What it is registered as: the entrypoint, the flow, the command, the URL."""
        if self.python:
            return self.python.entrypoint
        if self.langflow:
            return self.langflow.flow
        return self.command.argv[0] if self.command else self.http.url if self.http else ""

    @cached_property
    def key(self) -> str:
        """What it is looked up by among what `up` was given.

        Of an object and a flow that is the name; a command and an endpoint are the same only if all of it is.
        """
        if self.python or self.langflow:
            return self.name
        return hashlib.sha256(encode(self.to_json()).encode()).hexdigest()


def check_headers(headers: Mapping[str, str]) -> None:
    """Whether headers can be sent as they are; ValueError names the one that can't."""
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"{name[:40]!r} is no name of a header")
        if name.lower() in OURS:
            raise ValueError(f"{name} is set by the runtime")
        if not _VALUE.fullmatch(value):
            raise ValueError(f"the value of {name} holds control characters, or some that no header can hold")


def _no_nul(texts: Iterable[str]) -> None:
    if any("\0" in text for text in texts):
        raise ValueError("must not hold NUL characters")
