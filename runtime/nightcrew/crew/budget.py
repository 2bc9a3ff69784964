"""Budgets at work: what is used is counted in the transaction that uses it, and past a limit the agent is paused."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from nightcrew.agent.errors import BudgetExceeded
from nightcrew.crew.agent_moves import move_agent
from nightcrew.crew.commits import After
from nightcrew.domain.agent import Agent, AgentState
from nightcrew.domain.budget import EXECUTIONS, RUN_TIME, Limit, limits_of, spends, window
from nightcrew.domain.errors import FailedPrecondition
from nightcrew.domain.execution import Execution
from nightcrew.domain.lifecycle.agent import AgentEvent
from nightcrew.domain.step import Step, StepState
from nightcrew.domain.values import decode
from nightcrew.ports.store import Transaction
from nightcrew.programs.step_error import failed

_MICRO: Final = timedelta(microseconds=1)
_BUDGET_EXCEEDED: Final = (BudgetExceeded.__module__, BudgetExceeded.__name__)


def forbidding(tx: Transaction, agent: Agent, *, now: datetime) -> tuple[Limit, int] | None:
    """The limit that lets nothing more start now, and how much of it is used; None if none does."""
    if agent.spec.limits is None:
        return None
    for limit in limits_of(agent.spec.limits):
        used = tx.usage.used(agent.id, limit.counter, window=window(limit.per, now)[0])
        if limit.forbids(used):
            return limit, used
    return None


def hold(tx: Transaction, after: After, agent: Agent, limit: Limit, used: int, *, now: datetime) -> None:
    """Pauses an agent that has reached a limit; one that does not take work anyway stays as it is."""
    if agent.state is AgentState.ACTIVE:
        move_agent(tx, after, agent, AgentEvent.PAUSE, now=now, reason=limit.reached(used, now))


def count_start(tx: Transaction, agent: Agent, *, now: datetime) -> None:
    """Counts an execution that starts for the first time."""
    for limit in _named(agent, EXECUTIONS):
        tx.usage.add(agent.id, limit.counter, window=window(limit.per, now)[0], amount=1)


def count_run_time(tx: Transaction, after: After, agent_id: str, span: timedelta, *, now: datetime) -> None:
    """Counts the time that an attempt has run."""
    agent = tx.agents.get(agent_id)
    if agent is None:
        return
    for limit in _named(agent, RUN_TIME):
        amount = max(span // _MICRO, 0)
        used = tx.usage.add(agent.id, limit.counter, window=window(limit.per, now)[0], amount=amount)
        if limit.forbids(used):
            hold(tx, after, agent, limit, used, now=now)


def spend(tx: Transaction, after: After, execution: Execution, step: Step, *, now: datetime) -> Step:
    """Counts what a program reports, in the transaction that journals it; past a limit the step is a failure.

    What goes past it is reported all the same: it is spent. The report that is the first past it is no failure.
    """
    agent = tx.agents.get(execution.agent_id)
    if agent is None or agent.spec.limits is None:
        return step
    amount = decode(step.detail)
    exceeded: tuple[Limit, int] | None = None
    for limit in limits_of(agent.spec.limits):
        if not spends(limit, step.name):
            continue
        used = tx.usage.add(agent.id, limit.counter, window=window(limit.per, now)[0], amount=amount)
        if limit.forbids(used):
            hold(tx, after, tx.agents.get(agent.id) or agent, limit, used, now=now)
        if limit.forbids(used - amount):
            exceeded = exceeded or (limit, used)
    if exceeded is None:
        return step
    limit, used = exceeded
    error = failed(_BUDGET_EXCEEDED, limit.reached(used, now), retryable=False)
    return replace(step, state=StepState.FAILED, result=None, error=error)


def check_resume(tx: Transaction, agent: Agent, *, now: datetime) -> None:
    """Whether an agent may be resumed: not while a limit would pause it again at once.

    Raises:
        FailedPrecondition: `limit_reached`; says which, and until when.
    """
    found = forbidding(tx, agent, now=now)
    if agent.state is AgentState.ACTIVE or found is None:
        return
    limit, used = found
    raise FailedPrecondition(
        f"agent {agent.id!r} can't be resumed: {limit.reached(used, now).partition(': ')[2]}; raise the limit, or"
        " resume it then",
        subject=f"agents/{agent.id}",
        state=agent.state.value,
        code="limit_reached",
    )


def _named(agent: Agent, counter: str) -> list[Limit]:
    limits = () if agent.spec.limits is None else limits_of(agent.spec.limits)
    return [limit for limit in limits if limit.counter == counter]
