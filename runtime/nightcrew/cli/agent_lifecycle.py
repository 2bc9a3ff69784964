"""`nightcrew agents start|stop|pause|resume`: one agent, several, or all that have some labels."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated

import typer

from nightcrew.cli import views
from nightcrew.cli.agents import app
from nightcrew.cli.connection import Session, control
from nightcrew.cli.inputs import labels
from nightcrew.cli.refusal import DONE, REFUSED, WrongUse
from nightcrew.client.errors import NightcrewClientError, NotReachable
from nightcrew.client.models.agent import Agent, LifecycleResult

AgentIds = Annotated[list[str] | None, typer.Argument(metavar="AGENT", help="The agents' ids.")]
SelectorOption = Annotated[
    list[str] | None,
    typer.Option(
        "--selector", "-l", metavar="KEY=VALUE", help="All agents that have these labels, in place of ids."
    ),
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for people; the agent keeps it.")]

One = Callable[..., Awaitable[Agent]]
Many = Callable[..., Awaitable[tuple[LifecycleResult, ...]]]


@control(app, "start")
async def start(
    session: Session, agent: AgentIds = None, *, selector: SelectorOption = None, reason: ReasonOption = ""
) -> int:
    """Start agents: their triggers fire from now on. Refused while one is PAUSED (resume it) or STOPPING.

    Examples:
      nightcrew agents start digest
      nightcrew agents start -l team=ops
    """
    agents = session.client.agents
    return await _each(session, agent, selector, reason, agents.start, agents.start_all)


@control(app, "stop")
async def stop(
    session: Session, agent: AgentIds = None, *, selector: SelectorOption = None, reason: ReasonOption = ""
) -> int:
    """Stop agents: every execution that has not ended is cancelled, nothing fires any more.

    Examples:
      nightcrew agents stop digest --reason "on holiday"
      nightcrew agents stop -l team=ops
    """
    agents = session.client.agents
    return await _each(session, agent, selector, reason, agents.stop, agents.stop_all)


@control(app, "pause")
async def pause(
    session: Session, agent: AgentIds = None, *, selector: SelectorOption = None, reason: ReasonOption = ""
) -> int:
    """Pause agents: what runs may end, what has not started waits, save what people ask for.

    Examples:
      nightcrew agents pause digest
    """
    agents = session.client.agents
    return await _each(session, agent, selector, reason, agents.pause, agents.pause_all)


@control(app, "resume")
async def resume(
    session: Session, agent: AgentIds = None, *, selector: SelectorOption = None, reason: ReasonOption = ""
) -> int:
    """Resume agents that are PAUSED or in ERROR.

    Examples:
      nightcrew agents resume digest
      nightcrew agents resume -l team=ops
    """
    agents = session.client.agents
    return await _each(session, agent, selector, reason, agents.resume, agents.resume_all)


async def _each(
    session: Session, ids: list[str] | None, selector: list[str] | None, reason: str, one: One, many: Many
) -> int:
    """Acts on each and shows what became of it; 1 when any was refused."""
    wanted: Mapping[str, str] = labels(selector or (), "--selector")
    if bool(ids) == bool(wanted):
        raise WrongUse("AGENT", "give agents, or labels with --selector; one of the two")
    if ids is not None and len(ids) == 1:
        agent = await one(ids[0], reason=reason)
        session.printer.one(agent, {"agent": agent.id, "state": agent.state, "reason": agent.state_reason})
        return DONE
    if wanted:
        results = await many(wanted, reason=reason)
        if not results:
            session.printer.remark("no agent has these labels")
    else:
        results = tuple([await _result(one, agent_id, reason) for agent_id in ids or ()])
    session.printer.many(results, views.LIFECYCLE)
    return REFUSED if any(result.error for result in results) else DONE


async def _result(one: One, agent_id: str, reason: str) -> LifecycleResult:
    try:
        return LifecycleResult(id=agent_id, agent=await one(agent_id, reason=reason))
    except NotReachable:
        raise
    except NightcrewClientError as error:
        return LifecycleResult(id=agent_id, error=error)
