"""The limit for unary calls: a bare grpc.aio echo in its own process, with the client and the messages of the burst."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import grpc.aio
import psutil
import uvloop
from benchmarks.burst_over_grpc import UNARY_FLIGHT, wish
from benchmarks.crew import cpu_of, report

from nightcrew.v1 import agent_service_pb2 as agents

METHOD = "/bench.Echo/Echo"


async def serve() -> None:
    """Answers each request with itself."""

    async def echo(request: agents.TriggerAgentRequest, _context: object) -> agents.TriggerAgentRequest:
        return request

    message = agents.TriggerAgentRequest
    handler = grpc.unary_unary_rpc_method_handler(echo, message.FromString, message.SerializeToString)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Echo", {"Echo": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


async def run(_folder: Path, *, n: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.bare_echo"], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            await _burst(port, psutil.Process(process.pid), n)
        finally:
            process.kill()


async def _burst(port: int, server: psutil.Process, n: int) -> None:
    message = agents.TriggerAgentRequest
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        echo = channel.unary_unary(METHOD, message.SerializeToString, message.FromString)
        assert await echo(wish(7)) == wish(7)
        work = iter(range(n))

        async def caller() -> None:
            for i in work:
                await echo(wish(i))

        cpu, begun = cpu_of(server), time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(UNARY_FLIGHT)))
        took = time.perf_counter() - begun
        report(per_second=n / took, cpu_us=1e6 * (cpu_of(server) - cpu) / n)


if __name__ == "__main__":
    uvloop.run(serve())
