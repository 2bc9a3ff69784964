"""The agent's state machine as one table: which command leads where, what follows, what is refused.

Source of the rules: semantics.md, An agent's states. A command that is not in a state's row is refused
with the states that would allow it, and changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from nightcrew.domain.agent import AgentState
from nightcrew.domain.errors import FailedPrecondition


class AgentEvent(StrEnum):
    """What can happen to an agent."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    ENDED = "ended"
    """The last open execution of a STOPPING agent has ended."""
    FAIL = "fail"
    """Too many failures, a program that can't be loaded, a restart intensity exceeded."""


class AgentEffect(StrEnum):
    """What must follow in the same transaction, or after its commit."""

    CANCEL_EXECUTIONS = "cancel_executions"
    """Cancel everything that is not final."""
    RESET_COUNTERS = "reset_counters"
    """Leaving ERROR clears the counters."""
    RESUME_SCHEDULES = "resume_schedules"
    """Cursors become now: what passed meanwhile is NOT_ACTIVE, not missed."""
    WAKE = "wake"
    """There may be work that was held."""


@dataclass(frozen=True, slots=True)
class AgentStep:
    """Where an event leads; `changed` is false for one that stays (answered OK, no event)."""

    state: AgentState
    effects: tuple[AgentEffect, ...] = ()
    changed: bool = True


_S = AgentState
_E = AgentEvent
_FX = AgentEffect
_STAY: Final = None

TABLE: Final[Mapping[AgentState, Mapping[AgentEvent, AgentStep | None]]] = {
    _S.STOPPED: {
        _E.START: AgentStep(_S.ACTIVE, (_FX.RESET_COUNTERS, _FX.RESUME_SCHEDULES, _FX.WAKE)),
        _E.STOP: _STAY,
    },
    _S.ACTIVE: {
        _E.START: _STAY,
        _E.PAUSE: AgentStep(_S.PAUSED),
        _E.RESUME: _STAY,
        _E.STOP: AgentStep(_S.STOPPING, (_FX.CANCEL_EXECUTIONS, _FX.WAKE)),
        _E.FAIL: AgentStep(_S.ERROR),
    },
    _S.PAUSED: {
        _E.PAUSE: _STAY,
        _E.RESUME: AgentStep(_S.ACTIVE, (_FX.RESUME_SCHEDULES, _FX.WAKE)),
        _E.STOP: AgentStep(_S.STOPPING, (_FX.CANCEL_EXECUTIONS, _FX.WAKE)),
        _E.FAIL: AgentStep(_S.ERROR),
    },
    _S.STOPPING: {
        _E.STOP: _STAY,
        _E.ENDED: AgentStep(_S.STOPPED),
    },
    _S.ERROR: {
        _E.START: AgentStep(_S.ACTIVE, (_FX.RESET_COUNTERS, _FX.RESUME_SCHEDULES, _FX.WAKE)),
        _E.RESUME: AgentStep(_S.ACTIVE, (_FX.RESET_COUNTERS, _FX.RESUME_SCHEDULES, _FX.WAKE)),
        _E.STOP: AgentStep(_S.STOPPING, (_FX.CANCEL_EXECUTIONS, _FX.WAKE)),
    },
}
"""state → event → step; None is 'stays', an event that is missing is refused."""

ACCEPTS_MANUAL: Final = (_S.ACTIVE, _S.PAUSED)
"""States in which an execution that people ask for is taken."""
ACCEPTS_WEBHOOK: Final = (_S.ACTIVE, _S.PAUSED, _S.ERROR)
"""States in which a webhook is taken; it waits in the backlog until the agent is ACTIVE."""


def allowed_states(event: AgentEvent) -> tuple[AgentState, ...]:
    """The states in which an event is not refused, in the table's order."""
    return tuple(state for state, row in TABLE.items() if event in row)


def step(state: AgentState, event: AgentEvent, *, agent_id: str = "") -> AgentStep:
    """Where `event` leads from `state`.

    Raises:
        FailedPrecondition: The table refuses it; names the state and the allowed ones.
    """
    row = TABLE[state]
    if event not in row:
        allowed = allowed_states(event)
        raise refused(event.value, state, allowed, agent_id=agent_id)
    return row[event] or AgentStep(state, changed=False)


def check_manual(state: AgentState, *, agent_id: str = "") -> None:
    """Whether people may trigger the agent now.

    Raises:
        FailedPrecondition: They may not in this state.
    """
    if state not in ACCEPTS_MANUAL:
        raise refused("trigger", state, ACCEPTS_MANUAL, agent_id=agent_id)


def check_webhook(state: AgentState, *, agent_id: str = "") -> None:
    """Whether the agent takes webhooks now.

    Raises:
        FailedPrecondition: It does not in this state.
    """
    if state not in ACCEPTS_WEBHOOK:
        raise refused("a webhook", state, ACCEPTS_WEBHOOK, agent_id=agent_id)


def refused(
    verb: str, state: AgentState, allowed: tuple[AgentState, ...], *, agent_id: str
) -> FailedPrecondition:
    """The refusal of a command in a state."""
    names = [one.value.removeprefix("STATE_") for one in allowed]
    return FailedPrecondition(
        f"agent {agent_id!r} is {state.value.removeprefix('STATE_')}; {verb} needs {' or '.join(names)}",
        subject=f"agents/{agent_id}",
        state=state.value,
        allowed_states=tuple(one.value for one in allowed),
        code="agent_state",
    )
