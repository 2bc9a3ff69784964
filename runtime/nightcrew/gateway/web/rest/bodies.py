"""What REST takes, as pydantic models: requests are checked with them, and OpenAPI is made from them."""

from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    PlainValidator,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from nightcrew.gateway.web.rest.answers import AgentStatus, TriggerType
from nightcrew.gateway.web.rest.executions import OWN_SOURCES

READ_ONLY: Final = frozenset(
    {
        *("id", "user_id", "status", "created_at", "updated_at", "last_run_at", "next_run_at"),
        *("webhook_url", "webhook_secret"),
    }
)
"""Fields of an answer that a body may bring along, so that what was read can be sent back; they set nothing."""

MAX_ID: Final = 256
_LONGEST: Final = 10**9
"""Of an interval, in any unit: a billion seconds are 31 years, a billion weeks are refused as too long."""
_LONGEST_FIELD: Final = 128


class Given(BaseModel):
    """A part of a body: types are taken as they are written, and a field that does not exist is a fault."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, hide_input_in_errors=True, use_attribute_docstrings=True
    )


def _number_or_text(value: Any) -> int | str:
    if (type(value) is int and value >= 0) or (isinstance(value, str) and 0 < len(value) <= _LONGEST_FIELD):
        return value
    raise ValueError(f'must be a number, or a text such as "*/5" of at most {_LONGEST_FIELD} characters')


def _length(value: Any) -> int | float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LONGEST:
        return value
    raise ValueError(f"must be a number from 0 to {_LONGEST}")


# Checked by hand: a union of pydantic's types names its members in the error's place.
CronField = Annotated[
    int | str,
    PlainValidator(_number_or_text),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "minLength": 1, "maxLength": _LONGEST_FIELD},
            ]
        }
    ),
]
Length = Annotated[
    int | float,
    PlainValidator(_length),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": _LONGEST}),
]


class CronConfig(Given):
    """When to fire, by the fields of a clock. A field that is left out is `*`.

    Days of the week are `mon` to `sun`, or 0 (Monday) to 6 (Sunday) as in the seed system. `day` may be `last`,
    or a weekday of the month such as `2nd mon`; it and `day_of_week` can't both be restricted.
    """

    minute: CronField = "*"
    hour: CronField = "*"
    day: CronField = "*"
    month: CronField = "*"
    day_of_week: CronField = "*"
    second: CronField | None = None
    """0 if it is left out."""
    timezone: Annotated[str, Field(max_length=64)] = "UTC"
    """A time zone of the IANA database such as `Europe/Berlin`."""


class IntervalConfig(Given):
    """How long from one run to the next: the sum of the fields, at least 0.1 s. Runs are aligned to 1970 in UTC."""

    weeks: Length = 0
    days: Length = 0
    hours: Length = 0
    minutes: Length = 0
    seconds: Length = 0


class DateConfig(Given):
    """One run."""

    run_date: Annotated[str, Field(min_length=1, max_length=64)]
    """An ISO 8601 time such as `2026-11-01T09:00:00+01:00`; without an offset it is UTC. Must lie ahead."""


class WebhookConfig(Given):
    """A run for each call of `webhook_url`, signed as Standard Webhooks."""

    secret: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    """`whsec_` and base64. One is made if it is left out, and given once as `webhook_secret`."""


class EventConfig(Given):
    """A run for each event that matches. Without a type: events that were published, of any type."""

    type: Annotated[str, Field(max_length=256)] = ""
    """The event's type, or the beginning of one with `*` at its end."""
    source: Annotated[str, Field(max_length=1024)] = ""
    filter: Annotated[str, Field(max_length=8192)] = ""
    """A CEL expression over `event`, such as `event.data.total > 100`."""


CONFIGS: Final[dict[TriggerType, type[Given]]] = {
    TriggerType.CRON: CronConfig,
    TriggerType.INTERVAL: IntervalConfig,
    TriggerType.DATE: DateConfig,
    TriggerType.WEBHOOK: WebhookConfig,
    TriggerType.EVENT: EventConfig,
}

