"""The end of an attempt, written: its final state or its next turn, its result, memory, logs and event.

One transaction, and the agent's next run is claimed in it, so that a backlog costs one commit a run.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from nightcrew.crew.agent_moves import end_if_empty
from nightcrew.crew.budget import count_run_time
from nightcrew.crew.claims import NOTHING, Claim, claim
from nightcrew.crew.commits import After, Claimed
from nightcrew.crew.facts import execution_fact
from nightcrew.crew.faults import count_outcome
from nightcrew.crew.gates import give_back
from nightcrew.crew.intake import Work, execution_of, let_in
from nightcrew.crew.residents import resident_ended
from nightcrew.crew.waits import begin_wait, tell_caller
from nightcrew.domain.agent import Agent, AgentState
from nightcrew.domain.execution import Execution, ExecutionState, TriggerKind
from nightcrew.domain.journal import survived
from nightcrew.domain.lifecycle.execution import ExecutionEvent, step
from nightcrew.domain.log import NewLogEntry
from nightcrew.domain.progress import Progress
from nightcrew.domain.resident import Wish
from nightcrew.domain.verdict import Verdict
from nightcrew.ports.store import Transaction

_GOES_ON: Final = (ExecutionEvent.RETRY_LATER, ExecutionEvent.INTERRUPT)
_CANCELLED: Final = Verdict(ExecutionEvent.CANCELLED)


@dataclass(frozen=True, slots=True)
class Settled:
    """What is to be written about a run that has ended.

    Attributes:
        waits: The steps that it waits for, of one that was suspended.
        following: JSON text of the input that it goes on with as a new execution.
        progress: What it last said of how far it has got, where that is not written yet.
    """

    run: Claimed
    verdict: Verdict
    result: str | None = None
    memory: str | None = None
    logs: Sequence[NewLogEntry] = ()
    waits: Sequence[str] = ()
    following: str = ""
    progress: Progress | None = None


def settle(tx: Transaction, after: After, settled: Settled, *, now: datetime) -> Claim:
    """Writes the end of a run and claims what may start in its place. A lost lease writes nothing."""
    run = settled.run
    if not run.agent.spec.gated:
        return _settle(tx, after, settled, now=now)
    if run.agent.spec.limits is not None and run.since is not None and _runs(tx, run.execution):
        # Before the next is claimed: it may pause the agent.
        count_run_time(tx, after, run.agent.id, now - run.since, now=now)
    claimed = _settle(tx, after, settled, now=now)
    give_back(tx, after, run, now=now)
    return claimed


def _runs(tx: Transaction, execution: Execution) -> bool:
    row = tx.executions.get(execution.id)
    return row is not None and (row.lease, row.state) == (execution.lease, ExecutionState.RUNNING)


def _settle(tx: Transaction, after: After, settled: Settled, *, now: datetime) -> Claim:
    execution, verdict = settled.run.execution, settled.verdict
    if verdict.event is ExecutionEvent.WAIT:
        return _rest(tx, after, settled, now=now)
    reason = ""
    if verdict.event in _GOES_ON or verdict.event is ExecutionEvent.CANCELLED:
        verdict, reason = _with_mark(tx, execution, verdict)
    if verdict.event is ExecutionEvent.INTERRUPT and verdict.error is not None:
        reason = verdict.error.type  # as the rescuer says it
    state = step(ExecutionState.RUNNING, verdict.event, execution_id=execution.id).state
    _keep_said(tx, after, settled)
    agent = tx.agents.get(execution.agent_id)
    if not _write(tx, after, settled, verdict, state, now=now):
        _tell_again(tx, after, execution)
        return NOTHING if agent is None else claim(tx, after, agent, now=now)
    if settled.memory is not None and state is ExecutionState.SUCCEEDED:
        tx.agents.set_memory(execution.agent_id, settled.memory)
    fact = execution_fact(
        execution, state, now=now, result=settled.result, error=verdict.error, reason=reason
    )
    after.append(tx, fact)
    if state.final:
        _tell(tx, after, agent, settled, state, verdict.error.message if verdict.error else reason, now=now)
    if agent is None:
        return NOTHING
    resident = execution.trigger.kind is TriggerKind.RESIDENT
    agent = _count(tx, after, agent, settled, state, now=now)
    if agent.state is AgentState.STOPPING:
        _end_stopping(tx, after, agent, execution, state, now=now)
        return NOTHING
    # The place that it held is counted anew if the agent's bound may have changed while it ran.
    freed = state.final and not resident and agent.generation == settled.run.agent.generation
    return claim(tx, after, agent, now=now, freed=freed)


def _keep_said(tx: Transaction, after: After, settled: Settled) -> None:
    """Keeps what the run has said and is not written yet."""
    execution = settled.run.execution
    if settled.logs and tx.logs.append(execution.id, settled.logs, lease=execution.lease):
        after.logs = True
    if settled.progress is not None and tx.logs.report(execution.id, settled.progress, lease=execution.lease):
        after.progress = True


def _count(
    tx: Transaction, after: After, agent: Agent, settled: Settled, state: ExecutionState, *, now: datetime
) -> Agent:
    """Counts the outcome. A resident's failures count to its restart intensity and to nothing else."""
    verdict = settled.verdict
    if settled.run.execution.trigger.kind is not TriggerKind.RESIDENT:
        return count_outcome(tx, after, agent, state, fault=verdict.agent_fault, now=now)
    agent = count_outcome(tx, after, agent, ExecutionState.CANCELLED, fault=verdict.agent_fault, now=now)
    if state.final and not settled.following:
        resident_ended(tx, after, agent, state, verdict.error, now=now)
    return agent


