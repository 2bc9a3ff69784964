"""CANCEL_OTHER and TERMINATE_OTHER: the newest fire of a trigger takes the place of its older ones, in one commit."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from nightcrew.crew.cancels import cancel
from nightcrew.crew.commits import After
from nightcrew.crew.intake import Admission, let_in
from nightcrew.crew.residents import occupancy
from nightcrew.domain.agent import Agent, AgentState
from nightcrew.domain.execution import BY_PEOPLE, Execution, ExecutionState
from nightcrew.domain.overlap import decide
from nightcrew.domain.policies import max_backlog, max_concurrency
from nightcrew.domain.spec.policy import OverlapPolicy
from nightcrew.ports.store import Transaction


def replace_others(
    tx: Transaction,
    after: After,
    agent: Agent,
    asking: Sequence[Execution],
    *,
    policy: OverlapPolicy,
    now: datetime,
) -> Admission:
    """Lets the newest in; what is older of its trigger is dropped, cancelled or killed, others are waited for."""
    same = tx.executions.open(agent.id, trigger_id=asking[0].trigger.trigger_id)
    buffered = {one.id: one for one in same if never_started(one)}
    runs = [one for one in same if one.id not in buffered]
    places, queued = _occupied(tx, agent)
    decision = decide(
        policy,
        running=len(runs),
        others_running=places - len(runs),
        others_buffered=max(0, queued - len(buffered)),
        max_concurrency=max_concurrency(agent.spec),
        max_backlog=max_backlog(agent.spec.execution),
        buffered=list(buffered),
        due=[one.id for one in asking],
    )
    for execution_id in decision.skipped:
        if execution_id in buffered:
            cancel(tx, after, buffered[execution_id], reason="replaced by its trigger's next fire", now=now)
    if decision.cancel or decision.terminate:
        verb = "terminated" if decision.terminate else "cancelled"
        for run in runs:
            reason = f"{verb} by its trigger's next fire"
            cancel(tx, after, run, reason=reason, now=now, kill=decision.terminate)
    new = {one.id: one for one in asking}
    starting = [new[one] for one in decision.start if one in new]
    kept = [new[one] for one in decision.keep if one in new]
    admission = let_in(
        tx, after, agent, starting + kept, room=len(starting), at_once=not (queued or buffered), now=now
    )
    return replace(admission, skipped=tuple(new[one] for one in decision.skipped if one in new))


def never_started(execution: Execution) -> bool:
    """Whether it waits in the backlog."""
    return execution.state is ExecutionState.QUEUED and not execution.started


def startable(tx: Transaction, agent: Agent) -> int:
    """How many of the backlog may start: all of it, or while the agent is held what people asked for."""
    backlog = [one for one in tx.executions.open(agent.id) if never_started(one)]
    return sum(agent.state is AgentState.ACTIVE or one.trigger.kind in BY_PEOPLE for one in backlog)


def _occupied(tx: Transaction, agent: Agent) -> tuple[int, int]:
    """(places taken, how many of the backlog wait for one)."""
    taken = occupancy(tx, agent)
    held = taken.queued and agent.state is not AgentState.ACTIVE
    return taken.places, startable(tx, agent) if held else taken.queued
