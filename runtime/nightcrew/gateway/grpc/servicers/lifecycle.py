"""Start, Stop, Pause, Resume: one agent by its id, or all that a selector finds."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.lifecycle.agent import AgentEvent
from nightcrew.gateway.grpc.convert.agent import AgentMessages, error_message
from nightcrew.gateway.grpc.methods import Method, unary
from nightcrew.gateway.grpc.requests import reason_of, request_of
from nightcrew.services.agents import Commanded
from nightcrew.services.use_cases import UseCases
from nightcrew.v1 import agent_service_pb2 as pb


class _Command(Protocol):
    """The requests of the four RPCs have the same fields."""

    @property
    def id(self) -> str: ...
    @property
    def selector(self) -> Mapping[str, str]: ...
    @property
    def request_id(self) -> str: ...
    @property
    def reason(self) -> str: ...


Answer = TypeVar(
    "Answer", pb.StartAgentResponse, pb.StopAgentResponse, pb.PauseAgentResponse, pb.ResumeAgentResponse
)


class Lifecycle:
    """The four commands."""

    def __init__(self, use_cases: UseCases, messages: AgentMessages) -> None:
        self._agents = use_cases.agents
        self._status = use_cases.status
        self._messages = messages

    def methods(self) -> dict[str, Method]:
        """The RPCs by their names."""
        return {
            "StartAgent": unary(pb.StartAgentRequest, self.start),
            "StopAgent": unary(pb.StopAgentRequest, self.stop),
            "PauseAgent": unary(pb.PauseAgentRequest, self.pause),
            "ResumeAgent": unary(pb.ResumeAgentRequest, self.resume),
        }

    async def start(self, request: pb.StartAgentRequest) -> pb.StartAgentResponse:
        """STOPPED or ERROR → ACTIVE."""
        return await self._command(AgentEvent.START, request, "StartAgent", pb.StartAgentResponse())

    async def stop(self, request: pb.StopAgentRequest) -> pb.StopAgentResponse:
        """→ STOPPED, through STOPPING while anything runs."""
        return await self._command(AgentEvent.STOP, request, "StopAgent", pb.StopAgentResponse())

    async def pause(self, request: pb.PauseAgentRequest) -> pb.PauseAgentResponse:
        """ACTIVE → PAUSED."""
        return await self._command(AgentEvent.PAUSE, request, "PauseAgent", pb.PauseAgentResponse())

    async def resume(self, request: pb.ResumeAgentRequest) -> pb.ResumeAgentResponse:
        """PAUSED or ERROR → ACTIVE."""
        return await self._command(AgentEvent.RESUME, request, "ResumeAgent", pb.ResumeAgentResponse())

    async def _command(self, event: AgentEvent, message: _Command, method: str, out: Answer) -> Answer:
        if bool(message.id) == bool(message.selector):
            given = "both are" if message.id else "neither is"
            raise InvalidArgument.of("id", f"give an id, or a selector of labels; {given} given")
        reason = reason_of(message.reason)
        request = request_of(message, f"AgentService/{method}")
        if message.id:
            agent = await self._agents.command(event, message.id, reason=reason, request=request)
            statuses = await self._status.of_all([agent])
            out.agent.CopyFrom(self._messages.of(agent, statuses[agent.id]))
        else:
            results = await self._agents.command_all(
                event, dict(message.selector), reason=reason, request=request
            )
            await self._fill(out.results, results)
        return out

    async def _fill(self, out: Any, results: Sequence[Commanded]) -> None:
        agents = [one.agent for one in results if one.agent is not None]
        statuses = await self._status.of_all(agents) if agents else {}
        for one in results:
            result = out.add(id=one.agent_id)
            if one.agent is not None:
                result.agent.CopyFrom(self._messages.of(one.agent, statuses[one.agent_id]))
            if one.error is not None:
                result.error.CopyFrom(error_message(one.error))
