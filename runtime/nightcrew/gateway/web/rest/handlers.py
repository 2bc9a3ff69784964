"""What each call of REST does: a body becomes a wish, a use case fulfils it, its outcome becomes an answer."""

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response, StreamingResponse

from nightcrew.domain.agent import Agent
from nightcrew.domain.agent import AgentState as State
from nightcrew.domain.errors import Aborted, NotFound
from nightcrew.domain.filter import Comparison, Expression, Or
from nightcrew.domain.lifecycle.agent import AgentEvent
from nightcrew.domain.page import MAX_PAGE_SIZE, ListQuery, Page
from nightcrew.domain.values import checked
from nightcrew.gateway.web.rest.agents import (
    FLOW_ID,
    agent_answer,
    check_enabled,
    check_there,
    manifest_of,
    next_run,
    patch_of,
    state_answer,
)
from nightcrew.gateway.web.rest.answers import (
    AgentRead,
    AgentState,
    Paused,
    Resumed,
    Started,
    Stopped,
    Triggered,
)
from nightcrew.gateway.web.rest.bodies import (
    AgentUpdate,
    AnyCreate,
    ListAgents,
    ListExecutions,
    TriggerQuery,
    WebhookConfig,
)
from nightcrew.gateway.web.rest.executions import TRIGGER_SOURCE, execution_json
from nightcrew.gateway.web.rest.problems import JSON
from nightcrew.ports.clock import Ids
from nightcrew.services.executions import History, Triggering
from nightcrew.services.once import Request
from nightcrew.services.use_cases import UseCases

AGENTS_AT_ONCE: Final = 100
EXECUTIONS_AT_ONCE: Final = 16
"""As many are in memory at once: each may have an input and a result of 1 MiB."""
STOP_WAIT: Final = 3.0
"""Seconds that a stop waits for what ran: most programs heed a cancel at once."""
EDITS: Final = 8
"""How often an update that others overtake is made anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, read and checked.

    Attributes:
        request: Who asks, with the key under which the answer is remembered.
        hooks: The URL under which webhooks are called.
        agent_id: From the path.
        execution_id: From the path.
        query: The model of the operation's query.
        body: The model of its body.
    """

    request: Request
    hooks: str
    agent_id: str = ""
    execution_id: str = ""
    query: Any = None
    body: Any = None