def _rest(tx: Transaction, after: After, settled: Settled, *, now: datetime) -> Claim:
    """A run that only waits, or whose code does not fit: it leaves its host and keeps its place."""
    execution = settled.run.execution
    if execution.resume:  # it ran once more to clean up, and would wait for something in that
        return _settle(tx, after, replace(settled, verdict=_CANCELLED), now=now)
    _keep_said(tx, after, settled)
    parked = settled.verdict.error
    text = "" if parked is None else parked.message
    begin_wait(tx, after, execution, settled.waits, parked=text, now=now)
    agent = tx.agents.get(execution.agent_id)
    return NOTHING if agent is None else claim(tx, after, agent, now=now)


def _tell(
    tx: Transaction,
    after: After,
    agent: Agent | None,
    settled: Settled,
    state: ExecutionState,
    text: str,
    *,
    now: datetime,
) -> None:
    """Tells whoever waits for its end, unless it goes on as another."""
    execution = settled.run.execution
    after.ended.append(execution.id)
    if settled.following and state is ExecutionState.SUCCEEDED and agent is not None:
        _follow(tx, after, agent, execution, settled.following, now=now)
    tell_caller(tx, after, execution, state, now=now, result=settled.result, error_text=text)


def _follow(
    tx: Transaction, after: After, agent: Agent, execution: Execution, given: str, *, now: datetime
) -> None:
    """Queues the execution that this one goes on as; whoever waits for this one waits for that."""
    if agent.state in {AgentState.STOPPING, AgentState.STOPPED}:
        return
    if execution.trigger.kind is TriggerKind.RESIDENT and not _goes_on(tx, agent):
        resident_ended(tx, after, agent, ExecutionState.SUCCEEDED, None, now=now)
        return
    # Neither a fire nor an event of its own: both have their execution.
    trigger = replace(execution.trigger, nominal_time=None, event_sequence=0, cause_execution_id=execution.id)
    work = Work(
        execution_id=after.new_id(),
        trigger=trigger,
        whole_input=given,
        labels=execution.labels,
        priority=execution.priority,
    )
    let_in(tx, after, agent, (execution_of(agent, work, now=now),), room=0, now=now)
    tx.steps.repoint(execution.id, work.execution_id)
    if trigger.kind is TriggerKind.RESIDENT:
        tx.residents.began(agent.id, work.execution_id)


def _goes_on(tx: Transaction, agent: Agent) -> bool:
    """Whether a resident that goes on as a new execution is still wanted as it is."""
    return agent.state is AgentState.ACTIVE and tx.residents.wish(agent.id) is Wish.RUN


def _with_mark(tx: Transaction, execution: Execution, verdict: Verdict) -> tuple[Verdict, str]:
    """The verdict and the reason of a cancel: one that bears the mark never goes on, whatever ended its attempt."""
    row = tx.executions.get(execution.id)
    if row is None or not row.cancel_requested:
        return verdict, ""
    return (_CANCELLED if verdict.event in _GOES_ON else verdict), row.cancel_reason


def _write(
    tx: Transaction, after: After, settled: Settled, verdict: Verdict, state: ExecutionState, *, now: datetime
) -> bool:
    execution = settled.run.execution
    match verdict.event:
        case ExecutionEvent.RETRY_LATER if verdict.next_attempt_time and verdict.error:
            after.timers = True
            _forget_failed(tx, execution.id)
            return tx.executions.retry_later(
                execution.id,
                lease=execution.lease,
                next_attempt_time=verdict.next_attempt_time,
                error=verdict.error,
            )
        case ExecutionEvent.INTERRUPT if verdict.error:
            after.timers = after.timers or execution.deadline is not None
            return tx.executions.requeue(
                execution.id, lease=execution.lease, unclean=verdict.unclean, error=verdict.error
            )
        case _:
            return _finish(tx, settled, verdict, state, now=now)


def _finish(
    tx: Transaction, settled: Settled, verdict: Verdict, state: ExecutionState, *, now: datetime
) -> bool:
    execution = settled.run.execution
    ended = tx.executions.finish(
        execution.id, lease=execution.lease, state=state, now=now, result=settled.result, error=verdict.error
    )
    if ended and settled.run.agent.spec.gated:
        tx.keys.release(execution.id)
    return ended


def _forget_failed(tx: Transaction, execution_id: str) -> None:
    """Steps that failed, and that the program did not go on after, are done again by the next attempt."""
    row = tx.executions.get(execution_id)
    if row is None or not row.steps:
        return
    steps = tx.steps.load(execution_id)
    kept = {one.key for one in survived(steps)}
    tx.steps.drop(execution_id, [one.key for one in steps if one.key not in kept])


def _tell_again(tx: Transaction, after: After, execution: Execution) -> None:
    """The lease is lost. If that is because our own commit was in doubt and did take place, nobody was told yet."""
    row = tx.executions.get(execution.id)
    if row is not None and row.state.final:
        after.ended.append(execution.id)
        after.events = after.logs = True


def _end_stopping(
    tx: Transaction, after: After, agent: Agent, execution: Execution, state: ExecutionState, *, now: datetime
) -> None:
    """A run of a stopping agent that would go on later (a retry, a requeue) ends CANCELLED instead."""
    if not state.final and tx.executions.end_idle(execution.id, state=ExecutionState.CANCELLED, now=now):
        after.ended.append(execution.id)
        reason = "the agent was stopped"
        after.append(tx, execution_fact(execution, ExecutionState.CANCELLED, now=now, reason=reason))
        tell_caller(tx, after, execution, ExecutionState.CANCELLED, now=now, error_text=reason)
    end_if_empty(tx, after, agent, now=now)
