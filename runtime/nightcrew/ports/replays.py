"""Replaying journals against code: what is replayed, and what came of it."""

from dataclasses import dataclass
from enum import StrEnum

from nightcrew.domain.agent import Agent
from nightcrew.domain.execution import Execution
from nightcrew.domain.step import Step


@dataclass(frozen=True, slots=True)
class Resumable:
    """An execution that will be run again from its journal, with `ctx.state` as JSON text, as the store has it."""

    agent: Agent
    execution: Execution
    journal: tuple[Step, ...]
    memory: str


class Fit(StrEnum):
    """Whether code fits a journal."""

    FITS = "fits"
    """It does what the journal says, up to its end or to the program's."""
    PARKS = "parks"
    """It does something else: the execution would wait for code that fits."""
    FAILS = "fails"
    """It raises before the journal ends."""
    STUCK = "stuck"
    """It does not come to the journal's end in time."""
    MISSING = "missing"
    """There is no such program in what was given, or it does not load."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of one replay; `message` is empty if it fits."""

    execution_id: str
    agent_id: str
    steps: int
    fit: Fit
    message: str = ""
