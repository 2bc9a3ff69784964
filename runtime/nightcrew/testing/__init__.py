"""For users' own tests: a runtime in a box, its manual clock, and the states and outcomes that tests compare with."""

from nightcrew.domain.agent import AgentState
from nightcrew.domain.execution import ExecutionState
from nightcrew.domain.fire import FireOutcome
from nightcrew.testing.box import Box
from nightcrew.testing.clock import ManualClock

__all__ = ["AgentState", "Box", "ExecutionState", "FireOutcome", "ManualClock"]
