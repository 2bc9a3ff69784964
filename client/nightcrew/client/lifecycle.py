"""Starting, stopping, pausing and resuming agents: one by its id, or many by their labels."""

from collections.abc import Mapping
from typing import Any

import grpc.aio

from nightcrew.client.agent_service import AgentServiceFace
from nightcrew.client.chance import request_id as new_request_id
from nightcrew.client.models.agent import Agent, LifecycleResult
from nightcrew.client.wire import agents as wire
from nightcrew.client.wire.values import refused
from nightcrew.v1 import agent_service_pb2 as rpc


class Lifecycle(AgentServiceFace):
    """The lifecycle commands. Each takes an id; its twin `…_all` takes labels and acts on all that have them."""

    async def start(self, agent_id: str, *, reason: str = "", request_id: str | None = None) -> Agent:
        """STOPPED or ERROR → ACTIVE; an ACTIVE agent stays as it is.

        Raises:
            FailedPrecondition: It is PAUSED or STOPPING.
        """
        request = rpc.StartAgentRequest(**_one(agent_id, reason, request_id))
        return await self._single(self._stub.StartAgent, request)

    async def stop(self, agent_id: str, *, reason: str = "", request_id: str | None = None) -> Agent:
        """Cancels every execution; the agent answered is STOPPED, or STOPPING while any still runs."""
        request = rpc.StopAgentRequest(**_one(agent_id, reason, request_id))
        return await self._single(self._stub.StopAgent, request)

    async def pause(self, agent_id: str, *, reason: str = "", request_id: str | None = None) -> Agent:
        """ACTIVE → PAUSED: runs end, what never started is held, save what people ask for.

        Raises:
            FailedPrecondition: It is neither ACTIVE nor PAUSED.
        """
        request = rpc.PauseAgentRequest(**_one(agent_id, reason, request_id))
        return await self._single(self._stub.PauseAgent, request)

    async def resume(self, agent_id: str, *, reason: str = "", request_id: str | None = None) -> Agent:
        """PAUSED or ERROR → ACTIVE; an ACTIVE agent stays as it is.

        Raises:
            FailedPrecondition: It is STOPPED or STOPPING.
        """
        request = rpc.ResumeAgentRequest(**_one(agent_id, reason, request_id))
        return await self._single(self._stub.ResumeAgent, request)

    async def start_all(
        self, selector: Mapping[str, str], *, reason: str = "", request_id: str | None = None
    ) -> tuple[LifecycleResult, ...]:
        """Starts every agent that has all these labels; one that is refused does not stop the others."""
        request = rpc.StartAgentRequest(**_many(selector, reason, request_id))
        return await self._several(self._stub.StartAgent, request)

    async def stop_all(
        self, selector: Mapping[str, str], *, reason: str = "", request_id: str | None = None
    ) -> tuple[LifecycleResult, ...]:
        """Stops every agent that has all these labels."""
        request = rpc.StopAgentRequest(**_many(selector, reason, request_id))
        return await self._several(self._stub.StopAgent, request)

    async def pause_all(
        self, selector: Mapping[str, str], *, reason: str = "", request_id: str | None = None
    ) -> tuple[LifecycleResult, ...]:
        """Pauses every agent that has all these labels; one that is refused does not stop the others."""
        request = rpc.PauseAgentRequest(**_many(selector, reason, request_id))
        return await self._several(self._stub.PauseAgent, request)

    async def resume_all(
        self, selector: Mapping[str, str], *, reason: str = "", request_id: str | None = None
    ) -> tuple[LifecycleResult, ...]:
        """Resumes every agent that has all these labels; one that is refused does not stop the others."""
        request = rpc.ResumeAgentRequest(**_many(selector, reason, request_id))
        return await self._several(self._stub.ResumeAgent, request)

    async def _single(self, method: grpc.aio.UnaryUnaryMultiCallable[Any, Any], request: Any) -> Agent:
        return wire.agent((await self._transport.unary(method, request)).agent)

    async def _several(
        self, method: grpc.aio.UnaryUnaryMultiCallable[Any, Any], request: Any
    ) -> tuple[LifecycleResult, ...]:
        response = await self._transport.unary(method, request)
        return tuple(wire.lifecycle_result(one) for one in response.results)


def _one(agent_id: str, reason: str, request_id: str | None) -> dict[str, Any]:
    return {"id": agent_id, "reason": reason, "request_id": request_id or new_request_id()}


def _many(selector: Mapping[str, str], reason: str, request_id: str | None) -> dict[str, Any]:
    if not selector:
        # To the server an empty map is one that was not given; it could only say that neither was.
        raise refused(
            "selector", "must name at least one label: to act on every agent, give them a label in common"
        )
    return {"selector": dict(selector), "reason": reason, "request_id": request_id or new_request_id()}
