"""What happened, as plain data: what clients were told, what the store holds, what programs did, what watchers saw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

FINAL = frozenset({"STATE_SUCCEEDED", "STATE_FAILED", "STATE_CANCELLED", "STATE_TIMED_OUT"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One TriggerAgent, with all its tries: `execution_id` is what it was answered, "" if it never was.

    `refused` is one that got a definite no (a full backlog): it must have left nothing.
    """

    request_id: str
    agent_id: str
    execution_id: str = ""
    refused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionRow:
    """An execution as the store holds it; `request` is the label by which the load marks its request."""

    id: str
    agent_id: str
    state: str
    attempt: int = 1
    interruptions: int = 0
    unclean: int = 0
    kind: str = "KIND_MANUAL"
    trigger_id: str = ""
    nominal_time: datetime | None = None
    request: str = ""
    result: object = None
    error_type: str = ""
    cause: str = ""
    event_sequence: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRow:
    """An entry of a journal."""

    execution_id: str
    name: str
    kind: str
    state: str
    result: object = None
    awaited: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """A line that a step's function wrote as it was entered; `mark` is its result, in the journal, too."""

    execution_id: str
    step: str
    mark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Signalled:
    """What was sent to an execution and acknowledged, in this order: all that it waits for."""

    execution_id: str
    payloads: Sequence[object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An event or a delivery that somebody sent until it was answered: `answers` are what it was answered with."""

    id: str
    answers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """A row of the event log; `state` is the state it tells, where it tells one."""

    sequence: int
    type: str
    agent_id: str = ""
    execution_id: str = ""
    state: str = ""
    reason: str = ""
    time: datetime | None = None
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FireRow:
    """A row of the ledger."""

    agent_id: str
    trigger_id: str
    first: datetime
    last: datetime
    outcome: str
    execution_id: str = ""
    count: int = 1
    actual: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a program wrote down, synced, just before it returned: `mark` is in its result, too."""

    execution_id: str
    mark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticking:
    """A schedule trigger that must have a row for every `every` seconds of [start, end]."""

    agent_id: str
    trigger_id: str
    every: int
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What one watcher saw: the sequences, in its order, of all events after `after` that it selects.

    Attributes:
        agents: The ids it selects; empty is all.
        up_to: The last sequence that it must have seen, if it selects it.
    """

    name: str
    sequences: Sequence[int]
    after: int = 0
    up_to: int = 0
    agents: frozenset[str] = frozenset()
    gaps: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """All of it."""

    executions: Sequence[ExecutionRow] = ()
    events: Sequence[EventRow] = ()
    fires: Sequence[FireRow] = ()
    asked: Sequence[Asked] = ()
    effects: Sequence[Effect] = ()
    ticking: Sequence[Ticking] = ()
    watched: Sequence[Watched] = ()
    effectful: frozenset[str] = frozenset()
    """Agents whose programs write effects."""
    max_attempts: Mapping[str, int] = field(default_factory=dict)
    """By agent; 1 where it is not named."""
    steps: Sequence[StepRow] = ()
    entered: Sequence[Entered] = ()
    signalled: Sequence[Signalled] = ()
    published: Sequence[Wanted] = ()
    """Events of the type that `chain` begins with; an answer is a sequence."""
    delivered: Sequence[Wanted] = ()
    """Webhooks: an answer is an execution's id."""
    retried: Sequence[Wanted] = ()
    """Retries, by the id of the execution they are of: an answer is the new execution's."""
    commanded: Mapping[str, str] = field(default_factory=dict)
    """Agents and the state that their last command, which was answered, leaves them in."""
    agents: Mapping[str, str] = field(default_factory=dict)
    """Agents and their states."""
    open: frozenset[str] = frozenset()
    """Executions that wait for a reason: they need not have ended."""
