"""The server itself: every RPC answers properly, limits hold, ports are exclusive, a drain refuses and then ends."""

import asyncio
import contextlib
import socket

import grpc
import pytest
from google.protobuf.message import Message
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.gateway.support.gateway_box import Refused, as_json, refused, request_id, serving, until

from nightcrew.domain.errors import InvalidArgument
from nightcrew.gateway.address import Address, AddressUnavailable
from nightcrew.gateway.grpc import methods
from nightcrew.gateway.grpc.server import GrpcGateway
from nightcrew.gateway.status import Faults
from nightcrew.system.clock import SystemClock
from nightcrew.system.ids import SystemIds
from nightcrew.v1 import (
    agent_service_pb2,
    event_service_pb2,
    execution_service_pb2,
    runtime_service_pb2,
    schedule_service_pb2,
)

SERVICES = {
    name: module.DESCRIPTOR.services_by_name[name]
    for module, name in (
        (agent_service_pb2, "AgentService"),
        (execution_service_pb2, "ExecutionService"),
        (schedule_service_pb2, "ScheduleService"),
        (event_service_pb2, "EventService"),
        (runtime_service_pb2, "RuntimeService"),
    )
}
METHODS = {
    f"{name}/{method.name}": method for name, service in SERVICES.items() for method in service.methods
}


async def raw_call(box, name, body=b"", *, timeout=10):
    """The bytes of the first answer."""
    path = f"/nightcrew.v1.{name}"
    if METHODS[name].server_streaming:
        call = box.channel.unary_stream(path)(body, timeout=timeout)
        answer = await call.read()
        call.cancel()
        return answer
    return await box.channel.unary_unary(path)(body, timeout=timeout)


@pytest.mark.parametrize("name", [name for name in METHODS if name != "RuntimeService/DrainRuntime"])
async def test_every_rpc_answers_an_empty_request_properly(box, name):
    """With an answer, or a status that says what is missing; nothing hangs, nothing is UNKNOWN or INTERNAL."""
    body = b""
    if name in {"AgentService/WatchAgents", "EventService/WatchEvents"}:
        body = agent_service_pb2.WatchAgentsRequest(include_snapshot=True).SerializeToString()
    try:
        answer = await raw_call(box, name, body)
    except grpc.aio.AioRpcError as error:
        said = Refused(error)
        assert said.code.name == "INVALID_ARGUMENT"
        assert all(said.fields)
    else:
        assert isinstance(answer, bytes)


@pytest.mark.parametrize("name", list(METHODS))
async def test_bytes_that_are_no_message_are_refused(box, name):
    async with refused("INVALID_ARGUMENT") as said:
        await raw_call(box, name, b"\xff\xff\xff")
    assert said[0].reason == "malformed_request"
    assert name in said[0].message


async def test_an_unknown_method_is_unimplemented(box):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await box.channel.unary_unary("/nightcrew.v1.AgentService/Nothing")(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_message_past_the_limit_is_refused(box):
    await box.active("a")
    async with grpc.aio.insecure_channel(
        box.address, options=[("grpc.max_send_message_length", -1)]
    ) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/nightcrew.v1.AgentService/TriggerAgent")(
                b"\x0a\x00" * (5 * 1024 * 1024)
            )
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (await box.trigger("a", wait="20s")).agent_id == "a"


