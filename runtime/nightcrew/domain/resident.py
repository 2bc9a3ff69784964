"""Residents: what becomes of an agent that runs as long as it is ACTIVE when one of its runs has ended.

Sources: semantics.md, Supervision (residents follow their restart policy) and erlang.org, `supervisor`.
"""

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from typing import Final

from nightcrew.domain.agent import Agent
from nightcrew.domain.execution import ExecutionState, Occupancy, TriggerKind
from nightcrew.domain.lifecycle.execution import ExecutionEvent
from nightcrew.domain.policies import max_concurrency
from nightcrew.domain.restart import DEFAULT_MODE, should_restart
from nightcrew.domain.spec.agent import AgentSpec
from nightcrew.domain.spec.policy import RestartMode
from nightcrew.domain.verdict import DRAINED, Verdict

RUNTIME_RESTARTED: Final = "runtime_restarted"
STATE_IS_THE_RESIDENTS: Final = "ctx.state of this agent belongs to its resident"
STATE_NEEDS_ONE: Final = "ctx.state needs max_concurrency 1: two runs would overwrite each other"


class Wish(StrEnum):
    """What is wanted of an agent's resident."""

    NONE = "NONE"
    """Nothing: the agent is held, or its policy has no restart for the way in which it ended."""
    RUN = "RUN"
    """That it runs; when it ends, the restart policy is asked."""
    ANEW = "ANEW"
    """That it begins anew as soon as the one before has ended, however that ends."""


class Following(StrEnum):
    """What follows the end of a resident's run."""

    NOTHING = "nothing"
    LATER = "later"
    """It is wanted, and begins with the next start of the runtime."""
    AT_ONCE = "at_once"
    """It begins anew, and that counts for nothing."""
    RESTART = "restart"
    """It is restarted after its back-off, unless that is once too often."""
    DONE = "done"
    """It is wanted no more: its policy has no restart for such an end."""


def following(
    wish: Wish, mode: RestartMode, state: ExecutionState, error_type: str, *, draining: bool
) -> Following:
    """What follows an end.

    Args:
        wish: What was wanted as it ended, its agent being ACTIVE; NONE where it is not.
        mode: When it is restarted.
        state: How it ended. A cancel by hand is a normal end: a PERMANENT one begins anew, the others are done.
        error_type: Of its error; what the runtime's own end did to it is not its fault.
        draining: The runtime takes no new work.
    """
    if wish is Wish.NONE:
        return Following.NOTHING
    if draining:
        return Following.LATER
    if wish is Wish.ANEW or error_type == RUNTIME_RESTARTED:
        return Following.AT_ONCE
    abnormal = state in {ExecutionState.FAILED, ExecutionState.TIMED_OUT}
    if not should_restart(DEFAULT_MODE if mode is RestartMode.UNSPECIFIED else mode, abnormal):
        return Following.DONE
    return Following.AT_ONCE if state is ExecutionState.CANCELLED else Following.RESTART


def resident_verdict(verdict: Verdict) -> Verdict:
    """The verdict on a resident's attempt: what would hand another execution back ends this one.

    A lost worker is a failure, to be restarted by its policy; a drain cancels; a journal that the code no longer
    fits is left behind, since the next run begins without one.
    """
    if verdict.event is ExecutionEvent.INTERRUPT:
        if verdict.error is DRAINED:
            return Verdict(ExecutionEvent.CANCELLED, DRAINED)
        return Verdict(ExecutionEvent.FAIL, verdict.error, counts=True)
    if verdict.event is ExecutionEvent.WAIT and verdict.error is not None:
        return Verdict(ExecutionEvent.FAIL, verdict.error, counts=True)
    return verdict


def begins_anew(old: AgentSpec, new: AgentSpec) -> bool:
    """Whether a change of the spec changes what the resident runs with."""
    kept: Callable[[AgentSpec], object] = lambda spec: (  # noqa: E731 - a name for one comparison
        spec.program,
        spec.input,
        spec.resident,
        spec.execution,
        spec.isolation,
    )
    return kept(old) != kept(new)


def beside(taken: Occupancy, state: ExecutionState | None, *, started: bool) -> Occupancy:
    """How full an agent is without its resident, which takes no place under `max_concurrency`."""
    if state is None:
        return taken
    if state is not ExecutionState.QUEUED:
        return replace(taken, running=taken.running - 1)
    if started:
        return replace(taken, requeued=taken.requeued - 1)
    # `queued` may have been counted up to a cap only, which is never below what is asked of it.
    return replace(taken, queued=max(0, taken.queued - 1))


def state_refusal(agent: Agent, kind: TriggerKind) -> str:
    """Why a run has no `ctx.state`; an empty string if it has.

    Of a resident and a run beside it each would overwrite what the other has saved: it is the resident's.
    """
    if kind is TriggerKind.RESIDENT:
        return ""
    if agent.spec.resident is not None:
        return STATE_IS_THE_RESIDENTS
    return "" if max_concurrency(agent.spec) == 1 else STATE_NEEDS_ONE
