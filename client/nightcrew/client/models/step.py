"""Durable steps: the entries of an execution's journal, and how far it has got."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from nightcrew.client.models.execution import ExecutionError


class StepState(StrEnum):
    """Where a step stands."""

    UNSPECIFIED = "STATE_UNSPECIFIED"
    RUNNING = "STATE_RUNNING"
    WAITING = "STATE_WAITING"
    SUCCEEDED = "STATE_SUCCEEDED"
    FAILED = "STATE_FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step, by its name and its ordinal among the steps of that name."""

    execution_id: str
    name: str
    ordinal: int
    state: StepState
    attempts: int = 0
    result: Any = None
    error: ExecutionError | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an execution has got, as its program last said with `ctx.progress`; a total of 0 is not known."""

    execution_id: str
    attempt: int
    time: datetime | None
    done: float = 0.0
    total: float = 0.0
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalUrl:
    """A one-time address that gives a signal: GET shows a page that asks, POST answers. It can't be read again."""

    url: str
    expire_time: datetime | None = None
