"""Journaling, as units of work: a step is written under its run's lease, with what belongs to it."""

from dataclasses import replace
from datetime import datetime

from nightcrew.crew.admission import admit_one
from nightcrew.crew.budget import spend
from nightcrew.crew.commits import After
from nightcrew.crew.intake import Work
from nightcrew.crew.signal_urls import journal_url
from nightcrew.crew.waits import end_if_over
from nightcrew.domain.cloudevent import Draft, checked_events
from nightcrew.domain.errors import InvalidArgument, NightcrewError, NotFound, Unavailable
from nightcrew.domain.event import agent_source
from nightcrew.domain.event_match import check_match
from nightcrew.domain.execution import Execution, TriggerKind, TriggerRef
from nightcrew.domain.lifecycle.agent import check_manual
from nightcrew.domain.spec.trigger import EventMatch
from nightcrew.domain.step import LeaseLost, Step, StepKind, StepState
from nightcrew.domain.values import decode
from nightcrew.ports.store import Transaction
from nightcrew.programs.step_error import CALL_FAILED, failed, step_error


def write_step(
    tx: Transaction,
    after: After,
    execution: Execution,
    step: Step,
    *,
    now: datetime,
) -> Step:
    """Journals a step that its run has come to, and does what it stands for; returns it as it is then.

    Raises:
        LeaseLost: The run is no longer the execution's.
    """
    known = tx.steps.get(execution.id, step.key)
    if known is not None:
        return _again(tx, execution, known, step)
    match step.kind:
        case StepKind.SIGNAL:
            payload = tx.steps.take_signal(execution.id, step.awaited)
            if payload is not None:
                step = _ended(step, now=now, result=payload)
        case StepKind.EVENT:
            step = _await(step, now=now)
        case StepKind.CALL:
            step = _call(tx, after, execution, step, now=now, execution_id=after.new_id())
        case StepKind.PUBLISH:
            step = _publish(tx, after, execution, step, now=now)
        case StepKind.SIGNAL_URL:
            step = journal_url(tx, after, execution, step, now=now)
        case StepKind.SPEND:
            step = spend(tx, after, execution, step, now=now)
        case _:
            pass
    if not tx.steps.insert(execution.id, step, lease=execution.lease):
        raise LeaseLost(f"execution {execution.id} is no longer run by this attempt")
    return step


def settle_step(tx: Transaction, execution: Execution, key: str, *, now: datetime) -> Step:
    """A step as it is now; a wait whose time is over has ended then.

    Raises:
        LeaseLost: There is no such step: its journal is not this run's.
    """
    step = tx.steps.get(execution.id, key)
    if step is None:
        raise LeaseLost(f"execution {execution.id} has no step {key!r}")
    return end_if_over(tx, execution.id, step, now=now)


def save_memory(tx: Transaction, execution: Execution, memory: str) -> None:
    """Saves `ctx.state` while the run still holds its lease.

    Raises:
        LeaseLost: It does not.
    """
    row = tx.executions.get(execution.id)
    if row is None or row.lease != execution.lease or row.state is not execution.state:
        raise LeaseLost(f"execution {execution.id} is no longer run by this attempt")
    tx.agents.set_memory(execution.agent_id, memory)


def _again(tx: Transaction, execution: Execution, known: Step, step: Step) -> Step:
    """A step that is known: one that was tried again has a new outcome; what has ended stays as it is."""
    if known.state.ended or known.state is StepState.WAITING:
        return known
    written = replace(step, start_time=known.start_time)
    if not tx.steps.replace(execution.id, written, lease=execution.lease):
        raise LeaseLost(f"execution {execution.id} is no longer run by this attempt")
    return written


def _ended(step: Step, *, now: datetime, result: str) -> Step:
    return replace(step, state=StepState.SUCCEEDED, result=result, end_time=now, until=None)


def _await(step: Step, *, now: datetime) -> Step:
    """A wait for an event; one that can never come is the step's failure."""
    try:
        check_match(EventMatch(types=(step.awaited,), filter=step.detail))
    except InvalidArgument as error:
        return replace(step, state=StepState.FAILED, error=step_error(error), end_time=now, until=None)
    return step


def _call(
    tx: Transaction, after: After, execution: Execution, step: Step, *, now: datetime, execution_id: str
) -> Step:
    """Admits the execution that is called; a refusal is the step's failure."""
    try:
        agent = tx.agents.get(step.name)
        if agent is None:
            raise NotFound("agent", step.name)
        check_manual(agent.state, agent_id=agent.id)
        trigger = TriggerRef(kind=TriggerKind.CALL, cause_execution_id=execution.id)
        work = Work(
            execution_id=execution_id, trigger=trigger, input=decode(step.detail), priority=execution.priority
        )
        child = admit_one(tx, after, agent, work, now=now)
    except Unavailable:
        raise
    except NightcrewError as error:
        return replace(
            step, state=StepState.FAILED, error=failed(CALL_FAILED, error.message), end_time=now, until=None
        )
    return replace(step, awaited=child.id)


def _publish(tx: Transaction, after: After, execution: Execution, step: Step, *, now: datetime) -> Step:
    """Appends the event; a refusal is the step's failure."""
    content = decode(step.detail)
    draft = Draft(
        type=step.name,
        source=content["source"] or agent_source(execution.agent_id),
        subject=content["subject"],
        id=f"{execution.id}:{step.key}",
        data=content["data"],
        extensions=content["extensions"],
    )
    try:
        (event,) = checked_events((draft,), now=now, new_id=after.new_id, name="publish")
    except InvalidArgument as error:
        return replace(step, state=StepState.FAILED, result=None, error=step_error(error), end_time=now)
    after.append(tx, replace(event, agent_id=execution.agent_id, execution_id=execution.id))
    return replace(step, detail="")