@contextlib.asynccontextmanager
async def scripted(**calls):
    """A server of our handlers over AgentService with calls that the test scripts: what they raise is the point."""
    made = {}
    for name, call in calls.items():
        request = getattr(agent_service_pb2, f"{name}Request")
        make = methods.stream if name.startswith("Watch") else methods.unary
        made[name] = make(request, call)
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    service = methods.Service.of(agent_service_pb2, "AgentService", made)
    server.add_generic_rpc_handlers((methods.handlers(service, Faults(SystemIds())),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        await server.stop(None)


async def test_what_nobody_foresaw_is_internal_without_a_word_of_it(caplog):
    async def get(_request):
        raise ZeroDivisionError("a secret")

    async def trigger(_request):
        message = agent_service_pb2.TriggerAgentResponse()
        message.execution.id = "\ud800"  # text that protobuf can't hold
        return message

    async def watch(_request):
        yield agent_service_pb2.WatchAgentsResponse(items=[{}]).SerializeToString()
        raise KeyError("a secret")

    async with scripted(GetAgent=get, TriggerAgent=trigger, WatchAgents=watch) as channel:
        for name in ("GetAgent", "TriggerAgent"):
            async with refused("INTERNAL") as said:
                await channel.unary_unary(f"/nightcrew.v1.AgentService/{name}")(b"")
            assert said[0].reason == "internal"
            assert said[0].info.metadata["reference"] in said[0].message
            assert "secret" not in str(said[0].status)
        call = channel.unary_stream("/nightcrew.v1.AgentService/WatchAgents")(b"")
        assert await call.read() == b"\x0a\x00"
        async with refused("INTERNAL") as said:
            await call.read()
        assert "secret" not in str(said[0].status)


async def test_a_caller_that_gives_up_cancels_the_call():
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def get(_request):
        begun.set()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    closed = asyncio.Event()

    async def watch(_request):
        try:
            begun.set()
            await asyncio.get_running_loop().create_future()
            yield b""
        finally:
            closed.set()

    async with scripted(GetAgent=get, WatchAgents=watch) as channel:
        call = channel.unary_unary("/nightcrew.v1.AgentService/GetAgent")(b"")
        await asyncio.wait_for(begun.wait(), 10)
        call.cancel()
        await asyncio.wait_for(cancelled.wait(), 10)
        begun.clear()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/nightcrew.v1.AgentService/GetAgent")(b"", timeout=0.1)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        begun.clear()
        stream = channel.unary_stream("/nightcrew.v1.AgentService/WatchAgents")(b"")
        reading = asyncio.ensure_future(stream.read())
        await asyncio.wait_for(begun.wait(), 10)
        stream.cancel()
        await asyncio.wait_for(closed.wait(), 10)
        with pytest.raises(asyncio.CancelledError):
            await reading


def test_methods_that_the_contract_does_not_have_are_a_fault_of_ours():
    with pytest.raises(AssertionError, match="AgentService has no Nothing"):
        methods.Service.of(agent_service_pb2, "AgentService", {"Nothing": methods.unary(Message, None)})


async def test_an_occupied_port_is_named(box):
    port = box.runtime.gateway.port
    gateway = GrpcGateway(f"127.0.0.1:{port}", box.runtime.services, clock=SystemClock(), ids=SystemIds())
    with pytest.raises(
        AddressUnavailable, match=f"can't serve gRPC on 127.0.0.1:{port}: the port is in use"
    ) as caught:
        await gateway.serve(lambda: pytest.fail("it must not get ready"))
    assert caught.value.code == "address_unavailable"
    # Also one that somebody else listens on, and one that is bound but does not listen.
    for listens in (True, False):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            if listens:
                other.listen()
            taken = Address("127.0.0.1", other.getsockname()[1])
            with pytest.raises(AddressUnavailable, match="in use"):
                taken.check()


def test_addresses():
    assert str(Address.parse("[::1]:7447")) == "[::1]:7447"
    assert Address.parse("localhost:0") == Address("localhost", 0)
    for wrong in ("", "7447", ":7447", "host:", "host:http", "host:70000", "host:٣"):
        with pytest.raises(InvalidArgument, match="HOST:PORT"):
            Address.parse(wrong)
    with pytest.raises(AddressUnavailable, match=r"nobody\.invalid:1"):
        Address("nobody.invalid", 1).check()


async def test_health_tells_serving_then_not_serving(tmp_path):
    async with serving(tmp_path / "data") as box:
        health = health_pb2_grpc.HealthStub(box.channel)
        names = ["", *(service.full_name for service in SERVICES.values())]
        for name in names:
            answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING, name
        box.runtime.gateway.refuse()

        async def refusing():
            answers = [await health.Check(health_pb2.HealthCheckRequest(service=name)) for name in names]
            return all(one.status == health_pb2.HealthCheckResponse.NOT_SERVING for one in answers)

        await until(refusing, what="NOT_SERVING everywhere")
        # calls are still answered until the runtime stops
        assert (await box.call("GetRuntime")).runtime.version


async def test_channelz_sees_the_server(box):
    channelz = channelz_pb2_grpc.ChannelzStub(box.channel)
    answer = await channelz.GetServers(channelz_pb2.GetServersRequest())
    assert answer.server


async def test_a_drain_refuses_new_work_lets_runs_end_and_reads_pass(tmp_path):
    async with serving(tmp_path / "data", drain=30) as box:
        await box.active("a", "hold")
        execution = await box.trigger("a")
        await box.execution_reaches(execution.id, "STATE_RUNNING")
        waiting = asyncio.create_task(box.trigger("a", wait="60s"))
        watch = box.agents.WatchAgents(agent_service_pb2.WatchAgentsRequest(include_snapshot=True))
        assert (await watch.read()).items[0].HasField("snapshot")

        async def queued():
            return len((await box.call("ListExecutions")).executions) == 2

        await until(queued, what="the second is queued")
        answer = await box.call("DrainRuntime", request_id=request_id())
        assert answer.runtime.draining

        async def draining():
            return (await box.call("GetRuntime")).runtime.draining

        await until(draining, what="it drains")
        async with refused("UNAVAILABLE") as said:
            await box.trigger("a")
        assert said[0].reason == "draining"
        async with refused("UNAVAILABLE"):
            await box.call("BatchTriggerAgents", requests=[{"id": "a"}])
        # A repeated drain does not hurry it, and reads go on.
        await box.call("DrainRuntime")
        assert (await box.execution(execution.id)).id == execution.id
        assert as_json(await box.agent("a"))["state"] == "STATE_ACTIVE"
        box.gate("a").set()
        # The end of the run is still told; then the stream ends, and who waits gets what there is.
        types = []
        async with refused("UNAVAILABLE") as said:
            while True:
                got = await asyncio.wait_for(watch.read(), 20)
                types += [item.event.type for item in got.items if item.HasField("event")]
        assert said[0].reason == "draining"
        assert types[-1] == "nightcrew.execution.succeeded"
        assert as_json(await asyncio.wait_for(waiting, 20))["state"] == "STATE_QUEUED"


async def test_a_drain_takes_no_longer_than_its_grace(tmp_path):
    async with serving(tmp_path / "data", drain=300) as box:
        await box.active("a", "hold")
        execution = await box.trigger("a")
        await box.execution_reaches(execution.id, "STATE_RUNNING")
        async with refused("INVALID_ARGUMENT") as said:
            await box.call("DrainRuntime", grace="-1s")
        assert said[0].fields == ["grace"]
        await box.call("DrainRuntime", grace="0.1s")

        async def gone():
            try:
                await box.call("GetRuntime")
            except grpc.aio.AioRpcError as error:
                return error.code() is grpc.StatusCode.UNAVAILABLE
            return False

        await until(gone, what="the runtime has ended")
    async with serving(tmp_path / "data") as box:
        # The interrupted run goes on after the next start.
        box.gate("a").set()
        again = await box.execution_reaches(execution.id, "STATE_SUCCEEDED")
        assert again.interruptions == 1


async def test_the_gateway_comes_back_on_its_own_port_after_a_crash(tmp_path):
    """As its supervisor restarts it: serve is entered anew, on the same object."""
    async with serving(tmp_path / "data") as box:
        gateway = GrpcGateway("127.0.0.1:0", box.runtime.services, clock=SystemClock(), ids=SystemIds())
        for _ in range(2):
            ready = asyncio.Event()
            life = asyncio.create_task(gateway.serve(ready.set))
            await asyncio.wait_for(ready.wait(), 20)
            async with grpc.aio.insecure_channel(gateway.address) as channel:
                about = runtime_service_pb2.GetRuntimeResponse.FromString(
                    await channel.unary_unary("/nightcrew.v1.RuntimeService/GetRuntime")(b"")
                )
                assert about.runtime.store.startswith("sqlite:")
            life.cancel()
            with pytest.raises(asyncio.CancelledError):
                await life
        # The use cases are as they were: the other gateway's watches go on.
        watch = box.agents.WatchAgents(agent_service_pb2.WatchAgentsRequest(include_snapshot=True))
        assert (await watch.read()).items
        watch.cancel()


async def test_previews(box):
    answer = await box.call(
        "PreviewSchedule",
        schedule={"cron": {"expression": "30 2 * * *"}, "time_zone": "Europe/Berlin"},
        after="2026-03-27T12:00:00Z",
        count=3,
    )
    fires = [as_json(fire) for fire in answer.fires]
    assert [one["nominal_time"] for one in fires] == [
        "2026-03-28T01:30:00Z",
        "2026-03-29T01:00:00Z",
        "2026-03-30T00:30:00Z",
    ]
    assert fires[1]["note"]
    assert not fires[0].get("note")
    assert len((await box.call("PreviewSchedule", schedule={"interval": {"every": "1s"}})).fires) == 10
    many = await box.call("PreviewSchedule", schedule={"interval": {"every": "1s"}}, count=5000)
    assert len(many.fires) == 1000
    ends = {"date": {"time": "2090-01-01T00:00:00Z"}}
    assert len((await box.call("PreviewSchedule", schedule=ends, count=5)).fires) == 1
    await box.create("a", triggers=[{"id": "c", "schedule": {"cron": {"expression": "0 9 * * *"}}}])
    saved = await box.call(
        "PreviewSchedule", agent_id="a", trigger_id="c", after="2026-01-01T00:00:00Z", count=1
    )
    assert as_json(saved.fires[0])["nominal_time"] == "2026-01-01T09:00:00Z"
    for request, code, fields in (
        ({}, "INVALID_ARGUMENT", ["schedule"]),
        ({"schedule": ends, "agent_id": "a"}, "INVALID_ARGUMENT", ["schedule"]),
        ({"agent_id": "a"}, "INVALID_ARGUMENT", ["trigger_id"]),
        ({"schedule": ends, "count": -1}, "INVALID_ARGUMENT", ["count"]),
        ({"schedule": {}}, "INVALID_ARGUMENT", ["schedule"]),
        (
            {"schedule": {"cron": {"expression": "99 * * * *"}}},
            "INVALID_ARGUMENT",
            ["schedule.cron.expression"],
        ),
        ({"agent_id": "nobody", "trigger_id": "c"}, "NOT_FOUND", None),
        ({"agent_id": "a", "trigger_id": "d"}, "NOT_FOUND", None),
    ):
        async with refused(code) as said:
            await box.call("PreviewSchedule", **request)
        if fields is not None:
            assert said[0].fields == fields
