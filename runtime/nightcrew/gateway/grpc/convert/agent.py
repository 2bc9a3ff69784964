"""Agents over the wire: what people write comes in as a manifest, what the runtime keeps goes out whole."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, TypeAlias

from google.protobuf.json_format import ParseDict

from nightcrew.domain.agent import Agent, AgentState
from nightcrew.domain.errors import InvalidArgument, NightcrewError
from nightcrew.domain.execution import ExecutionState
from nightcrew.domain.spec.agent import AgentSpec, Manifest
from nightcrew.gateway.grpc.convert.cache import Lru
from nightcrew.gateway.grpc.convert.message import json_of
from nightcrew.gateway.grpc.convert.times import fill_time
from nightcrew.gateway.status import code_of
from nightcrew.services.status import AgentStatus
from nightcrew.v1 import agent_pb2, execution_pb2, limits_pb2

SPECS_KEPT: Final = 4096
"""Specs kept as messages: a list of agents builds each spec once, whoever asks how often."""

STATES: Final = {one: agent_pb2.Agent.State.Value(one.value) for one in AgentState}
_EXECUTION_STATES: Final = {one: execution_pb2.Execution.State.Value(one.value) for one in ExecutionState}
_WRITTEN: Final = frozenset(Manifest.model_fields)

_SpecKey: TypeAlias = tuple[str, datetime, int]


def written(message: agent_pb2.Agent, field: str) -> dict[str, Any]:
    """The JSON of the part of an agent that people write; what is output only is left out.

    Raises:
        InvalidArgument: A value can't be read; names its path under `field`.
    """
    return json_of(message, field, only=_WRITTEN)


def manifest_of(message: agent_pb2.Agent, field: str) -> Manifest:
    """The manifest of an agent that came in.

    Raises:
        InvalidArgument: Names every field that is wrong, as `agent.spec.triggers[2].schedule.cron.expression`.
    """
    return Manifest.parse(written(message, field), field=field)


class AgentMessages:
    """Makes Agent messages; keeps the specs it has made."""

    def __init__(self) -> None:
        self._specs: Lru[_SpecKey, agent_pb2.AgentSpec] = Lru(SPECS_KEPT)

    def of(self, agent: Agent, status: AgentStatus | None = None) -> agent_pb2.Agent:
        """The message of an agent, with what it is doing if that is known."""
        out = agent_pb2.Agent(
            id=agent.id,
            display_name=agent.display_name,
            description=agent.description,
            labels=agent.labels,
            state=STATES[agent.state],
            state_reason=agent.state_reason,
            generation=agent.generation,
            etag=agent.etag,
        )
        # An agent that was deleted and made again begins at generation 1 anew: its birth tells the two apart.
        key = (agent.id, agent.create_time, agent.generation)
        out.spec.CopyFrom(self._specs.get(key, lambda: spec_message(agent.spec)))
        fill_time(out.state_time, agent.state_time)
        fill_time(out.create_time, agent.create_time)
        fill_time(out.update_time, agent.update_time)
        if status is not None:
            fill_status(out.status, status)
        return out


def spec_message(spec: AgentSpec) -> agent_pb2.AgentSpec:
    """The message of a spec; a webhook's secrets are taken in and never given out."""
    message = ParseDict(spec.to_json(), agent_pb2.AgentSpec())
    for trigger in message.triggers:
        if trigger.HasField("webhook"):
            trigger.webhook.ClearField("secrets")
    return message


def status_message(status: AgentStatus) -> agent_pb2.AgentStatus:
    """What an agent is doing, as a message."""
    out = agent_pb2.AgentStatus()
    fill_status(out, status)
    return out


def fill_status(out: agent_pb2.AgentStatus, status: AgentStatus) -> None:
    """Writes what an agent is doing into an empty message."""
    out.SetInParent()
    out.running_count = status.running_count
    out.queued_count = status.queued_count
    out.restarts = status.restarts
    out.consecutive_failures = status.consecutive_failures
    out.overdue_count = status.overdue_count
    out.filter_errors = status.filter_fault.count
    out.last_filter_error = status.filter_fault.last
    for fire in status.next_fires:
        following = out.next_fires.add(trigger_id=fire.trigger_id)
        fill_time(following.time, fire.time)
    for limit in status.limits:
        one = out.limits.add(name=limit.name, used=limit.used, max=limit.max)
        one.per = limits_pb2.SpendLimit.Per.Value(limit.per.value)
        fill_time(one.window_end, limit.window_end)
    last = status.last_execution
    if last is not None:
        out.last_execution.id = last.id
        out.last_execution.state = _EXECUTION_STATES[last.state]
        fill_time(out.last_execution.end_time, last.end_time)


def error_message(error: NightcrewError) -> agent_pb2.AgentError:
    """Why one of many was refused, as a call for it alone would have said it."""
    metadata: Mapping[str, str] = error.metadata
    if isinstance(error, InvalidArgument) and error.violations:
        metadata = {**metadata, "field": error.violations[0].field}
    return agent_pb2.AgentError(
        code=code_of(error), reason=error.code, message=error.message, metadata=metadata
    )
