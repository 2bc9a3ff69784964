"""AgentService over gRPC: agents' definitions, their status, their watch; lifecycle and triggers beside it."""

from collections.abc import AsyncGenerator

from nightcrew.crew.bus import Signal
from nightcrew.domain.agent import Agent
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.page import ListQuery, Page
from nightcrew.gateway.grpc.convert.agent import (
    STATES,
    AgentMessages,
    manifest_of,
    status_message,
    written,
)
from nightcrew.gateway.grpc.methods import Method, stream, unary
from nightcrew.gateway.grpc.requests import fill_page, query_of, request_of, required
from nightcrew.gateway.grpc.servicers.lifecycle import Lifecycle
from nightcrew.gateway.grpc.servicers.triggers import Triggers
from nightcrew.gateway.grpc.servicers.watches import AgentWatches, selection_of
from nightcrew.ports.clock import Clock
from nightcrew.services.fields import AGENT_ORDERS, AGENTS
from nightcrew.services.status import AgentStatus
from nightcrew.services.use_cases import UseCases
from nightcrew.v1 import agent_pb2
from nightcrew.v1 import agent_service_pb2 as pb


class AgentServicer:
    """Converts, calls the use case, converts back.

    Args:
        use_cases: What is called.
        clock: Dates heartbeats.
        closing: Once it is poked, watches and waits end.
    """

    def __init__(self, use_cases: UseCases, *, clock: Clock, closing: Signal) -> None:
        self._use_cases = use_cases
        self._agents = use_cases.agents
        self._status = use_cases.status
        self._messages = AgentMessages()
        self._closing = closing
        self._watches = AgentWatches(use_cases.status, self._messages, clock)
        self._lifecycle = Lifecycle(use_cases, self._messages)
        self._triggers = Triggers(use_cases.executions, closing)

    def methods(self) -> dict[str, Method]:
        """The RPCs by their names."""
        return {
            "CreateAgent": unary(pb.CreateAgentRequest, self.create),
            "GetAgent": unary(pb.GetAgentRequest, self.get),
            "ListAgents": unary(pb.ListAgentsRequest, self.list),
            "UpdateAgent": unary(pb.UpdateAgentRequest, self.update),
            "DeleteAgent": unary(pb.DeleteAgentRequest, self.delete),
            "ApplyAgents": unary(pb.ApplyAgentsRequest, self.apply),
            "GetAgentStatus": unary(pb.GetAgentStatusRequest, self.status),
            "WatchAgents": stream(pb.WatchAgentsRequest, self.watch),
            **self._lifecycle.methods(),
            **self._triggers.methods(),
        }

    async def create(self, request: pb.CreateAgentRequest) -> pb.CreateAgentResponse:
        """Makes an agent, STOPPED."""
        if not request.HasField("agent"):
            raise InvalidArgument.of("agent", "is required")
        manifest = manifest_of(request.agent, "agent")
        agent = await self._agents.create(manifest, request=request_of(request, "AgentService/CreateAgent"))
        return pb.CreateAgentResponse(agent=await self._message(agent))

    async def get(self, request: pb.GetAgentRequest) -> pb.GetAgentResponse:
        """Gives an agent with what it is doing."""
        agent, status = await self._status.of(required(request.id, "id"))
        return pb.GetAgentResponse(agent=self._messages.of(agent, status))

    async def list(self, request: pb.ListAgentsRequest) -> pb.ListAgentsResponse:
        """Lists agents with what they are doing."""
        query = query_of(request, AGENTS, AGENT_ORDERS, order_by=request.order_by)
        out = pb.ListAgentsResponse()
        statuses: dict[str, AgentStatus] = {}

        async def read(query: ListQuery) -> Page[Agent]:
            page = await self._agents.page(query)
            statuses.update(await self._status.of_all(page.items))
            return page

        def fill(message: agent_pb2.Agent, agent: Agent) -> None:
            message.CopyFrom(self._messages.of(agent, statuses[agent.id]))

        await fill_page(out, "agents", query, read, fill)
        return out

    async def update(self, request: pb.UpdateAgentRequest) -> pb.UpdateAgentResponse:
        """Changes the fields that the mask names."""
        agent = await self._agents.update(
            required(request.agent.id, "agent.id"),
            written(request.agent, "agent"),
            paths=list(request.update_mask.paths),
            etag=request.agent.etag,
            request=request_of(request, "AgentService/UpdateAgent"),
        )
        return pb.UpdateAgentResponse(agent=await self._message(agent))

    async def delete(self, request: pb.DeleteAgentRequest) -> pb.DeleteAgentResponse:
        """Deletes an agent, or commits the intent to."""
        left = await self._agents.delete(
            required(request.id, "id"),
            etag=request.etag,
            force=request.force,
            request=request_of(request, "AgentService/DeleteAgent"),
        )
        return pb.DeleteAgentResponse(agent=None if left is None else await self._message(left))

    async def apply(self, request: pb.ApplyAgentsRequest) -> pb.ApplyAgentsResponse:
        """Makes the agents be as they are given, all or nothing."""
        changes = await self._use_cases.apply.apply(
            [manifest_of(agent, f"agents[{index}]") for index, agent in enumerate(request.agents)],
            prune_selector=dict(request.prune_selector),
            validate_only=request.validate_only,
            request=request_of(request, "AgentService/ApplyAgents"),
        )
        out = pb.ApplyAgentsResponse()
        for change in changes:
            action = pb.AgentChange.Action.Value(change.action.value)
            out.changes.add(id=change.agent_id, action=action, diff=change.diff)
        return out

    async def status(self, request: pb.GetAgentStatusRequest) -> pb.GetAgentStatusResponse:
        """Gives what an agent is doing now."""
        agent, status = await self._status.of(required(request.id, "id"))
        return pb.GetAgentStatusResponse(
            status=status_message(status), state=STATES[agent.state], state_reason=agent.state_reason
        )

    def watch(self, request: pb.WatchAgentsRequest) -> AsyncGenerator[bytes, None]:
        """Streams what happens to agents."""
        batches = self._use_cases.watch.agents(
            selection_of(request),
            include_snapshot=request.include_snapshot,
            resume_token=request.resume_token,
            closing=self._closing,
        )
        return self._watches.written(batches)

    async def _message(self, agent: Agent) -> agent_pb2.Agent:
        statuses = await self._status.of_all([agent])
        return self._messages.of(agent, statuses[agent.id])
