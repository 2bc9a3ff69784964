"""What goes out: outbound hooks, and events that a receiver has not taken."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    UNSPECIFIED = "STATE_UNSPECIFIED"
    RETRYING = "STATE_RETRYING"
    DEAD = "STATE_DEAD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An event that an outbound hook could not deliver; `status` is 0 when no answer came."""

    hook: str
    sequence: int
    event_type: str
    state: DeliveryState
    attempts: int = 0
    next_attempt_time: datetime | None = None
    last_attempt_time: datetime | None = None
    status: int = 0
    reason: str = ""
    create_time: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundHook:
    """A hook of the runtime's nightcrew.toml; `disabled` says why it sends nothing any more, if it does not."""

    name: str
    disabled: str = ""
    lag: int = 0
    retrying: int = 0
    dead: int = 0
