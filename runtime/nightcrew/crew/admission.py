"""The one door for work: overlap decided and the execution written in the caller's own transaction."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from nightcrew.crew.commits import After
from nightcrew.crew.intake import Admission, Work, enter, execution_of, let_in
from nightcrew.crew.replacement import replace_others, startable
from nightcrew.crew.residents import occupancy
from nightcrew.domain.agent import Agent, AgentState
from nightcrew.domain.errors import FailedPrecondition, ResourceExhausted
from nightcrew.domain.execution import Execution, TriggerRef
from nightcrew.domain.overlap import decide, effective_overlap
from nightcrew.domain.policies import max_backlog, max_concurrency
from nightcrew.domain.spec.policy import OverlapPolicy
from nightcrew.ports.store import Transaction

# Tuples: what is asked of an enum's set is a hash in Python.
_COUNTED: Final = (OverlapPolicy.BUFFER_ALL, OverlapPolicy.ALLOW)
"""Policies that let everything in while the backlog has room."""
_REPLACING: Final = (OverlapPolicy.CANCEL_OTHER, OverlapPolicy.TERMINATE_OTHER)


def admit_one(tx: Transaction, after: After, agent: Agent, work: Work, *, now: datetime) -> Execution:
    """Lets one piece of work in, or says why not; nothing is written when it raises.

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
    idle: bool = False,
) -> Admission:
    """Decides overlap for works of one trigger that are due together, and writes those that are let in.

    `overlap`, where it is said, stands before the trigger's and the agent's own (catch-up, backfill). `idle` says
    that no execution of the agent is open, as its caller has seen in this transaction.

    Raises:
        InvalidArgument: A merged input is over 1 MiB; nothing is written then.
    """
    if idle and len(works) == 1:
        return Admission(started=(enter(tx, after, agent, works[0], now=now),))
    policy = overlap if overlap is not OverlapPolicy.UNSPECIFIED else _policy(agent, works[0].trigger)
    bound = max_concurrency(agent.spec)
    if not bound:
        asking = [execution_of(agent, work, now=now) for work in works]
        return let_in(tx, after, agent, asking, room=len(asking), now=now)
    counted = policy in _COUNTED
    backlog = max_backlog(agent.spec.execution)
    # Counting stops where more would change nothing.
    taken = occupancy(tx, agent, cap=bound + 1 if not counted else backlog + 1 if backlog else 1)
    if len(works) == 1 and taken.nothing:
        return Admission(started=(enter(tx, after, agent, works[0], now=now),))
    asking = [execution_of(agent, work, now=now) for work in works]
    if policy in _REPLACING:
        return replace_others(tx, after, agent, asking, policy=policy, now=now)
    if counted and (not backlog or taken.queued + len(asking) <= backlog):
        room = 0 if taken.queued else bound - taken.places
        return let_in(tx, after, agent, asking, room=room, now=now)
    held = agent.state is not AgentState.ACTIVE and taken.queued and not counted
    queued = startable(tx, agent) if held else taken.queued
    decision = decide(
        policy,
        running=taken.places,
        max_concurrency=bound,
        max_backlog=backlog,
        buffered=range(-queued, 0),
        due=range(len(asking)),
    )
    starting = [asking[one] for one in decision.start if one >= 0]
    kept = [asking[one] for one in decision.keep if one >= 0]
    admission = let_in(
        tx, after, agent, starting + kept, room=len(starting), at_once=not taken.queued, now=now
    )
    return replace(
        admission,
        skipped=tuple(asking[one] for one in decision.skipped),
        dropped=tuple(asking[one] for one in decision.dropped),
    )


def _policy(agent: Agent, trigger: TriggerRef) -> OverlapPolicy:
    spec = agent.spec.trigger(trigger.trigger_id) if trigger.trigger_id else None
    own = spec.overlap if spec else OverlapPolicy.UNSPECIFIED
    return effective_overlap(agent.spec.execution.overlap, own, trigger.kind)
