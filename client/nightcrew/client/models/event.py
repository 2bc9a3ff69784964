"""Events: CloudEvents with their place in the log, and what a watch says about missing ones."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One fact in the event log, as a CloudEvent. `data` is a JSON value."""

    sequence: int
    id: str
    source: str
    type: str
    subject: str = ""
    time: datetime | None = None
    data: Any = None
    extensions: Mapping[str, str] = field(default_factory=dict)
    agent_id: str = ""
    execution_id: str = ""
    cause_sequence: int = 0
    actor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """An event to publish; the server makes an `id` that is left empty, and a `time` that is."""

    type: str
    source: str
    data: Any = None
    subject: str = ""
    id: str = ""
    time: datetime | None = None
    extensions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishResult:
    """Where a published event stands in the log; `deduplicated` when it was there already."""

    sequence: int
    deduplicated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Events that a watch cannot give any more: `from_sequence` to `to_sequence`, both inclusive."""

    from_sequence: int
    to_sequence: int
