"""The runtime and its supervision tree as messages."""

from typing import Final

from nightcrew.actor.component import Component, ComponentKind, ComponentState
from nightcrew.domain.spec.policy import RestartMode
from nightcrew.gateway.grpc.convert.delivery import fill_hook
from nightcrew.gateway.grpc.convert.times import fill_time
from nightcrew.services.runtime import RuntimeInfo
from nightcrew.v1 import policy_pb2, runtime_pb2

_KINDS: Final = {
    ComponentKind.SUPERVISOR: runtime_pb2.Component.KIND_SUPERVISOR,
    ComponentKind.WORKER: runtime_pb2.Component.KIND_WORKER,
}
_STATES: Final = {
    ComponentState.STARTING: runtime_pb2.Component.STATE_STARTING,
    ComponentState.RUNNING: runtime_pb2.Component.STATE_RUNNING,
    ComponentState.BACKING_OFF: runtime_pb2.Component.STATE_RESTARTING,
    ComponentState.STOPPING: runtime_pb2.Component.STATE_STOPPING,
    ComponentState.STOPPED: runtime_pb2.Component.STATE_STOPPED,
    ComponentState.GAVE_UP: runtime_pb2.Component.STATE_FAILED,
}
_MODES: Final = {one: policy_pb2.RestartPolicy.Mode.Value(one.value) for one in RestartMode}


def runtime_message(info: RuntimeInfo) -> runtime_pb2.Runtime:
    """The runtime's figures."""
    figures = info.figures
    out = runtime_pb2.Runtime(
        version=info.version,
        store=info.store,
        agent_counts={state.value: count for state, count in figures.agent_counts.items()},
        running=figures.running,
        queued=figures.queued,
        sequence=figures.sequence,
        draining=info.draining,
    )
    fill_time(out.start_time, info.start_time)
    for hook in info.outbound:
        fill_hook(out.outbound.add(), hook)
    return out


def fill_component(out: runtime_pb2.Component, component: Component) -> None:
    """Writes one node of the tree into an empty message."""
    out.id = component.id
    out.parent_id = component.parent
    out.kind = _KINDS[component.kind]
    out.state = _STATES[component.state]
    out.restarts = component.restarts
    out.restart_mode = _MODES[component.mode]
    out.last_error = component.last_error
    out.children_count = component.children
    if component.start_time is not None:
        fill_time(out.start_time, component.start_time)
