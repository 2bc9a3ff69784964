"""A whole runtime behind a real channel, and what its refusals say."""

import asyncio
import contextlib
import inspect
import sys
import time
import uuid
from pathlib import Path

import grpc
import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from nightcrew.app.runtime import Runtime
from nightcrew.config.settings import load_settings
from nightcrew.system.clock import SystemClock
from nightcrew.system.ids import SystemIds
from nightcrew.v1 import (
    agent_pb2,
    agent_service_pb2,
    agent_service_pb2_grpc,
    event_service_pb2,
    event_service_pb2_grpc,
    execution_pb2,
    execution_service_pb2,
    execution_service_pb2_grpc,
    runtime_service_pb2,
    runtime_service_pb2_grpc,
    schedule_service_pb2,
    schedule_service_pb2_grpc,
)

PROGRAMS = Path(__file__).parent / "gateway_programs.py"
FINAL = {
    execution_pb2.Execution.STATE_SUCCEEDED,
    execution_pb2.Execution.STATE_FAILED,
    execution_pb2.Execution.STATE_CANCELLED,
    execution_pb2.Execution.STATE_TIMED_OUT,
}


async def until(condition, *, seconds=20.0, what="the condition"):
    """What `condition` (a function, or a coroutine function) returns, once that is true."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {seconds} s")
        await asyncio.sleep(0.005)


class Refused:
    """A status that a call was answered with, taken apart."""

    def __init__(self, error):
        self.code = error.code()
        self.message = error.details()
        self.status = rpc_status.from_call(error)
        assert self.status is not None, f"no google.rpc details: {error!r}"
        assert self.status.code == self.code.value[0]
        assert self.status.message == self.message
        self.details = {}
        for packed in self.status.details:
            name = packed.TypeName().rsplit(".", 1)[1]
            detail = getattr(error_details_pb2, name)()
            packed.Unpack(detail)
            self.details[name] = detail

    @property
    def info(self):
        return self.details["ErrorInfo"]

    @property
    def reason(self):
        assert self.info.domain == "nightcrew"
        return self.info.reason

    @property
    def fields(self):
        return [violation.field for violation in self.details["BadRequest"].field_violations]

    @property
    def violations(self):
        return {one.field: one.description for one in self.details["BadRequest"].field_violations}


@contextlib.asynccontextmanager
async def refused(code):
    """The block's call must be refused with this code; the yielded list holds what was said afterwards."""
    found = []
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        yield found
    found.append(Refused(caught.value))
    assert found[0].code.name == code, caught.value


class Box:
    """One runtime, its channel and its stubs, with shorthands for what tests do all the time."""

    def __init__(self, runtime, channel):
        self.runtime = runtime
        self.channel = channel
        self.agents = agent_service_pb2_grpc.AgentServiceStub(channel)
        self.executions = execution_service_pb2_grpc.ExecutionServiceStub(channel)
        self.schedules = schedule_service_pb2_grpc.ScheduleServiceStub(channel)
        self.events = event_service_pb2_grpc.EventServiceStub(channel)
        self.about = runtime_service_pb2_grpc.RuntimeServiceStub(channel)

    @property
    def address(self):
        return f"127.0.0.1:{self.runtime.gateway.port}"

    async def call(self, method, **fields):
        """Calls an RPC by its name with the fields of its request as JSON; answers the message."""
        module, stub = next(
            (module, stub)
            for module, stub in (
                (agent_service_pb2, self.agents),
                (execution_service_pb2, self.executions),
                (schedule_service_pb2, self.schedules),
                (event_service_pb2, self.events),
                (runtime_service_pb2, self.about),
            )
            if hasattr(stub, method)
        )
        request = ParseDict(fields, getattr(module, f"{method}Request")())
        return await getattr(stub, method)(request)

    async def create(self, agent_id, program="echo", *, labels=None, **spec):
        spec = {"program": {"python": {"entrypoint": f"gateway_programs:{program}"}}, **spec}
        agent = {"id": agent_id, "labels": labels or {}, "spec": spec}
        return (await self.call("CreateAgent", agent=agent)).agent

    async def active(self, agent_id, program="echo", **spec):
        await self.create(agent_id, program, **spec)
        return (await self.call("StartAgent", id=agent_id)).agent

    async def agent(self, agent_id):
        return (await self.call("GetAgent", id=agent_id)).agent

    async def state(self, agent_id):
        return agent_pb2.Agent.State.Name((await self.agent(agent_id)).state)

    async def reaches(self, agent_id, state):
        async def reached():
            return await self.state(agent_id) == state

        await until(reached, what=f"{agent_id} in {state}")

    async def trigger(self, agent_id, **fields):
        return (await self.call("TriggerAgent", id=agent_id, **fields)).execution

    async def execution(self, execution_id):
        return (await self.call("GetExecution", id=execution_id)).execution

    async def execution_reaches(self, execution_id, state):
        async def reached():
            execution = await self.execution(execution_id)
            return execution if execution_pb2.Execution.State.Name(execution.state) == state else None

        return await until(reached, what=f"execution {execution_id} in {state}")

    async def events_after(self, sequence=0):
        """The event log as it is, without the executions' own events of agents that go on meanwhile."""
        found = []
        while events := await self.runtime.store.reads.events_after(sequence, limit=1000):
            found += events
            sequence = events[-1].sequence
        return found

    def gate(self, name):
        return sys.modules["gateway_programs"].gate(name)


def as_json(message):
    return MessageToDict(message, preserving_proto_field_name=True)


def request_id():
    return str(uuid.uuid4())


@contextlib.asynccontextmanager
async def serving(folder, *, clock=None, drain=0.2):
    """A runtime on a folder, and a channel to it."""
    settings = load_settings(data=folder, grpc="127.0.0.1:0", http="127.0.0.1:0", drain=drain)
    runtime = Runtime(settings, [PROGRAMS], clock=clock or SystemClock(), ids=SystemIds())
    ready = asyncio.Event()
    serving = asyncio.create_task(runtime.run(ready.set))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait([serving, waiting], return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        waiting.cancel()
        await serving
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{runtime.gateway.port}", options=options) as channel:
            yield Box(runtime, channel)
    finally:
        for gate in (
            sys.modules["gateway_programs"].GATES.values() if "gateway_programs" in sys.modules else ()
        ):
            gate.set()
        runtime.stop()
        await serving
        if "gateway_programs" in sys.modules:
            sys.modules["gateway_programs"].GATES.clear()
