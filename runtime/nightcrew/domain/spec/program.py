"""What an agent runs: a Python object, a Langflow flow, a command or an HTTP endpoint."""

from enum import StrEnum
from functools import cached_property
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from nightcrew.domain.durations import Duration
from nightcrew.domain.spec.base import Spec, exactly_one


class SessionMode(StrEnum):
    """Whether a flow's chat memory is one for each execution (the default) or one for the agent."""

    UNSPECIFIED = "SESSION_UNSPECIFIED"
    PER_EXECUTION = "SESSION_PER_EXECUTION"
    PER_AGENT = "SESSION_PER_AGENT"


class Isolation(StrEnum):
    """Where a program runs; UNSPECIFIED is the program's own default (async: INLINE, sync and flows: POOL)."""

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


class HttpProgram(Spec):
    """An HTTP endpoint that is posted the input."""

    url: str = Field(min_length=1)
    method: str = ""
    headers: dict[str, str] = Field(default_factory=dict)
    timeout: Duration | None = None


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
