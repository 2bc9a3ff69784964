"""What REST gives, as pydantic models: answers are written with them, and OpenAPI is made from them."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, PlainSerializer, WithJsonSchema

Json = Annotated[Any, WithJsonSchema({"description": "Any JSON value."})]
Time = Annotated[
    datetime,
    # With +00:00 as the seed wrote it: Python before 3.11 can't read a Z.
    PlainSerializer(datetime.isoformat, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class TriggerType(StrEnum):
    """What makes an agent run."""

    CRON = "CRON"
    INTERVAL = "INTERVAL"
    DATE = "DATE"
    WEBHOOK = "WEBHOOK"
    EVENT = "EVENT"


class AgentStatus(StrEnum):
    """Where an agent stands; one that is still stopping is STOPPED."""

    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    STOPPED = "STOPPED"
    ERROR = "ERROR"


class ExecutionStatus(StrEnum):
    """Where an execution stands; one that waits for a place, for time or for its next attempt is RUNNING."""

    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    TIMED_OUT = "TIMED_OUT"


class Answer(BaseModel):
    """An answer."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class AgentRead(Answer):
    """An agent."""

    id: str
    user_id: None = None
    """Always null: there are no users."""
    name: str
    description: str | None
    flow_id: str
    """As it was given; an agent that was not made here has the name of its flow or program."""
    trigger_type: TriggerType | None
    """Of its first trigger; null if that is of no type that is known here."""
    trigger_config: dict[str, Json]
    input_config: dict[str, Json]
    status: AgentStatus
    enabled: bool
    created_at: Time
    updated_at: Time
    last_run_at: Time | None
    """When the run that ended last began."""
    next_run_at: Time | None
    webhook_url: str | None = None
    """Where a WEBHOOK agent is called."""
    webhook_secret: str | None = None
    """The secret that was made for it: in the answer to the call that made it, and never again."""


class AgentState(Answer):
    """What an agent is doing."""

    agent_id: str
    name: str
    status: AgentStatus
    enabled: bool
    last_run_at: Time | None
    next_run_at: Time | None
    trigger_type: TriggerType | None


class Started(Answer):
    """The agent is ACTIVE."""

    status: Literal["started"] = "started"
    agent_id: str
    next_run_at: Time | None


class Stopped(Answer):
    """The agent takes no more work, and what ran is cancelled."""

    status: Literal["stopped"] = "stopped"
    agent_id: str


class Paused(Answer):
    """The agent is PAUSED: what runs goes on to its end, nothing fires."""

    status: Literal["paused"] = "paused"
    agent_id: str


class Resumed(Answer):
    """The agent is ACTIVE again."""

    status: Literal["active"] = "active"
    agent_id: str


class Triggered(Answer):
    """The execution is on disk."""

    status: Literal["triggered"] = "triggered"
    agent_id: str
    execution_id: str


class ExecutionRead(Answer):
    """One run of an agent."""

    id: str
    execution_id: str
    """The same as `id`."""
    agent_id: str
    status: ExecutionStatus
    started_at: Time
    """When it began to run; while it waits for its first turn, when it was made."""
    completed_at: Time | None
    result: Json
    """What the program returned; null until it has."""
    error_message: str | None
    trigger_source: str
    """`manual`, `scheduled`, `webhook`, `event`, `backfill`, `retry` or `resident`; or what the caller of
    `trigger` said."""


class ExecutionList(Answer):
    """A part of an agent's executions, the newest first."""

    executions: list[ExecutionRead]
    count: int
    """How many are in this answer."""
    total: int
    """How many the agent has."""


class FieldProblem(Answer):
    """One field that is wrong."""

    loc: list[str | int]
    """Where: `["body", "trigger_config", "minute"]`."""
    msg: str
    type: str


class FieldProblems(Answer):
    """Every field that is wrong."""

    detail: list[FieldProblem]
