"""The one door for work: overlap decided and the execution written in the caller's own transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from nightcrew.crew.cancels import cancel
from nightcrew.crew.commits import After, Claimed
from nightcrew.crew.facts import execution_fact
from nightcrew.domain.agent import Agent, AgentState
from nightcrew.domain.errors import FailedPrecondition, ResourceExhausted
from nightcrew.domain.execution import Execution, ExecutionState, TriggerRef
from nightcrew.domain.overlap import decide, effective_concurrency, effective_overlap
from nightcrew.domain.policies import max_backlog, max_concurrency
from nightcrew.domain.spec.policy import OverlapPolicy
from nightcrew.domain.values import checked, merged
from nightcrew.ports.store import Transaction

_COUNTED = {OverlapPolicy.BUFFER_ALL, OverlapPolicy.ALLOW}
"""Policies that need to know how many wait, but not which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One piece of work that asks to be let in.

    Attributes:
        execution_id: The id it will have.
        trigger: What made it.
        input: The call's input, merged over the agent's and the trigger's.
    """

    execution_id: str
    trigger: TriggerRef
    input: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Admission:
    """What became of several pieces of work, each in one of the lists, in the order given."""

    started: tuple[Execution, ...] = ()
    buffered: tuple[Execution, ...] = ()
    skipped: tuple[Work, ...] = ()
    dropped: tuple[Work, ...] = ()


def admit_one(tx: Transaction, after: After, agent: Agent, work: Work, *, now: datetime) -> Execution:
    """Lets one piece of work in, or says why not.

    Raises:
        FailedPrecondition: `overlap_skipped`: the policy skips work while the agent is busy.
        ResourceExhausted: `backlog_full`.
        InvalidArgument: The merged input is over 1 MiB.
    """
    admission = admit(tx, after, agent, (work,), now=now)
    for execution in admission.started or admission.buffered:
        return execution
    if admission.skipped:
        raise FailedPrecondition(
            f"agent {agent.id!r} is busy and its overlap policy skips work meanwhile",
            subject=f"agents/{agent.id}",
            code="overlap_skipped",
        )
    raise ResourceExhausted(
        f"the backlog of agent {agent.id!r} is full ({max_backlog(agent.spec.execution)})",
        retry_delay=timedelta(seconds=1),
        code="backlog_full",
    )


def admit(
    tx: Transaction,
    after: After,
    agent: Agent,
    works: Sequence[Work],
    *,
    now: datetime,
    overlap: OverlapPolicy = OverlapPolicy.UNSPECIFIED,
) -> Admission:
    """Decides overlap for works of one trigger that are due together, and writes those that are let in.

    `overlap`, where it is said, stands before the trigger's and the agent's own (catch-up, backfill).
    """
    policy = overlap if overlap is not OverlapPolicy.UNSPECIFIED else _policy(agent, works[0].trigger)
    spec = agent.spec.execution
    backlog = max_backlog(spec)
    bound = effective_concurrency(spec.max_concurrency, policy)
    if policy in _COUNTED and bound == 0:
        return _insert_all(tx, after, agent, works, now=now, room=len(works))
    cap = backlog + 1 if policy in _COUNTED and backlog else 1 if policy in _COUNTED else 0
    taken = tx.executions.occupancy(agent.id, cap=cap)
    if policy in _COUNTED and (not backlog or taken.queued + len(works) <= backlog):
        room = 0 if taken.queued else bound - taken.places
        return _insert_all(tx, after, agent, works, now=now, room=room)
    return _decide(tx, after, agent, works, policy=policy, now=now, places=taken.places, queued=taken.queued)


def _decide(
    tx: Transaction,
    after: After,
    agent: Agent,
    works: Sequence[Work],
    *,
    policy: OverlapPolicy,
    now: datetime,
    places: int,
    queued: int,
) -> Admission:
    spec = agent.spec.execution
    names_matter = policy in {OverlapPolicy.CANCEL_OTHER, OverlapPolicy.TERMINATE_OTHER}
    same = tx.executions.open(agent.id, trigger_id=works[0].trigger.trigger_id) if names_matter else []
    waiting = {one.id: one for one in same if one.state is ExecutionState.QUEUED and not one.started}
    decision = decide(
        policy,
        running=places,
        max_concurrency=effective_concurrency(spec.max_concurrency, policy),
        max_backlog=max_backlog(spec),
        buffered=[*waiting] if names_matter else [f"waiting {n}" for n in range(queued)],
        due=[work.execution_id for work in works],
    )
    ended = {*decision.skipped, *decision.dropped}
    for execution in waiting.values():
        if execution.id in ended:
            cancel(tx, after, execution, reason="replaced by its trigger's next fire", now=now)
    if decision.cancel or decision.terminate:
        verb = "terminated" if decision.terminate else "cancelled"
        for execution in same:
            if execution.id not in waiting:
                cancel(tx, after, execution, reason=f"{verb} by its trigger's next fire", now=now)
    others_wait = names_matter and queued > len(waiting)
    started: list[Execution] = []
    buffered: list[Execution] = []
    for work in works:
        if work.execution_id in decision.start and not others_wait:
            started.append(insert(tx, after, agent, work, now=now))
        elif work.execution_id not in ended:
            buffered.append(insert(tx, after, agent, work, now=now))
    return Admission(
        started=tuple(started),
        buffered=tuple(buffered),
        skipped=tuple(work for work in works if work.execution_id in decision.skipped),
        dropped=tuple(work for work in works if work.execution_id in decision.dropped),
    )


def _insert_all(
    tx: Transaction, after: After, agent: Agent, works: Sequence[Work], *, now: datetime, room: int
) -> Admission:
    """Lets all of them in: the first `room` start at once where their agent may start work now."""
    room = max(room, 0)
    at_once = room if after.claiming and agent.state is AgentState.ACTIVE else 0
    executions = [
        insert(tx, after, agent, work, now=now, start=index < at_once) for index, work in enumerate(works)
    ]
    return Admission(started=tuple(executions[:room]), buffered=tuple(executions[room:]))


def insert(
    tx: Transaction, after: After, agent: Agent, work: Work, *, now: datetime, start: bool = False
) -> Execution:
    """Writes an execution and its event.

    With `start` it is claimed as it is written (queued and started in one commit), else its agent is told.
    """
    total = agent.spec.execution.total_timeout
    execution = Execution(
        id=work.execution_id,
        agent_id=agent.id,
        agent_generation=agent.generation,
        state=ExecutionState.QUEUED,
        trigger=work.trigger,
        create_time=now,
        input=input_text(agent, work),
        priority=work.priority,
        labels=work.labels,
        deadline=None if total is None else now + total,
    )
    if total is not None:
        after.timers = True
    if start:
        return _insert_started(tx, after, agent, execution, now=now)
    tx.executions.insert(execution)
    after.append(tx, execution_fact(execution, ExecutionState.QUEUED, now=now))
    after.work.append(agent.id)
    return execution


def _insert_started(
    tx: Transaction, after: After, agent: Agent, execution: Execution, *, now: datetime
) -> Execution:
    """A place is free and nobody waits: what would be claimed next is this one, so it is claimed at once."""
    running = replace(
        execution, state=ExecutionState.RUNNING, lease=1, attempt=1, started=True, start_time=now
    )
    tx.executions.insert(running)
    after.append(tx, execution_fact(execution, ExecutionState.QUEUED, now=now))
    after.append(tx, execution_fact(running, ExecutionState.RUNNING, now=now))
    memory = tx.agents.memory(agent.id) if max_concurrency(agent.spec.execution) == 1 else None
    after.claimed.setdefault(agent.id, []).append(Claimed(running, agent, memory))
    return running


def input_text(agent: Agent, work: Work) -> str:
    """The input as it is fixed at creation: the agent's, then the trigger's, then the call's."""
    trigger = agent.spec.trigger(work.trigger.trigger_id) if work.trigger.trigger_id else None
    whole = merged(agent.spec.input, trigger.input if trigger else None, work.input)
    return checked(whole, field="input") if whole else "{}"


def _policy(agent: Agent, trigger: TriggerRef) -> OverlapPolicy:
    spec = agent.spec.trigger(trigger.trigger_id) if trigger.trigger_id else None
    own = spec.overlap if spec else OverlapPolicy.UNSPECIFIED
    return effective_overlap(agent.spec.execution.overlap, own, trigger.kind)
