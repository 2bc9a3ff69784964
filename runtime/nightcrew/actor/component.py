"""What a supervision tree looks like from outside: one row a component."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from nightcrew.domain.spec.policy import RestartMode


class ComponentKind(StrEnum):
    """What a component does."""

    WORKER = "WORKER"
    SUPERVISOR = "SUPERVISOR"


class ComponentState(StrEnum):
    """Where a component is in its life."""

    STARTING = "STARTING"
    RUNNING = "RUNNING"
    BACKING_OFF = "BACKING_OFF"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    GAVE_UP = "GAVE_UP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One node of the tree, as it is now.

    Attributes:
        id: The path from the root, unique in the tree: `root/agents/digest`.
        parent: The parent's id; empty for the root.
        restarts: How many times it was started again since its supervisor started.
        start_time: When its present (or last) run began; None before the first.
        mode: TEMPORARY for the root: nobody restarts it.
        last_error: `ValueError: boom` of its last abnormal end, or empty.
        children: How many components stand directly under it.
    """

    id: str
    parent: str
    kind: ComponentKind
    state: ComponentState
    restarts: int
    start_time: datetime | None
    mode: RestartMode
    last_error: str
    children: int


class Subtree(Protocol):
    """What a supervisor shows of the components under it."""

    @property
    def size(self) -> int:
        """How many children it has."""

    def rows(self, path: str) -> list[Component]:
        """Everything under it, each parent before its children; `path` is its own id in the tree."""
