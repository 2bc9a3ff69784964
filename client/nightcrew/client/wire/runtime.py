"""The runtime and its components off the wire."""

from nightcrew.client.models.runtime import (
    Component,
    ComponentKind,
    ComponentState,
    RestartMode,
    Runtime,
)
from nightcrew.client.wire.deliveries import outbound_hook
from nightcrew.client.wire.enums import EnumTable
from nightcrew.client.wire.times import from_timestamp
from nightcrew.v1 import policy_pb2, runtime_pb2

_KINDS = EnumTable(runtime_pb2.Component.Kind.DESCRIPTOR, ComponentKind)
_STATES = EnumTable(runtime_pb2.Component.State.DESCRIPTOR, ComponentState)
_MODES = EnumTable(policy_pb2.RestartPolicy.Mode.DESCRIPTOR, RestartMode)


def runtime(wire: runtime_pb2.Runtime) -> Runtime:
    """The runtime's figures."""
    return Runtime(
        version=wire.version,
        start_time=from_timestamp(wire.start_time) if wire.HasField("start_time") else None,
        store=wire.store,
        agent_counts=dict(wire.agent_counts),
        running=wire.running,
        queued=wire.queued,
        sequence=wire.sequence,
        draining=wire.draining,
        outbound=tuple(outbound_hook(one) for one in wire.outbound),
    )


def component(wire: runtime_pb2.Component) -> Component:
    """One node of the supervision tree."""
    return Component(
        id=wire.id,
        parent_id=wire.parent_id,
        kind=_KINDS[wire.kind],
        state=_STATES[wire.state],
        restarts=wire.restarts,
        start_time=from_timestamp(wire.start_time) if wire.HasField("start_time") else None,
        restart_mode=_MODES[wire.restart_mode],
        last_error=wire.last_error,
        children_count=wire.children_count,
    )
