"""Thousands of calls at the same moment: each of them is answered."""

import asyncio
from typing import Any

import grpc

from nightcrew.v1 import agent_service_pb2, agent_service_pb2_grpc

CALLS = 2500


async def test_a_surge_of_calls_and_streams_is_answered(up, agents):
    crew = up(agents("basics")).start()
    async with grpc.aio.insecure_channel(crew.address) as channel:
        stub = agent_service_pb2_grpc.AgentServiceStub(channel)

        async def ask():
            return (await stub.GetAgent(agent_service_pb2.GetAgentRequest(id="hello"))).agent.id

        async def watch():
            call = stub.WatchAgents(
                agent_service_pb2.WatchAgentsRequest(ids=["hello"], include_snapshot=True)
            )
            first: Any = await call.read()
            call.cancel()
            return first.items[0].snapshot.agent.id if first is not grpc.aio.EOF else "nothing"

        asked = await asyncio.gather(*(ask() for _ in range(CALLS)), return_exceptions=True)
        watched = await asyncio.gather(*(watch() for _ in range(CALLS)), return_exceptions=True)
    assert [one for one in (*asked, *watched) if one != "hello"] == []
    assert crew.stop() == 0
