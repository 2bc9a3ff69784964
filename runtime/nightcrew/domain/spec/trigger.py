"""What makes an agent run: schedules, webhooks, events, or being resident."""

from enum import StrEnum
from functools import cached_property
from typing import Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from nightcrew.domain.broker.url import broker_url
from nightcrew.domain.durations import Duration, Instant
from nightcrew.domain.spec.base import Spec, exactly_one
from nightcrew.domain.spec.policy import OverlapPolicy


class DstGap(StrEnum):
    """What becomes of a local time that clocks leap over; the default is SHIFT."""

    UNSPECIFIED = "DST_GAP_UNSPECIFIED"
    SKIP = "DST_GAP_SKIP"
    SHIFT = "DST_GAP_SHIFT"


class DstFold(StrEnum):
    """What becomes of a local time that comes twice; the default is FIRST."""

    UNSPECIFIED = "DST_FOLD_UNSPECIFIED"
    FIRST = "DST_FOLD_FIRST"
    SECOND = "DST_FOLD_SECOND"
    BOTH = "DST_FOLD_BOTH"


class CatchUpMode(StrEnum):
    """Which of the times missed in an outage are run; the default is LATEST."""

    UNSPECIFIED = "CATCH_UP_MODE_UNSPECIFIED"
    NONE = "CATCH_UP_MODE_NONE"
    LATEST = "CATCH_UP_MODE_LATEST"
    ALL = "CATCH_UP_MODE_ALL"


class WebhookScheme(StrEnum):
    """How a webhook's sender is verified."""

    UNSPECIFIED = "SCHEME_UNSPECIFIED"
    STANDARD = "SCHEME_STANDARD"
    GITHUB = "SCHEME_GITHUB"
    STRIPE = "SCHEME_STRIPE"
    SLACK = "SCHEME_SLACK"
    BEARER = "SCHEME_BEARER"
    NONE = "SCHEME_NONE"


class Cron(Spec):
    """A cron expression of 5 fields, 6 with seconds first, or a macro such as `@daily`."""

    expression: str = Field(min_length=1, max_length=256)


class Interval(Spec):
    """Fires at `epoch + n × every + phase`."""

    every: Duration
    phase: Duration | None = None


class Civil(Spec):
    """Every `days` local days at `time_of_day` (`HH:MM[:SS]`)."""

    days: int = Field(ge=1, le=36525)
    time_of_day: str = Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$")


class Date(Spec):
    """Once, at an instant."""

    time: Instant


class CatchUp(Spec):
    """What is done about times missed in an outage."""

    mode: CatchUpMode = CatchUpMode.UNSPECIFIED
    window: Duration | None = None


class Schedule(Spec):
    """When to fire: exactly one kind, and the settings that all kinds share."""

    KINDS: ClassVar[tuple[str, ...]] = ("cron", "interval", "civil", "date")

    cron: Cron | None = None
    interval: Interval | None = None
    civil: Civil | None = None
    date: Date | None = None
    time_zone: str = ""
    start_time: Instant | None = None
    end_time: Instant | None = None
    jitter: Duration | None = None
    catch_up: CatchUp | None = None
    dst_gap: DstGap = DstGap.UNSPECIFIED
    dst_fold: DstFold = DstFold.UNSPECIFIED
    max_fires: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, self.KINDS, "schedule")
        return self

    @cached_property
    def kind(self) -> str:
        """`cron`, `interval`, `civil` or `date`."""
        return exactly_one(self, self.KINDS, "schedule")


class Webhook(Spec):
    """An HTTP hook; `secrets` are taken in and never given out: no form of a spec has them."""

    scheme: WebhookScheme = WebhookScheme.UNSPECIFIED
    secrets: tuple[str, ...] = Field(default=(), exclude=True, repr=False)


class EventMatch(Spec):
    """Which events fire the trigger."""

    types: tuple[str, ...] = ()
    source: str = ""
    subject: str = ""
    filter: str = ""
    source_url: str = ""
    allow_self: bool = False

    @field_validator("source_url")
    @classmethod
    def _a_broker(cls, value: str) -> str:
        if value:
            broker_url(value)
        return value


class Resident(Spec):
    """Runs as long as the agent is ACTIVE."""


class Trigger(Spec):
    """One trigger of an agent; `id` is unique in the agent."""

    KINDS: ClassVar[tuple[str, ...]] = ("schedule", "webhook", "event", "resident")

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    disabled: bool = False
    input: dict[str, Any] = Field(default_factory=dict)
    overlap: OverlapPolicy = OverlapPolicy.UNSPECIFIED
    schedule: Schedule | None = None
    webhook: Webhook | None = None
    event: EventMatch | None = None
    resident: Resident | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, self.KINDS, "trigger")
        return self

    @cached_property
    def kind(self) -> str:
        """`schedule`, `webhook`, `event` or `resident`."""
        return exactly_one(self, self.KINDS, "trigger")
