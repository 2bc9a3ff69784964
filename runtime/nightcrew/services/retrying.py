"""A retry by hand, as one unit: an execution that has ended runs once more as a new one, one that is parked goes on."""

from datetime import datetime

from nightcrew.crew.admission import admit_one
from nightcrew.crew.commits import After
from nightcrew.crew.intake import Work
from nightcrew.crew.waits import inherit, wake
from nightcrew.domain.errors import InvalidArgument, NotFound
from nightcrew.domain.execution import Execution, TriggerKind, TriggerRef
from nightcrew.domain.lifecycle.agent import check_manual
from nightcrew.domain.lifecycle.execution import ExecutionEvent, step
from nightcrew.ports.store import Transaction


def retry_one(
    tx: Transaction,
    after: After,
    old: Execution,
    *,
    new_id: str,
    now: datetime,
    from_step: tuple[str, int] | None = None,
) -> Execution:
    """Retries an execution; returns the new one, or the same if it waits for code that fits.

    Raises:
        NotFound: Its agent is gone.
        InvalidArgument: It has no such step.
        FailedPrecondition: It has not ended, or its agent takes no work by hand.
        ResourceExhausted: The agent's backlog is full.
    """
    if from_step is None and tx.steps.parked(old.id):
        wake(tx, after, old, now=now, reason="retried by hand")
        return tx.executions.get(old.id) or old
    step(old.state, ExecutionEvent.RETRY, execution_id=old.id)
    agent = tx.agents.get(old.agent_id)
    if agent is None:
        raise NotFound("agent", old.agent_id)
    check_manual(agent.state, agent_id=agent.id)
    trigger = TriggerRef(
        kind=TriggerKind.RETRY,
        trigger_id=old.trigger.trigger_id,
        nominal_time=old.trigger.nominal_time,
        cause_execution_id=old.id,
    )
    work = Work(
        execution_id=new_id,
        trigger=trigger,
        whole_input=old.input,
        labels=old.labels,
        priority=old.priority,
    )
    before = None if from_step is None else _key_of(tx, old.id, *from_step)
    made = admit_one(tx, after, agent, work, now=now)
    if before is not None:
        inherit(tx, after, made, old.id, before=before, now=now)
    return made


def _key_of(tx: Transaction, execution_id: str, name: str, ordinal: int) -> str:
    """The key of a step in a journal, by its name and which of that name it is."""
    named = [one.key for one in tx.steps.load(execution_id) if one.name == name]
    if not 0 <= ordinal < len(named):
        has = f"{len(named)} of that name" if named else "no step of that name"
        raise InvalidArgument.of("from_step", f"{name!r} number {ordinal}: the execution has {has}")
    return named[ordinal]
