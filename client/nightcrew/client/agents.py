"""Agents: making, changing, deleting, applying, listing and watching them."""
# ruff: noqa: A002 - `filter` is the contract's name

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from google.protobuf.field_mask_pb2 import FieldMask

from nightcrew.client.chance import request_id as new_request_id
from nightcrew.client.lifecycle import Lifecycle
from nightcrew.client.models.agent import Agent, AgentChange, AgentCondition, AgentSnapshot
from nightcrew.client.models.event import Event, Gap
from nightcrew.client.pages import Page, Pages
from nightcrew.client.triggering import Triggering
from nightcrew.client.watch import Watch
from nightcrew.client.wire import agents as wire
from nightcrew.client.wire import events
from nightcrew.v1 import agent_service_pb2 as rpc

AgentItem: TypeAlias = AgentSnapshot | Event | Gap
"""What a watch of agents gives out."""


class Agents(Lifecycle, Triggering):
    """The face of nightcrew.v1.AgentService.

    Agents and their specs go in as protobuf's JSON with snake_case (or camelCase) names, so that a manifest,
    `as_json(agent)` or a plain dict will do. A mutation makes a `request_id` of its own unless it is given.
    """

    async def create(
        self,
        agent_id: str,
        spec: Mapping[str, Any],
        *,
        display_name: str = "",
        description: str = "",
        labels: Mapping[str, str] | None = None,
        request_id: str | None = None,
    ) -> Agent:
        """Makes an agent, in STATE_STOPPED.

        Args:
            agent_id: A slug (`[a-z0-9][a-z0-9-]{0,62}`); empty to have one made.
            spec: nightcrew.v1.AgentSpec, such as `{"program": {"python": {"entrypoint": "jobs:digest"}}}`.
            display_name: A name for people.
            description: What it is for.
            labels: By which selectors and filters find it.
            request_id: A UUID by which the server knows a repetition.

        Raises:
            AlreadyExists: The id is taken.
            InvalidArgument: Naming every field that is wrong.
        """
        message = wire.to_wire(
            {
                "id": agent_id,
                "display_name": display_name,
                "description": description,
                "labels": dict(labels or {}),
                "spec": spec,
            }
        )
        request = rpc.CreateAgentRequest(agent=message, request_id=request_id or new_request_id())
        return wire.agent((await self._transport.unary(self._stub.CreateAgent, request)).agent)

    async def get(self, agent_id: str) -> Agent:
        """Gives an agent.

        Raises:
            NotFound: There is none of that id.
        """
        request = rpc.GetAgentRequest(id=agent_id)
        return wire.agent((await self._transport.unary(self._stub.GetAgent, request)).agent)

    def list(self, *, filter: str = "", order_by: str = "", page_size: int = 200) -> Pages[Agent]:
        """Agents, newest first unless `order_by` says otherwise.

        Args:
            filter: In AIP-160's language: `state = "STATE_ERROR" AND labels.team = "ops"`.
            order_by: A field, and `desc` where wanted.
            page_size: How many to ask for at once, at most 1000.
        """

        async def fetch(size: int, token: str) -> Page[Agent]:
            request = rpc.ListAgentsRequest(
                page_size=size, page_token=token, filter=filter, order_by=order_by
            )
            response = await self._transport.unary(self._stub.ListAgents, request)
            return Page(tuple(wire.agent(one) for one in response.agents), response.next_page_token)

        return Pages(fetch, page_size=page_size)

    async def update(
        self,
        agent_id: str,
        changes: Mapping[str, Any],
        *,
        mask: Sequence[str] | None = None,
        etag: str = "",
        request_id: str | None = None,
    ) -> Agent:
        """Changes fields of an agent; never its state.

        Args:
            agent_id: The agent.
            changes: Its new values, such as `{"description": "…", "spec": {"execution": {"timeout": "30s"}}}`.
            mask: The paths that change, such as `["description", "spec.execution.timeout"]`; one that
                `changes` has no value for is cleared. By default the keys of `changes`: `spec` as a whole.
            etag: That of the agent as it was read; empty for no check.
            request_id: A UUID by which the server knows a repetition.

        Raises:
            Aborted: Somebody else changed it since.
        """
        message = wire.to_wire({**changes, "id": agent_id, "etag": etag})
        request = rpc.UpdateAgentRequest(
            agent=message,
            update_mask=FieldMask(paths=list(changes) if mask is None else mask),
            request_id=request_id or new_request_id(),
        )
        return wire.agent((await self._transport.unary(self._stub.UpdateAgent, request)).agent)

    async def delete(
        self, agent_id: str, *, etag: str = "", force: bool = False, request_id: str | None = None
    ) -> Agent | None:
        """Deletes a STOPPED agent with its executions, logs and ledger; `force` stops it first.

        Returns:
            The STOPPING agent while a forced deletion waits for its runs to end; None when it is gone.
        """
        request = rpc.DeleteAgentRequest(
            id=agent_id, etag=etag, force=force, request_id=request_id or new_request_id()
        )
        response = await self._transport.unary(self._stub.DeleteAgent, request)
        return wire.agent(response.agent) if response.HasField("agent") else None

    async def apply(
        self,
        agents: Iterable[Mapping[str, Any]],
        *,
        prune_selector: Mapping[str, str] | None = None,
        validate_only: bool = False,
        request_id: str | None = None,
    ) -> tuple[AgentChange, ...]:
        """Makes the agents be as they are given, all or nothing.

        Args:
            agents: nightcrew.v1.Agent each, by their ids.
            prune_selector: Agents that have all these labels and are not given are deleted.
            validate_only: Only say what would change.
            request_id: A UUID by which the server knows a repetition.
        """
        request = rpc.ApplyAgentsRequest(
            agents=[wire.to_wire(one, f"agents[{index}]") for index, one in enumerate(agents)],
            prune_selector=dict(prune_selector or {}),
            validate_only=validate_only,
            request_id=request_id or new_request_id(),
        )
        response = await self._transport.unary(self._stub.ApplyAgents, request)
        return tuple(wire.change(one) for one in response.changes)

    async def status(self, agent_id: str) -> AgentCondition:
        """An agent's state and what it is doing now, without its spec."""
        request = rpc.GetAgentStatusRequest(id=agent_id)
        return wire.condition(await self._transport.unary(self._stub.GetAgentStatus, request))

    def watch(
        self,
        *,
        ids: Sequence[str] = (),
        selector: Mapping[str, str] | None = None,
        include_snapshot: bool = False,
        resume_token: str = "",
    ) -> Watch[AgentItem]:
        """Watches `nightcrew.agent.*` and `nightcrew.execution.*` events of agents; see Watch.

        Args:
            ids: These agents; one that does not exist yet is watched from when it does.
            selector: Agents that have all these labels; with `ids`, both must hold.
            include_snapshot: Begin with the agents as they are.
            resume_token: Go on after what an earlier watch has given out.
        """
        request = rpc.WatchAgentsRequest(
            ids=ids,
            selector=dict(selector or {}),
            include_snapshot=include_snapshot,
            resume_token=resume_token,
        )
        return Watch(
            self._transport,
            lambda: self._stub.WatchAgents,
            request,
            readers={"snapshot": wire.snapshot, "event": events.event, "gap": events.gap},
        )
