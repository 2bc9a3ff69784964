"""Unary TriggerAgent and BatchTriggerAgents beside a bare grpc.aio echo: rates seen by one client, CPU of the server.

    python benchmarks/grpc_unary.py [--calls 6000] [--agents 100] [--rounds 3]

Each server is a process of its own, on uvloop; the client is this one, with 64 calls in flight. A Python client
is itself a limit, so the server's CPU time a call is shown beside the rate: it is the figure that more cores
or a faster client would uncover. Every TriggerAgent makes an execution of a no-op, which runs and ends in the
same server meanwhile, all of it on disk (WAL, synchronous FULL).
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import grpc
import psutil
import uvloop

from nightcrew.v1 import agent_service_pb2 as pb
from nightcrew.v1 import agent_service_pb2_grpc as stubs
from nightcrew.v1 import runtime_service_pb2 as runtime_pb
from nightcrew.v1 import runtime_service_pb2_grpc as runtime_stubs

IN_FLIGHT = 64
ECHO = "/bench.Echo/Say"

AGENTS = """\
from nightcrew.agent import agent


@agent(max_concurrency=0)
async def noop() -> None:
    pass
"""


async def serve_echo():
    async def say(raw, _context):
        return raw

    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    say_handler: Any = grpc.unary_unary_rpc_method_handler(say)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("bench.Echo", {"Say": say_handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"ready {port}", flush=True)
    await server.wait_for_termination()


async def serve_runtime(folder):
    from nightcrew.app.runtime import Runtime
    from nightcrew.config.settings import load_settings
    from nightcrew.system.clock import SystemClock
    from nightcrew.system.ids import SystemIds

    settings = load_settings(data=folder / "data", grpc="127.0.0.1:0", http="off")
    runtime = Runtime(settings, [folder / "noop.py"], clock=SystemClock(), ids=SystemIds())
    await runtime.run(lambda: print(f"ready {runtime.gateway.port}", flush=True))


def start(*arguments):
    command = [sys.executable, __file__, *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for line in process.stdout or ():
        if line.startswith("ready "):
            return process, f"127.0.0.1:{line.split()[1]}"
    raise SystemExit(f"{command} ended with {process.wait()}")


async def many(count, call):
    numbers = iter(range(count))

    async def one():
        for number in numbers:
            await call(number)

    await asyncio.gather(*(one() for _ in range(IN_FLIGHT)))


async def measured(process, count, work, *, items=1, settled=None):
    cpu = psutil.Process(process.pid)
    before, begun = cpu.cpu_times(), time.perf_counter()
    await work(count)
    took = time.perf_counter() - begun
    if settled is not None:
        await settled()
    after = cpu.cpu_times()
    used = (after.user - before.user) + (after.system - before.system)
    return count * items / took, used / (count * items) * 1e6


async def measure(options):
    folder = Path(tempfile.mkdtemp(prefix="nightcrew-bench-", dir=options.folder))
    (folder / "noop.py").write_text(AGENTS, encoding="utf-8")
    echo, echo_at = start("--serve-echo")
    runtime, runtime_at = start("--serve-runtime", folder)
    try:
        async with (
            grpc.aio.insecure_channel(echo_at) as bare,
            grpc.aio.insecure_channel(runtime_at) as channel,
        ):
            agents, about = stubs.AgentServiceStub(channel), runtime_stubs.RuntimeServiceStub(channel)
            names = await made(agents, options.agents)
            say: Any = bare.unary_unary(ECHO)
            payload = pb.TriggerAgentRequest(id=names[0]).SerializeToString()

            async def settled():
                while True:
                    now = (await about.GetRuntime(runtime_pb.GetRuntimeRequest())).runtime
                    if not now.queued and not now.running:
                        return
                    await asyncio.sleep(0.02)

            async def echoes(count):
                await many(count, lambda _: say(payload))

            async def triggers(count):
                await many(
                    count,
                    lambda number: agents.TriggerAgent(pb.TriggerAgentRequest(id=names[number % len(names)])),
                )

            async def batches(count):
                for number in range(count):
                    requests = [
                        pb.TriggerAgentRequest(id=names[(number + i) % len(names)]) for i in range(500)
                    ]
                    await agents.BatchTriggerAgents(pb.BatchTriggerAgentsRequest(requests=requests))

            kinds = {
                "echo": lambda: measured(echo, options.calls, echoes),
                "TriggerAgent": lambda: measured(runtime, options.calls, triggers, settled=settled),
                "BatchTriggerAgents of 500": lambda: measured(
                    runtime, max(options.calls // 500, 1), batches, items=500, settled=settled
                ),
            }
            await echoes(500)
            await triggers(500)
            await settled()
            seen: dict[str, list[tuple[float, float]]] = {name: [] for name in kinds}
            for _ in range(options.rounds):
                for name, run in kinds.items():
                    seen[name].append(await run())
    finally:
        for process in (echo, runtime):
            process.terminate()
        for process in (echo, runtime):
            process.wait(20)
    report(seen)


async def made(agents, count):
    template = (await agents.GetAgent(pb.GetAgentRequest(id="noop"))).agent
    wanted = pb.ApplyAgentsRequest()
    names = [f"noop-{number}" for number in range(count)]
    for name in names:
        one = wanted.agents.add(id=name, labels={"bench": "unary"})
        one.spec.CopyFrom(template.spec)
    await agents.ApplyAgents(wanted)
    await agents.StartAgent(pb.StartAgentRequest(selector={"bench": "unary"}))
    return names


def report(seen):
    rates = {name: statistics.median(rate for rate, _ in one) for name, one in seen.items()}
    cpu = {name: statistics.median(used for _, used in one) for name, one in seen.items()}
    for name in seen:
        print(
            f"{name:28} {rates[name]:9,.0f}/s   server CPU {cpu[name]:6.0f} µs each"
            f"   {rates[name] / rates['echo']:.2f} of the echo"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--calls", type=int, default=6000)
    parser.add_argument("--agents", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--folder", type=Path, default=None, help="where the data goes (default: the temporary folder)"
    )
    parser.add_argument("--serve-echo", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--serve-runtime", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve_echo:
        uvloop.run(serve_echo())
    elif given.serve_runtime:
        uvloop.run(serve_runtime(given.serve_runtime))
    else:
        asyncio.run(measure(given))
