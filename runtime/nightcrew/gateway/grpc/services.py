"""The services of the contract with their methods: one implementation for every protocol that serves them."""

from nightcrew.crew.bus import Signal
from nightcrew.gateway.grpc.methods import Service
from nightcrew.gateway.grpc.servicers.agent_service import AgentServicer
from nightcrew.gateway.grpc.servicers.event_service import EventServicer
from nightcrew.gateway.grpc.servicers.execution_service import ExecutionServicer
from nightcrew.gateway.grpc.servicers.runtime_service import RuntimeServicer
from nightcrew.gateway.grpc.servicers.schedule_service import ScheduleServicer
from nightcrew.ports.clock import Clock
from nightcrew.services.use_cases import UseCases
from nightcrew.v1 import (
    agent_service_pb2,
    event_service_pb2,
    execution_service_pb2,
    runtime_service_pb2,
    schedule_service_pb2,
)


def services(use_cases: UseCases, *, clock: Clock, closing: Signal) -> list[Service]:
    """Every service of the contract.

    Args:
        use_cases: What is served.
        clock: Dates heartbeats.
        closing: Once it is poked, watches and waits end.
    """
    agents = AgentServicer(use_cases, clock=clock, closing=closing)
    executions = ExecutionServicer(use_cases, clock=clock, closing=closing)
    events = EventServicer(use_cases, clock=clock, closing=closing)
    return [
        Service.of(agent_service_pb2, "AgentService", agents.methods()),
        Service.of(execution_service_pb2, "ExecutionService", executions.methods()),
        Service.of(schedule_service_pb2, "ScheduleService", ScheduleServicer(use_cases).methods()),
        Service.of(event_service_pb2, "EventService", events.methods()),
        Service.of(runtime_service_pb2, "RuntimeService", RuntimeServicer(use_cases).methods()),
    ]
