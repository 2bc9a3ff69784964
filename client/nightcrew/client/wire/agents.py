"""Agents off the wire, and on it."""

from collections.abc import Mapping
from typing import Any

from nightcrew.client.decode import from_parts
from nightcrew.client.models.agent import (
    Agent,
    AgentChange,
    AgentCondition,
    AgentSnapshot,
    AgentState,
    AgentStatus,
    ChangeAction,
    LastExecution,
    LifecycleResult,
    LimitUsage,
    NextFire,
    Per,
)
from nightcrew.client.wire.enums import EnumTable
from nightcrew.client.wire.executions import STATES as EXECUTION_STATES
from nightcrew.client.wire.message_json import to_dict
from nightcrew.client.wire.message_parse import fill
from nightcrew.client.wire.times import from_timestamp
from nightcrew.v1 import agent_pb2, agent_service_pb2, limits_pb2, watch_pb2

_STATES = EnumTable(agent_pb2.Agent.State.DESCRIPTOR, AgentState)
_WINDOWS = EnumTable(limits_pb2.SpendLimit.Per.DESCRIPTOR, Per)
_ACTIONS = EnumTable(agent_service_pb2.AgentChange.Action.DESCRIPTOR, ChangeAction)


def agent(wire: agent_pb2.Agent) -> Agent:
    """An agent."""
    has = wire.HasField
    return Agent(
        id=wire.id,
        state=_STATES[wire.state],
        spec=to_dict(wire.spec),
        display_name=wire.display_name,
        description=wire.description,
        labels=dict(wire.labels),
        state_reason=wire.state_reason,
        state_time=from_timestamp(wire.state_time) if has("state_time") else None,
        generation=wire.generation,
        etag=wire.etag,
        create_time=from_timestamp(wire.create_time) if has("create_time") else None,
        update_time=from_timestamp(wire.update_time) if has("update_time") else None,
        status=status(wire.status),
    )


def status(wire: agent_pb2.AgentStatus) -> AgentStatus:
    """What an agent is doing now."""
    last = wire.last_execution
    return AgentStatus(
        running_count=wire.running_count,
        queued_count=wire.queued_count,
        next_fires=tuple(
            NextFire(
                trigger_id=one.trigger_id, time=from_timestamp(one.time) if one.HasField("time") else None
            )
            for one in wire.next_fires
        ),
        last_execution=LastExecution(
            id=last.id,
            state=EXECUTION_STATES[last.state],
            end_time=from_timestamp(last.end_time) if last.HasField("end_time") else None,
        )
        if wire.HasField("last_execution")
        else None,
        restarts=wire.restarts,
        consecutive_failures=wire.consecutive_failures,
        overdue_count=wire.overdue_count,
        filter_errors=wire.filter_errors,
        last_filter_error=wire.last_filter_error,
        limits=tuple(
            LimitUsage(
                name=one.name,
                per=_WINDOWS[one.per],
                used=one.used,
                max=one.max,
                window_end=from_timestamp(one.window_end) if one.HasField("window_end") else None,
            )
            for one in wire.limits
        ),
    )


def condition(wire: agent_service_pb2.GetAgentStatusResponse) -> AgentCondition:
    """An agent's state and what it is doing."""
    return AgentCondition(
        state=_STATES[wire.state], state_reason=wire.state_reason, status=status(wire.status)
    )


def change(wire: agent_service_pb2.AgentChange) -> AgentChange:
    """What an apply does to one agent."""
    return AgentChange(id=wire.id, action=_ACTIONS[wire.action], diff=wire.diff)


def lifecycle_result(wire: agent_service_pb2.LifecycleResult) -> LifecycleResult:
    """What became of one agent that a selector found."""
    error = wire.error
    return LifecycleResult(
        id=wire.id,
        agent=agent(wire.agent) if wire.HasField("agent") else None,
        error=from_parts(error.code, error.reason, error.message, dict(error.metadata))
        if wire.HasField("error")
        else None,
    )


def snapshot(wire: watch_pb2.AgentSnapshot) -> AgentSnapshot:
    """An agent as a watch begins."""
    return AgentSnapshot(agent=agent(wire.agent) if wire.HasField("agent") else None, last=wire.last)


def to_wire(value: Mapping[str, Any], path: str = "agent") -> agent_pb2.Agent:
    """An Agent message of its JSON form.

    Raises:
        InvalidRequest: Naming every field that is wrong, under `path`.
    """
    message = agent_pb2.Agent()
    fill(message, value, path)
    return message
