"""SIGTERM: what runs gets its grace, nothing new begins, streams say why they end, and what was cut off goes on."""

import asyncio
import signal
import time

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.harness.history_file import read_history
from tests.harness.waiting import eventually, everything

from nightcrew.client import Client, RetryPolicy
from nightcrew.v1 import agent_service_pb2, agent_service_pb2_grpc

ONCE = RetryPolicy(attempts=1)


async def serving(channel):
    answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)


async def read_to_end(stream):
    while await stream.read() is not grpc.aio.EOF:
        pass


async def running(client, execution_id):
    """Waits until the program itself has said something: it is really under way."""
    said = await eventually(lambda: everything(client.executions.logs(execution_id)), what="its first words")
    assert said[0].message in {"sleeping", "snoozing"}


async def test_running_work_gets_its_grace_and_nothing_new_begins(up, agents):
    crew = up(agents("basics"), flags=["--drain", "20"]).start()
    async with (
        Client(crew.address, retry=ONCE) as client,
        grpc.aio.insecure_channel(crew.address) as channel,
    ):
        inline = await client.agents.trigger("sleeper", {"seconds": 2})
        pooled = await client.agents.trigger("snoozer", {"seconds": 2})
        await asyncio.gather(running(client, inline.id), running(client, pooled.id))
        stream = agent_service_pb2_grpc.AgentServiceStub(channel).WatchAgents(
            agent_service_pb2.WatchAgentsRequest(include_snapshot=True)
        )
        assert len(getattr(await stream.read(), "items", ())) == 4
        assert await serving(channel) == "SERVING"
        crew.term()
        await eventually(
            lambda: serving(channel), lambda seen: seen == "NOT_SERVING", what="health to say NOT_SERVING"
        )
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await agent_service_pb2_grpc.AgentServiceStub(channel).TriggerAgent(
                agent_service_pb2.TriggerAgentRequest(id="hello")
            )
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "drain" in str(refused.value.details())
        assert (await client.executions.get(inline.id)).state == "STATE_RUNNING", "it can still be looked at"
        with pytest.raises(grpc.aio.AioRpcError) as cut:
            await read_to_end(stream)
        assert cut.value.code() is grpc.StatusCode.UNAVAILABLE
    assert await asyncio.to_thread(crew.wait) == 0
    executions = {one.id: one for one in read_history(crew.data).executions}
    for one in (inline, pooled):
        ended = executions[one.id]
        assert (ended.state, ended.attempt, ended.interruptions) == ("STATE_SUCCEEDED", 1, 0)


async def test_what_outlasts_the_grace_goes_on_after_the_next_start_without_being_counted(up, agents):
    crew = up(agents("basics"), flags=["--drain", "0.3"]).start()
    async with Client(crew.address) as client:
        begun = [
            await client.agents.trigger("sleeper", {"seconds": 2}),
            await client.agents.trigger("snoozer", {"seconds": 2}),
        ]
        await asyncio.gather(*(running(client, one.id) for one in begun))
    begin = time.monotonic()
    crew.term()
    assert await asyncio.to_thread(crew.wait) == 0
    print(f"drained in {time.monotonic() - begin:.2f} s")
    left = {one.id: one for one in read_history(crew.data).executions}
    for one in begun:
        cut = left[one.id]
        assert (cut.state, cut.attempt, cut.interruptions, cut.unclean) == ("STATE_QUEUED", 1, 1, 0)
        assert cut.error_type == "drained"

    crew.start()
    async with Client(crew.address) as client:
        for one in begun:
            done = await asyncio.wait_for(client.executions.wait(one.id), 20)
            assert done.state == "STATE_SUCCEEDED"
            assert done.result["attempt"] == 1
            assert (done.attempt, done.interruptions, done.error) == (1, 1, None)
    crew.stop()


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_a_second_signal_does_not_wait(up, agents, first):
    crew = up(agents("basics"), flags=["--drain", "600"]).start()
    async with Client(crew.address) as client:
        begun = await client.agents.trigger("sleeper", {"seconds": 600})
        await running(client, begun.id)
    crew.signal(first)
    await eventually(lambda: asyncio.to_thread(crew.stderr), lambda said: "draining" in said)
    crew.term()
    assert await asyncio.to_thread(crew.wait, 10) == 0
    assert next(one.state for one in read_history(crew.data).executions if one.id == begun.id) in {
        "STATE_QUEUED",
        "STATE_RUNNING",
    }
