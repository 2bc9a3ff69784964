"""An agent's spec as a whole: program, input, triggers and policies."""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final, Self

from pydantic import Field, field_validator, model_validator

from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.spec.base import Spec
from nightcrew.domain.spec.limits import AgentLimits
from nightcrew.domain.spec.policy import ExecutionPolicy, OverlapPolicy, RestartPolicy
from nightcrew.domain.spec.program import Isolation, Program
from nightcrew.domain.spec.trigger import Schedule, Trigger

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
    limits: AgentLimits | None = None

    @field_validator("triggers", mode="before")
    @classmethod
    def _named(cls, given: Any) -> Any:
        return _with_ids(given) if isinstance(given, list | tuple) else given

    @model_validator(mode="after")
    def _whole(self) -> Self:
        seen: set[str] = set()
        for trigger in self.triggers:
            if trigger.id in seen:
                raise ValueError(f"triggers has the id {trigger.id!r} twice; ids are unique in an agent")
            seen.add(trigger.id)
        return self

    @cached_property
    def allows_overlap(self) -> bool:
        """Whether ALLOW is said, by the agent or by one of its triggers."""
        policies = (self.execution.overlap, *(trigger.overlap for trigger in self.triggers))
        return OverlapPolicy.ALLOW in policies

    @cached_property
    def resident(self) -> Trigger | None:
        """The trigger that makes it run as long as it is ACTIVE, if it has one."""
        return next((one for one in self.triggers if one.resident is not None and not one.disabled), None)

    @cached_property
    def source_urls(self) -> tuple[str, ...]:
        """The brokers' URLs that its triggers take events from, each once, as they are written."""
        urls = (one.event.source_url for one in self.triggers if one.event and not one.disabled)
        return tuple(dict.fromkeys(filter(None, urls)))

    @cached_property
    def gated(self) -> bool:
        """Whether more than its own places decides when its executions start: such work is never claimed at once."""
        return bool(self.execution.pools or self.execution.concurrency_key or self.limits is not None)

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


def _with_ids(triggers: Sequence[Any]) -> Sequence[Any]:
    """Triggers as they were written, those without an id named after their kind: `cron`, then `cron-2`."""
    if all(map(_id_of, triggers)):
        return triggers
    taken = {name for one in triggers if isinstance(name := _id_of(one), str)}
    out = []
    for one in triggers:
        if _id_of(one):
            out.append(one)
            continue
        kind = name = _kind_of(one)
        count = 1
        while name in taken:
            count += 1
            name = f"{kind}-{count}"
        taken.add(name)
        out.append({**one, "id": name})
    return out


def _id_of(trigger: Any) -> Any:
    """What is written as its id, if anything is; what is no object has one, so that its own fault is told."""
    return (trigger.get("id") or "") if isinstance(trigger, Mapping) else getattr(trigger, "id", True)


def _kind_of(trigger: Mapping[str, Any]) -> str:
    """The kind that a trigger's id is made from; `trigger` where it has none: its own fault is told then."""
    schedule = trigger.get("schedule")
    if isinstance(schedule, Schedule):
        return schedule.kind
    if isinstance(schedule, Mapping):
        return next((kind for kind in Schedule.KINDS if schedule.get(kind) is not None), "trigger")
    return next((kind for kind in Trigger.KINDS if trigger.get(kind) is not None), "trigger")


def check_slug(value: str, *, field: str) -> str:
    """The value itself if it is a slug.

    Raises:
        InvalidArgument: It is not `[a-z0-9][a-z0-9-]{0,62}`.
    """
    if not _SLUG.fullmatch(value):
        raise InvalidArgument.of(field, f"must match [a-z0-9][a-z0-9-]{{0,62}}, not {value[:80]!r}")
    return value
