"""What watches speak of: items, batches of them, tokens to go on from, and which agents are watched."""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from nightcrew.domain.agent import Agent
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.event import Event
from nightcrew.domain.execution import Execution
from nightcrew.domain.filter import And, Comparison, Expression, Or
from nightcrew.domain.log import LogEntry
from nightcrew.domain.progress import Progress

T = TypeVar("T")

BATCH_BYTES: Final = 64 * 1024
"""About so much is sent in one message: as much as is held in memory for a watcher that does not read."""
_EACH: Final = 256
"""About what an event or an entry takes besides its text."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An agent or an execution as it is now; `last` marks the end of the snapshot."""

    of: Agent | Execution
    last: bool


@dataclass(frozen=True, slots=True)
class EmptySnapshot:
    """There is nothing to show; events follow."""


@dataclass(frozen=True, slots=True)
class Gap:
    """These sequences are no longer kept, or are of another history of the store."""

    from_sequence: int
    to_sequence: int


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Nothing has been sent for a while."""


@dataclass(frozen=True, slots=True)
class Logged:
    """An execution said something."""

    entry: LogEntry


@dataclass(frozen=True, slots=True)
class Progressed:
    """An execution has got further."""

    execution_id: str
    progress: Progress


Item = Snapshot | EmptySnapshot | Event | Gap | Heartbeat | Logged | Progressed


@dataclass(frozen=True, slots=True)
class Batch:
    """What is sent in one message, and the token to go on from behind it."""

    items: Sequence[Item]
    resume_token: str


@dataclass(frozen=True, slots=True)
class Token:
    """Where a watcher is: the store's incarnation, the events' sequence, the logs' sequence."""

    incarnation: str
    sequence: int
    log_sequence: int = 0

    def text(self) -> str:
        """The opaque form."""
        raw = json.dumps([self.incarnation, self.sequence, self.log_sequence], separators=(",", ":"))
        return base64.urlsafe_b64encode(raw.encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> "Token":
        """The token of an opaque text.

        Raises:
            InvalidArgument: It is none of ours.
        """
        try:
            given = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
        except (ValueError, RecursionError, binascii.Error):
            given = None
        match given:
            case [str(incarnation), int(sequence), int(log_sequence)] if sequence >= 0 and log_sequence >= 0:
                return cls(incarnation, sequence, log_sequence)
            case _:
                raise InvalidArgument.of("resume_token", "is not a token that a watch has given")


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSelection:
    """Which agents are watched: by ids, by labels, by both (then both must hold), or all."""

    ids: frozenset[str] = frozenset()
    selector: Mapping[str, str] = field(default_factory=dict)

    @property
    def where(self) -> Expression | None:
        """The same as a filter over agents."""
        terms: list[Expression] = []
        if self.ids:
            terms.append(Or(tuple(Comparison("id", "=", one, 0) for one in sorted(self.ids))))
        terms += (Comparison(f"labels.{key}", "=", value, 0) for key, value in self.selector.items())
        return And(tuple(terms)) if terms else None

    def names(self, agent_id: str) -> bool:
        """Whether the ids leave the agent in."""
        return not self.ids or agent_id in self.ids

    def fits(self, labels: Mapping[str, str]) -> bool:
        """Whether labels hold the whole selector."""
        return all(labels.get(key) == value for key, value in self.selector.items())


def event_portions(events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    """Events in order, in portions that are sent in one message each."""
    return _portions(events, [len(event.data) for event in events])


def log_portions(entries: Sequence[LogEntry]) -> Iterator[Sequence[LogEntry]]:
    """Log entries in order, in portions that are sent in one message each."""
    return _portions(entries, [len(entry.message) for entry in entries])


def _portions(entries: Sequence[T], sizes: Sequence[int]) -> Iterator[Sequence[T]]:
    start = size = 0
    for index, one in enumerate(sizes):
        size += one + _EACH
        if size > BATCH_BYTES and index > start:
            yield entries[start:index]
            start, size = index, one + _EACH
    if start < len(entries):
        yield entries[start:]
