"""How executions are run and agents restarted: the policies people set, and their defaults."""

from enum import StrEnum
from typing import Final, Self

from pydantic import Field, model_validator

from nightcrew.domain.durations import Duration, parse_duration
from nightcrew.domain.spec.base import Spec


class OverlapPolicy(StrEnum):
    """What happens to work that comes while `max_concurrency` is reached (Temporal's words)."""

    UNSPECIFIED = "OVERLAP_POLICY_UNSPECIFIED"
    SKIP = "OVERLAP_POLICY_SKIP"
    BUFFER_ONE = "OVERLAP_POLICY_BUFFER_ONE"
    BUFFER_ALL = "OVERLAP_POLICY_BUFFER_ALL"
    CANCEL_OTHER = "OVERLAP_POLICY_CANCEL_OTHER"
    TERMINATE_OTHER = "OVERLAP_POLICY_TERMINATE_OTHER"
    ALLOW = "OVERLAP_POLICY_ALLOW"


class RestartMode(StrEnum):
    """OTP's restart types."""

    UNSPECIFIED = "MODE_UNSPECIFIED"
    PERMANENT = "MODE_PERMANENT"
    TRANSIENT = "MODE_TRANSIENT"
    TEMPORARY = "MODE_TEMPORARY"


DEFAULT_CANCEL_GRACE: Final = parse_duration(10)
DEFAULT_MAX_CONCURRENCY: Final = 1
DEFAULT_MAX_BACKLOG: Final = 1000
MAX_POOLS: Final = 16
MAX_KEY_EXPRESSION: Final = 1024


class RetryPolicy(Spec):
    """Retries of a failed attempt: `initial × multiplier^(n−1)`, capped, full jitter (semantics.md, Retry)."""

    max_attempts: int | None = Field(default=None, ge=1)
    initial_backoff: Duration | None = None
    backoff_multiplier: float | None = Field(default=None, ge=1, le=100)
    max_backoff: Duration | None = None
    jitter: bool | None = None
    non_retryable: tuple[str, ...] = ()


class ExecutionPolicy(Spec):
    """How an agent's executions run. A field left out has its default; 0 where it is allowed is a value."""

    timeout: Duration | None = None
    total_timeout: Duration | None = None
    heartbeat_timeout: Duration | None = None
    cancel_grace: Duration | None = None
    retry: RetryPolicy | None = None
    overlap: OverlapPolicy = OverlapPolicy.UNSPECIFIED
    max_concurrency: int | None = Field(default=None, ge=0)
    max_backlog: int | None = Field(default=None, ge=0)
    pause_after_failures: int = Field(default=0, ge=0)
    pools: tuple[str, ...] = Field(default=(), max_length=MAX_POOLS)
    concurrency_key: str = Field(default="", max_length=MAX_KEY_EXPRESSION)
    max_concurrency_per_key: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _positive(self) -> Self:
        for name in ("timeout", "total_timeout", "heartbeat_timeout"):
            value = getattr(self, name)
            if value is not None and value <= parse_duration(0):
                raise ValueError(f"{name} must be longer than 0s; leave it out for no limit")
        if self.cancel_grace is not None and self.cancel_grace < parse_duration(0):
            raise ValueError("cancel_grace must not be negative")
        twice = next((name for name in self.pools if self.pools.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"pools names {twice!r} twice; an execution takes one place in each")
        if self.max_concurrency_per_key is not None and not self.concurrency_key:
            raise ValueError("max_concurrency_per_key needs a concurrency_key")
        return self


class RestartPolicy(Spec):
    """OTP's restart intensity: at most `intensity` restarts in `period`, with a back-off between them."""

    mode: RestartMode = RestartMode.UNSPECIFIED
    intensity: int | None = Field(default=None, ge=0)
    period: Duration | None = None
    initial_backoff: Duration | None = None
    max_backoff: Duration | None = None