class BackgroundAgents:
    """The operations of `/api/v1/background_agents`.

    Args:
        use_cases: What is called.
        ids: Where the ids of new agents come from: UUIDs, as the seed's callers expect.
    """

    def __init__(self, use_cases: UseCases, *, ids: Ids) -> None:
        self._agents = use_cases.agents
        self._executions = use_cases.executions
        self._programs = use_cases.programs
        self._status = use_cases.status
        self._webhooks = use_cases.webhooks
        self._ids = ids

    async def create(self, call: Call) -> AgentRead:
        """Makes an agent, STOPPED."""
        body: AnyCreate = call.body
        checked(body.input_config, field="input_config")
        program = await self._programs.named(body.flow_id)
        secret = None
        if body.trigger_config == WebhookConfig():
            secret = self._webhooks.new_secret()
            body = body.model_copy(update={"trigger_config": WebhookConfig(secret=secret)})
        manifest = manifest_of(body, agent_id=self._ids.uuid7(), program=program)
        agent = await self._agents.create(manifest, request=call.request)
        # An agent that was made by an earlier call with this key has the secret that was made then.
        return await self._read(agent, call, secret=secret if agent.id == manifest.id else None)

    async def list(self, call: Call) -> Response:
        """Lists agents, the newest first, however many there are."""
        query: ListAgents = call.query
        where = await self._runs(query.flow_id) if query.flow_id else None
        first = await self._agents.page(ListQuery(page_size=AGENTS_AT_ONCE, where=where))
        return StreamingResponse(self._listed(first, where, call), media_type=JSON)

    async def get(self, call: Call) -> AgentRead:
        """Gives an agent."""
        return await self._read(await self._existing(call.agent_id), call)

    async def update(self, call: Call) -> AgentRead:
        """Changes what is given; a new trigger counts from now on."""
        body: AgentUpdate = call.body
        if body.input_config is not None:
            checked(body.input_config, field="input_config")
        for _ in range(EDITS):
            agent = await self._existing(call.agent_id)
            patch = patch_of(agent, body, new_secret=self._webhooks.new_secret)
            if not patch.paths:
                return await self._read(agent, call)
            try:
                changed = await self._agents.update(
                    agent.id, patch.agent, paths=patch.paths, etag=agent.etag, request=call.request
                )
            except Aborted:
                continue  # somebody else changed it meanwhile: what is to change is worked out anew
            mine = changed.revision == agent.revision + 1  # and not of an earlier call with this key
            return await self._read(changed, call, secret=patch.secret if mine else None)
        raise Aborted(f"agent {call.agent_id!r} is changed by others all the time; try again")

    async def delete(self, call: Call) -> None:
        """Deletes an agent; what runs is cancelled first."""
        await self._agents.delete(call.agent_id, etag="", force=True, request=call.request)

    async def start(self, call: Call) -> Started:
        """STOPPED or ERROR → ACTIVE."""
        agent = await self._command(AgentEvent.START, call)
        figures = (await self._status.of_all([agent]))[agent.id]
        return Started(agent_id=agent.id, next_run_at=next_run(figures))

    async def stop(self, call: Call) -> Stopped:
        """→ STOPPED; what ran is cancelled. Waits a little for its end, so that it can be started again at once."""
        agent = await self._command(AgentEvent.STOP, call)
        if agent.state is State.STOPPING:
            await self._executions.wait_for_all(agent.id, STOP_WAIT)
        return Stopped(agent_id=agent.id)

    async def pause(self, call: Call) -> Paused:
        """ACTIVE → PAUSED."""
        return Paused(agent_id=(await self._command(AgentEvent.PAUSE, call)).id)

    async def resume(self, call: Call) -> Resumed:
        """PAUSED or ERROR → ACTIVE."""
        return Resumed(agent_id=(await self._command(AgentEvent.RESUME, call)).id)

    async def trigger(self, call: Call) -> Triggered:
        """Makes an execution, with the body over the agent's input."""
        query: TriggerQuery = call.query
        wish = Triggering(
            agent_id=call.agent_id,
            request=call.request,
            input=call.body or {},
            labels={TRIGGER_SOURCE: query.trigger_source} if query.model_fields_set else {},
            check=check_enabled,
        )
        execution = await self._executions.trigger(wish)
        return Triggered(agent_id=call.agent_id, execution_id=execution.id)

    async def status(self, call: Call) -> AgentState:
        """Gives what an agent is doing."""
        agent = await self._existing(call.agent_id)
        return state_answer(agent, (await self._status.of_all([agent]))[agent.id])

    async def executions(self, call: Call) -> Response:
        """Lists an agent's executions, the newest first."""
        query: ListExecutions = call.query
        agent = await self._existing(call.agent_id)
        history = await self._executions.history(
            agent.id, limit=min(query.limit, MAX_PAGE_SIZE), offset=query.offset
        )
        return StreamingResponse(self._recorded(history), media_type=JSON)

    async def execution(self, call: Call) -> Response:
        """Gives one execution of an agent."""
        agent = await self._existing(call.agent_id)
        execution = await self._executions.get(call.execution_id)
        if execution.agent_id != agent.id:
            raise NotFound("execution", call.execution_id)
        return Response(execution_json(execution), media_type=JSON)

    async def _existing(self, agent_id: str) -> Agent:
        """The agent."""
        agent = await self._agents.get(agent_id)
        check_there(agent)
        return agent

    async def _read(self, agent: Agent, call: Call, *, secret: str | None = None) -> AgentRead:
        figures = (await self._status.of_all([agent]))[agent.id]
        return agent_answer(agent, figures, hooks=call.hooks, secret=secret)

    async def _command(self, event: AgentEvent, call: Call) -> Agent:
        check = check_enabled if event in {AgentEvent.START, AgentEvent.RESUME} else check_there
        return await self._agents.command(event, call.agent_id, reason="", request=call.request, check=check)

    async def _runs(self, flow_id: str) -> Expression:
        """Agents that were made with this flow_id, or run what it names."""
        named = {flow_id}
        with suppress(NotFound):  # it may have been there when its agents were made
            named.add((await self._programs.named(flow_id)).name)
        said = Comparison(f"labels.{FLOW_ID}", "=", flow_id, 0)
        return Or((said, *(Comparison("program", "=", name, 0) for name in sorted(named))))

    async def _listed(self, first: Page[Agent], where: Expression | None, call: Call) -> AsyncIterator[str]:
        page, between = first, "["
        while True:
            agents = [agent for agent in page.items if not agent.delete_requested]
            figures = await self._status.of_all(agents)
            answers = [agent_answer(agent, figures[agent.id], hooks=call.hooks) for agent in agents]
            if answers:
                yield between + ",".join(answer.model_dump_json() for answer in answers)
                between = ","
            if not page.next_page_token:
                break
            query = ListQuery(page_size=AGENTS_AT_ONCE, page_token=page.next_page_token, where=where)
            page = await self._agents.page(query)
        yield "[]" if between == "[" else "]"

    async def _recorded(self, history: History) -> AsyncIterator[str]:
        count, between = 0, '{"executions":['
        for start in range(0, len(history.ids), EXECUTIONS_AT_ONCE):
            some = await self._executions.some(history.ids[start : start + EXECUTIONS_AT_ONCE])
            if some:
                yield between + ",".join(map(execution_json, some))
                count, between = count + len(some), ","
        yield ("" if count else between) + f'],"count":{count},"total":{history.total}}}'
