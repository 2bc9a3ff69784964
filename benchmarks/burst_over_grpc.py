"""A burst over gRPC: the runtime in its own process, this one the client with stubs from the contract."""

import asyncio
import sys
import time
from pathlib import Path

import grpc.aio
import uvloop
from benchmarks.crew import (
    check_all_succeeded,
    cpu_of,
    in_its_own_process,
    in_process,
    register,
    report,
    rss_of,
    spec,
)
from google.protobuf.struct_pb2 import Struct

from nightcrew.v1 import agent_service_pb2 as agents
from nightcrew.v1 import runtime_service_pb2 as runtime
from nightcrew.v1.agent_service_pb2_grpc import AgentServiceStub
from nightcrew.v1.runtime_service_pb2_grpc import RuntimeServiceStub

AGENTS = 1000
UNARY_FLIGHT = 64
BATCH = 1000
BATCH_FLIGHT = 2
OPTIONS = [("grpc.max_receive_message_length", -1)]


def wish(i: int) -> agents.TriggerAgentRequest:
    data = Struct()
    data["i"] = i
    return agents.TriggerAgentRequest(id=f"a{i % AGENTS}", input=data)


async def unary(channel: grpc.aio.Channel, n: int) -> None:
    """TriggerAgent, 64 in flight."""
    trigger = AgentServiceStub(channel).TriggerAgent
    work = iter(range(n))

    async def caller() -> None:
        for i in work:
            await trigger(wish(i))

    await asyncio.gather(*(caller() for _ in range(UNARY_FLIGHT)))


async def batch(channel: grpc.aio.Channel, n: int) -> None:
    """BatchTriggerAgents, a thousand in a call, two calls in flight."""
    trigger = AgentServiceStub(channel).BatchTriggerAgents
    work = iter(range(0, n, BATCH))

    async def caller() -> None:
        for start in work:
            wishes = [wish(i) for i in range(start, min(start + BATCH, n))]
            answer = await trigger(agents.BatchTriggerAgentsRequest(requests=wishes))
            refused = [one for one in answer.results if one.HasField("error")]
            assert not refused, refused[0]

    await asyncio.gather(*(caller() for _ in range(BATCH_FLIGHT)))


async def ended(channel: grpc.aio.Channel) -> None:
    """Returns once nothing is queued or running, on disk."""
    figures = RuntimeServiceStub(channel).GetRuntime
    while True:
        now = (await figures(runtime.GetRuntimeRequest())).runtime
        if not now.running and not now.queued:
            return
        await asyncio.sleep(0.01)


async def drive(address: str, *, n: int, way: str) -> tuple[float, float]:
    """The burst, from this process; seconds until all was accepted and until all had ended."""
    async with grpc.aio.insecure_channel(address, options=OPTIONS) as channel:
        await ended(channel)  # connected
        begun = time.perf_counter()
        await (unary if way == "unary" else batch)(channel, n)
        accepted = time.perf_counter() - begun
        await ended(channel)
        return accepted, time.perf_counter() - begun


async def run(folder: Path, *, n: int, way: str) -> None:
    """The runtime is started as people start it."""
    async with in_process(folder) as box:
        await register(box, ((f"a{i}", spec("noop")) for i in range(AGENTS)))
    with in_its_own_process(folder) as (address, server, _):
        cpu = cpu_of(server)
        accepted, took = await drive(address, n=n, way=way)
        figures = {
            "per_second": n / took,
            "submitted_per_second": n / accepted,
            "cpu_us": 1e6 * (cpu_of(server) - cpu) / n,
            "rss_mib": rss_of(server),
        }
    check_all_succeeded(folder, n)
    report(**figures)


async def run_here(folder: Path, *, n: int, way: str) -> None:
    """The runtime in this process, to be profiled, and the client in another."""
    async with in_process(folder) as box:
        await register(box, ((f"a{i}", spec("noop")) for i in range(AGENTS)))
        command = [sys.executable, "-m", "benchmarks.burst_over_grpc", box.gateway.address, way, str(n)]
        client = await asyncio.create_subprocess_exec(*command)
        assert await client.wait() == 0
    check_all_succeeded(folder, n)


if __name__ == "__main__":
    uvloop.run(drive(sys.argv[1], way=sys.argv[2], n=int(sys.argv[3])))
