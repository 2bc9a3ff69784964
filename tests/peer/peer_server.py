"""A small but true server of the contract, on a real port: the peer that the SDK and the CLI are tested against."""

import itertools
from collections import defaultdict

import grpc
import peer_agents
import peer_rest
from google.rpc import error_details_pb2
from peer_log import Log
from peer_script import Recorder, Script

from nightcrew.v1 import (
    agent_pb2,
    agent_service_pb2_grpc,
    event_service_pb2_grpc,
    execution_pb2,
    execution_service_pb2_grpc,
    log_pb2,
    runtime_pb2,
    runtime_service_pb2_grpc,
    schedule_service_pb2_grpc,
)


class World:
    """What the peer knows; tests write into it."""

    def __init__(self):
        self.agents = {}
        self.executions = {}
        self.answered = {}
        self.logs = defaultdict(list)
        self.steps = defaultdict(list)
        self.fires = []
        self.components = [
            runtime_pb2.Component(id="root", kind=1, state=2, children_count=2),
            runtime_pb2.Component(id="root/store", parent_id="root", kind=2, state=2),
            runtime_pb2.Component(
                id="root/agents", parent_id="root", kind=1, state=3, restarts=2, last_error="OSError: disk"
            ),
        ]
        self.log = Log()
        self._numbers = itertools.count(1)

    def put(self, agent):
        stored = agent_pb2.Agent()
        stored.CopyFrom(agent)
        old = self.agents.get(agent.id)
        if not stored.state:
            stored.state = old.state if old is not None else agent_pb2.Agent.STATE_STOPPED
        stored.generation = (old.generation if old is not None else 0) + 1
        stored.etag = f"r{stored.generation}"
        stored.create_time.CopyFrom(peer_agents.now())
        self.agents[agent.id] = stored
        return stored

    def add_agent(self, agent_id, *, state=agent_pb2.Agent.STATE_ACTIVE, **labels):
        agent = agent_pb2.Agent(id=agent_id, labels=labels, state=state)
        agent.spec.program.python.entrypoint = "jobs:digest"
        return self.put(agent)

    def new_execution(self, agent_id, request, state):
        number = next(self._numbers)
        execution = execution_pb2.Execution(
            id=f"01890000-0000-7000-8000-{number:012d}",
            agent_id=agent_id,
            agent_generation=1,
            state=state or execution_pb2.Execution.STATE_QUEUED,
            create_time=peer_agents.now(number),
        )
        if request is not None:
            execution.input.CopyFrom(request.input)
            execution.labels.update(request.labels)
            execution.priority = request.priority
        execution.trigger.kind = execution_pb2.TriggerRef.KIND_MANUAL
        if state:
            execution.start_time.CopyFrom(peer_agents.now(number))
            execution.end_time.CopyFrom(peer_agents.now(number + 2))
            execution.result.struct_value.update({"sent": 3, "rate": 0.5})
        self.executions[execution.id] = execution
        return execution

    def say(self, execution_id, message, *, stream="STREAM_STDOUT", severity="SEVERITY_INFO"):
        entries = self.logs[execution_id]
        entries.append(
            log_pb2.LogEntry(
                execution_id=execution_id,
                sequence=len(entries) + 1,
                time=peer_agents.now(len(entries)),
                severity=severity,
                message=message,
                stream=stream,
            )
        )

    @staticmethod
    def is_final(execution):
        return execution.state >= execution_pb2.Execution.STATE_SUCCEEDED

    @staticmethod
    def as_error(refused):
        status = refused.status
        info = error_details_pb2.ErrorInfo()
        status.details[0].Unpack(info)
        return agent_pb2.AgentError(
            code=status.code, reason=info.reason, message=status.message, metadata=dict(info.metadata)
        )


class Peer:
    """The server; `async with Peer() as peer`, then `peer.address`. It can be stopped and started again."""

    def __init__(self, world=None):
        self.world = world or World()
        self.script = Script()
        self.port = 0
        self._server = None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def log(self):
        return self.world.log

    async def start(self):
        self._server = grpc.aio.server(
            interceptors=[Recorder(self.script)],
            options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 4 * 1024 * 1024)],
        )
        agent_service_pb2_grpc.add_AgentServiceServicer_to_server(
            peer_agents.Agents(self.world), self._server
        )
        execution_service_pb2_grpc.add_ExecutionServiceServicer_to_server(
            peer_rest.Executions(self.world), self._server
        )
        schedule_service_pb2_grpc.add_ScheduleServiceServicer_to_server(
            peer_rest.Schedules(self.world), self._server
        )
        event_service_pb2_grpc.add_EventServiceServicer_to_server(peer_rest.Events(self.world), self._server)
        runtime_service_pb2_grpc.add_RuntimeServiceServicer_to_server(
            peer_rest.Runtime(self.world), self._server
        )
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()

    async def stop(self, grace=None):
        server, self._server = self._server, None
        if server is not None:
            await server.stop(grace)

    async def __aenter__(self):
        await self.start()
        return self

    async def __aexit__(self, *_):
        await self.stop()
