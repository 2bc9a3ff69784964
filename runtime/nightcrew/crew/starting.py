"""What follows when executions have been claimed: their events, the fires that they stand for, what their runs need."""

from collections.abc import Sequence
from datetime import datetime

from nightcrew.crew.backfills import agent_for
from nightcrew.crew.cancels import resolve_fire
from nightcrew.crew.commits import After, Claimed
from nightcrew.crew.facts import execution_fact
from nightcrew.crew.waits import load_journal
from nightcrew.domain.agent import Agent
from nightcrew.domain.execution import Execution, ExecutionState
from nightcrew.domain.fire import FireOutcome
from nightcrew.domain.resident import state_refusal
from nightcrew.ports.store import Transaction


def started(
    tx: Transaction, after: After, agent: Agent, executions: Sequence[Execution], *, now: datetime
) -> tuple[Claimed, ...]:
    """Writes what is true of executions that are RUNNING from now on, and makes runs of them."""
    for execution in executions:
        after.append(tx, execution_fact(execution, ExecutionState.RUNNING, now=now))
        if execution.lease == 1:
            resolve_fire(tx, execution, FireOutcome.STARTED, now=now)
    return tuple(
        Claimed(
            one,
            agent_for(tx, agent, one),
            None if state_refusal(agent, one.trigger.kind) else tx.agents.memory(agent.id),
            load_journal(tx, one, now=now),
            now,
        )
        for one in executions
    )
