"""An agent's spec as a whole: program, input, triggers and policies."""

import re
from typing import Any, Final, Self

from pydantic import Field, model_validator

from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.spec.base import Spec
from nightcrew.domain.spec.policy import ExecutionPolicy, RestartPolicy
from nightcrew.domain.spec.program import Isolation, Program
from nightcrew.domain.spec.trigger import Trigger

_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
MAX_TRIGGERS: Final = 100


class AgentSpec(Spec):
    """What an agent is: the part of it that people write; `generation` counts its changes."""

    program: Program
    input: dict[str, Any] = Field(default_factory=dict)
    triggers: tuple[Trigger, ...] = Field(default=(), max_length=MAX_TRIGGERS)
    execution: ExecutionPolicy = ExecutionPolicy()
    restart: RestartPolicy = RestartPolicy()
    isolation: Isolation = Isolation.UNSPECIFIED

    @model_validator(mode="after")
    def _unique(self) -> Self:
        seen: set[str] = set()
        for trigger in self.triggers:
            if trigger.id in seen:
                raise ValueError(f"triggers has the id {trigger.id!r} twice; ids are unique in an agent")
            seen.add(trigger.id)
        return self

    def trigger(self, trigger_id: str) -> Trigger | None:
        """The trigger of that id, if there is one."""
        return next((one for one in self.triggers if one.id == trigger_id), None)


class Manifest(Spec):
    """The part of an Agent that its author writes: in a manifest file, or in CreateAgent."""

    id: str = ""
    display_name: str = Field(default="", max_length=256)
    description: str = Field(default="", max_length=16384)
    labels: dict[str, str] = Field(default_factory=dict, max_length=64)
    spec: AgentSpec


def check_slug(value: str, *, field: str) -> str:
    """The value itself if it is a slug.

    Raises:
        InvalidArgument: It is not `[a-z0-9][a-z0-9-]{0,62}`.
    """
    if not _SLUG.fullmatch(value):
        raise InvalidArgument.of(field, f"must match [a-z0-9][a-z0-9-]{{0,62}}, not {value[:80]!r}")
    return value