TYPES: Final[dict[type[Given], TriggerType]] = {config: kind for kind, config in CONFIGS.items()}

InputConfig = Annotated[
    dict[str, JsonValue],
    Field(
        description="The input of every run. A flow takes `input_value`, `session_id` and `tweaks`; any other"
        " program takes the keys that it knows."
    ),
]


class _Sent(Given):
    """A body that may hold fields of an answer; `status` and `flow_id` of an update are looked at by the handler."""

    @model_validator(mode="before")
    @classmethod
    def _without_answers(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        taken = READ_ONLY - cls.model_fields.keys()
        return {key: value for key, value in given.items() if key not in taken}


class AgentCreate(_Sent):
    """A new agent; it is STOPPED until it is started."""

    name: str = Field(max_length=256)
    description: str | None = Field(default=None, max_length=16384)
    flow_id: str = Field(min_length=1, max_length=MAX_ID)
    """What runs: a flow by its name or by the id in its file, a program `package.module:object`, or what an agent
    runs, by the agent's id."""
    input_config: InputConfig = {}
    enabled: bool = True
    """Whether its trigger fires; an agent that is not enabled can't be started, resumed or triggered."""


class CronCreate(AgentCreate):
    """An agent that runs by the clock."""

    trigger_type: Literal["CRON"]
    trigger_config: CronConfig = CronConfig()


class IntervalCreate(AgentCreate):
    """An agent that runs again and again."""

    trigger_type: Literal["INTERVAL"]
    trigger_config: IntervalConfig


class DateCreate(AgentCreate):
    """An agent that runs once."""

    trigger_type: Literal["DATE"]
    trigger_config: DateConfig


class WebhookCreate(AgentCreate):
    """An agent that runs when its URL is called."""

    trigger_type: Literal["WEBHOOK"]
    trigger_config: WebhookConfig = WebhookConfig()


class EventCreate(AgentCreate):
    """An agent that runs when an event matches."""

    trigger_type: Literal["EVENT"]
    trigger_config: EventConfig = EventConfig()


AnyCreate = Annotated[
    CronCreate | IntervalCreate | DateCreate | WebhookCreate | EventCreate, Discriminator("trigger_type")
]


class AgentUpdate(_Sent):
    """What is to change; a field that is left out, or null, stays. A null `description` is cleared."""

    name: str | None = Field(default=None, max_length=256)
    description: str | None = Field(default=None, max_length=16384)
    trigger_type: Annotated[TriggerType, Field(strict=False)] | None = None
    """Another type than the agent's needs its `trigger_config`, WEBHOOK and EVENT excepted."""
    trigger_config: dict[str, JsonValue] | None = None
    """Replaces the one that there is: fields that are left out have their defaults. An agent of several triggers
    has its first replaced."""
    input_config: InputConfig | None = None
    enabled: bool | None = None
    flow_id: str | None = Field(default=None, max_length=MAX_ID)
    """Can't be changed: the one that the agent has, or nothing."""
    status: Annotated[AgentStatus, Field(strict=False)] | None = None
    """Can't be changed by an update: the one that the agent has, or nothing."""


class ListAgents(Given):
    """Which agents to list."""

    flow_id: str | None = Field(default=None, max_length=MAX_ID)
    """Only agents that run this; empty: all."""


class ListExecutions(Given):
    """Which executions to list. Above 1000 a limit is 1000."""

    limit: int = Field(default=10, ge=0, strict=False)
    offset: int = Field(default=0, ge=0, le=2**31, strict=False)


class TriggerQuery(Given):
    """How to trigger."""

    trigger_source: str = Field(default="manual", pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")
    """What the execution is to answer as its `trigger_source`: who or what asked for it. Not what the runtime says
    of triggers of its own."""

    @field_validator("trigger_source")
    @classmethod
    def _not_ours(cls, given: str) -> str:
        if given in OWN_SOURCES:
            raise ValueError(f"{given!r} is what the runtime says of its own; name who asks")
        return given
