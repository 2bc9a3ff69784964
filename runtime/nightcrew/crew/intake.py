"""Work that is let in, written: queued with its event, or started at once where a place is free for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from nightcrew.crew.commits import After, Claimed
from nightcrew.crew.facts import execution_fact
from nightcrew.crew.keys import keep_key
from nightcrew.domain.agent import Agent, AgentState
from nightcrew.domain.execution import Execution, ExecutionState, TriggerKind, TriggerRef
from nightcrew.domain.resident import state_refusal
from nightcrew.domain.values import MAX_VALUE_BYTES, checked, merged
from nightcrew.ports.store import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One piece of work that asks to be let in.

    Attributes:
        execution_id: The id it will have.
        trigger: What made it.
        input: The call's input, merged over the agent's and the trigger's.
        whole_input: JSON text that is the input as it stands, in place of a merge: what a retry runs with.
        max_bytes: What the merged input may be at most, as JSON.
        event: JSON text of an event that is added to the input as `event`, beyond that bound.
    """

    execution_id: str
    trigger: TriggerRef
    input: Mapping[str, Any] = field(default_factory=dict)
    whole_input: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    priority: int = 0
    max_bytes: int = MAX_VALUE_BYTES
    event: str = ""


@dataclass(frozen=True, slots=True)
class Admission:
    """What became of several pieces of work, each in one of the lists, in the order given.

    Attributes:
        started: A place is theirs; they run now, or as soon as their agent's actor claims them.
        buffered: They wait in the backlog.
        skipped: Dropped by the policy.
        dropped: The backlog is full.
    """

    started: tuple[Execution, ...] = ()
    buffered: tuple[Execution, ...] = ()
    skipped: tuple[Execution, ...] = ()
    dropped: tuple[Execution, ...] = ()


def execution_of(agent: Agent, work: Work, *, now: datetime, starts: bool = False) -> Execution:
    """The execution that a piece of work becomes if it is let in; one that `starts` as it is in its first attempt.

    Raises:
        InvalidArgument: The merged input is over 1 MiB.
    """
    total = None if work.trigger.kind is TriggerKind.RESIDENT else agent.spec.execution.total_timeout
    return Execution(
        id=work.execution_id,
        agent_id=agent.id,
        agent_generation=agent.generation,
        state=ExecutionState.RUNNING if starts else ExecutionState.QUEUED,
        trigger=work.trigger,
        create_time=now,
        input=work.whole_input or _input_text(agent, work),
        attempt=int(starts),
        lease=int(starts),
        started=starts,
        start_time=now if starts else None,
        priority=work.priority,
        labels=work.labels,
        deadline=None if total is None else now + total,
    )


def enter(tx: Transaction, after: After, agent: Agent, work: Work, *, now: datetime) -> Execution:
    """Lets in a single piece of work of an agent that does nothing: it starts, if anything may.

    Raises:
        InvalidArgument: The merged input is over 1 MiB; nothing is written then.
    """
    starts = after.claiming and agent.state is AgentState.ACTIVE and not agent.spec.gated
    execution = execution_of(agent, work, now=now, starts=starts)
    if starts:
        return _begin(tx, after, agent, execution, now=now)
    return _queue(tx, after, agent, execution, now=now)


def let_in(
    tx: Transaction,
    after: After,
    agent: Agent,
    asking: Sequence[Execution],
    *,
    room: int,
    now: datetime,
    at_once: bool = True,
) -> Admission:
    """Writes all of them. The first `room` have a place; with `at_once` nobody is to be started before them."""
    room = max(room, 0)
    at_once = at_once and after.claiming and agent.state is AgentState.ACTIVE and not agent.spec.gated
    started = tuple(
        _start(tx, after, agent, one, now=now) if at_once else _queue(tx, after, agent, one, now=now)
        for one in asking[:room]
    )
    return Admission(started, tuple(_queue(tx, after, agent, one, now=now) for one in asking[room:]))


def _queue(tx: Transaction, after: After, agent: Agent, execution: Execution, *, now: datetime) -> Execution:
    tx.executions.insert(execution)
    if agent.spec.gated and agent.spec.execution.concurrency_key:
        keep_key(tx, after, agent, execution)
    after.append(tx, execution_fact(execution, ExecutionState.QUEUED, now=now))
    after.work.append(execution.agent_id)
    if execution.deadline is not None:
        after.timers = True
    return execution


def _start(tx: Transaction, after: After, agent: Agent, execution: Execution, *, now: datetime) -> Execution:
    running = replace(
        execution, state=ExecutionState.RUNNING, lease=1, attempt=1, started=True, start_time=now
    )
    return _begin(tx, after, agent, running, now=now)


def _begin(tx: Transaction, after: After, agent: Agent, running: Execution, *, now: datetime) -> Execution:
    """What would be claimed next is this one, so it is claimed as it is written: one commit instead of two."""
    tx.executions.insert(running)
    after.append(tx, execution_fact(running, ExecutionState.QUEUED, now=now, attempt=0))
    after.append(tx, execution_fact(running, ExecutionState.RUNNING, now=now))
    memory = None if state_refusal(agent, running.trigger.kind) else tx.agents.memory(agent.id)
    after.claimed.setdefault(agent.id, []).append(Claimed(running, agent, memory))
    return running


def _input_text(agent: Agent, work: Work) -> str:
    """The input as it is fixed at creation: the agent's, then the trigger's, then the call's."""
    trigger = agent.spec.trigger(work.trigger.trigger_id) if work.trigger.trigger_id else None
    whole = merged(agent.spec.input, trigger.input if trigger else None, work.input)
    if work.event:
        whole.pop("event", None)
    text = checked(whole, field="input", limit=work.max_bytes) if whole else "{}"
    if not work.event:
        return text
    # Spliced in: one event may go to a thousand agents.
    return f'{text[:-1]}{"," if whole else ""}"event":{work.event}}}'
