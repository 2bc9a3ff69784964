"""What is to be done about one schedule of an agent now: times of inactivity, skips, catch-up, what is due."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from nightcrew.domain.agent import Agent, AgentState
from nightcrew.domain.fire import ScheduleCursor, Skip
from nightcrew.domain.schedule.catch_up import Due, Known, Passed, passed, plan
from nightcrew.domain.schedule.compile import compile_schedule
from nightcrew.domain.schedule.leaving_out import leave_out
from nightcrew.domain.schedule.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What is to be written about a schedule.

    Attributes:
        agent: Whose schedule it is.
        plan: The schedule.
        cursor: How far it had got.
        idle: Times that passed while the agent was not ACTIVE: they are not caught up.
        skips: What people asked to leave out and whose time has come.
        missed: Times that catch-up passes over.
        due: What is to be run, and where the schedule stands then.
    """

    agent: Agent
    plan: Plan
    cursor: ScheduleCursor
    idle: Passed | None
    skips: Sequence[Skip]
    missed: Sequence[Passed]
    due: Due


def decide(
    agent: Agent,
    cursor: ScheduleCursor,
    skips: Mapping[datetime, Skip],
    *,
    awake_since: datetime,
    now: datetime,
    known: Known | None = None,
) -> Decided | None:
    """What is to be written about a schedule; None if nothing will come of it as things stand.

    Args:
        agent: As it is now.
        cursor: How far the schedule of one of its triggers has got.
        skips: Times of it up to now that people asked to leave out.
        awake_since: Since when the scheduler looks without a break: what was due before was missed.
        now: The wall clock.
        known: Times that were computed ahead, if they were.
    """
    trigger = agent.spec.trigger(cursor.trigger_id)
    if cursor.exhausted or agent.state is not AgentState.ACTIVE:
        return None
    if trigger is None or trigger.schedule is None or trigger.disabled:
        return None
    schedule = compile_schedule(trigger.schedule)
    if schedule.spent(cursor.fires):
        nothing = Due(cursor=cursor.cursor, next_time=None, wake=None)
        return Decided(agent=agent, plan=schedule, cursor=cursor, idle=None, skips=(), missed=(), due=nothing)
    key = (agent.id, trigger.id)
    idle, position = _idle(schedule, cursor, agent)
    due = plan(
        schedule,
        position,
        now,
        awake_since=max(awake_since, agent.state_time),
        agent_id=agent.id,
        trigger_id=trigger.id,
        known=known,
    )
    missed: Sequence[Passed] = () if due.missed is None else (due.missed,)
    come = [skip for time, skip in skips.items() if cursor.cursor < time <= due.cursor]
    if come:
        named = {skip.nominal_time for skip in come if skip.nominal_time > position}
        left = leave_out(schedule, due, named, after=position, now=now, key=key)
        due = replace(due, caught_up=left.caught_up, on_time=left.on_time)
        missed = left.missed
    return Decided(agent=agent, plan=schedule, cursor=cursor, idle=idle, skips=come, missed=missed, due=due)


def _idle(schedule: Plan, cursor: ScheduleCursor, agent: Agent) -> tuple[Passed | None, datetime]:
    """Times that passed while the agent was not ACTIVE, and from where to go on."""
    since = agent.state_time
    if cursor.cursor >= since:
        return None, cursor.cursor
    gone = passed(schedule, cursor.cursor, since, agent_id=agent.id, trigger_id=cursor.trigger_id)
    if gone is not None:
        return gone, gone.last
    # A time whose jitter reaches past the start still fires; without one, this need not be asked again.
    following = schedule.next_after(cursor.cursor)
    return None, since if following is None or following > since else cursor.cursor
