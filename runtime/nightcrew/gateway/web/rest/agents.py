"""Agents between REST and the domain: a body as a manifest or a patch, an agent as an answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from nightcrew.domain.agent import Agent
from nightcrew.domain.agent import AgentState as State
from nightcrew.domain.errors import (
    FailedPrecondition,
    FieldViolation,
    InvalidArgument,
    NightcrewError,
    NotFound,
)
from nightcrew.domain.spec.agent import Manifest
from nightcrew.domain.spec.base import invalid
from nightcrew.domain.spec.program import Program
from nightcrew.domain.spec.trigger import Trigger
from nightcrew.domain.values import decode, encode
from nightcrew.gateway.web.rest.answers import AgentRead, AgentState, AgentStatus, TriggerType
from nightcrew.gateway.web.rest.bodies import (
    CONFIGS,
    TYPES,
    AgentUpdate,
    AnyCreate,
    CronConfig,
    DateConfig,
    Given,
    IntervalConfig,
    WebhookConfig,
)
from nightcrew.gateway.web.rest.triggers import FIELD, config_of, trigger_of, type_of
from nightcrew.services.guard import MAX_LABEL
from nightcrew.services.status import AgentStatus as Figures

FLOW_ID: Final = "flow_id"
"""The label that keeps what was given as flow_id, so that it is answered as it was given."""
CONFIG: Final = "trigger_config"
"""The label that keeps a trigger_config as it was given; it is answered while the trigger is what it makes."""

STATUSES: Final[Mapping[State, AgentStatus]] = {
    State.ACTIVE: AgentStatus.ACTIVE,
    State.PAUSED: AgentStatus.PAUSED,
    State.STOPPED: AgentStatus.STOPPED,
    State.STOPPING: AgentStatus.STOPPED,
    State.ERROR: AgentStatus.ERROR,
}


@dataclass(frozen=True, slots=True)
class Patch:
    """What an update changes: the JSON of an agent, the paths of it that count, and the secret that was made for it."""

    agent: dict[str, Any]
    paths: list[str]
    secret: str | None = None


def manifest_of(body: AnyCreate, *, agent_id: str, program: Program) -> Manifest:
    """The agent that a body describes.

    Raises:
        InvalidArgument: Names every field of it that is wrong.
    """
    trigger = trigger_of(body.trigger_config) | {"disabled": not body.enabled}
    return Manifest.parse(
        {
            "id": agent_id,
            "display_name": body.name,
            "description": body.description or "",
            "labels": {FLOW_ID: body.flow_id} | _remembered(body.trigger_config),
            "spec": {"program": program, "input": body.input_config, "triggers": [trigger]},
        },
        field="agent",
    )


def patch_of(agent: Agent, body: AgentUpdate, *, new_secret: Callable[[], str]) -> Patch:
    """What a body changes of an agent; what it says that is so already changes nothing.

    Args:
        agent: The agent as it is.
        body: What is to change.
        new_secret: Makes the secret of a webhook that is new and was given none.

    Raises:
        InvalidArgument: It sets what can't be set, or its trigger_config is wrong.
    """
    _check_fixed(agent, body)
    patch = Patch({"spec": {}}, [])
    if body.name is not None:
        patch.agent["display_name"] = body.name
        patch.paths.append("display_name")
    if "description" in body.model_fields_set:
        patch.agent["description"] = body.description or ""
        patch.paths.append("description")
    if body.input_config is not None:
        patch.agent["spec"]["input"] = body.input_config
        patch.paths.append("spec.input")
    triggers = [trigger.to_json() for trigger in agent.spec.triggers]
    config, made = _new_config(agent, body), None
    if config == WebhookConfig() and not (agent.spec.triggers and agent.spec.triggers[0].webhook):
        made = new_secret()
        config = WebhookConfig(secret=made)
    if config is not None:
        triggers[:1] = [_changed(agent.spec.triggers[0] if agent.spec.triggers else None, config)]
        kept = {name: value for name, value in agent.labels.items() if name != CONFIG}
        patch.agent["labels"] = kept | _remembered(config)
        patch.paths.append("labels")
    if body.enabled is False and not triggers:
        raise InvalidArgument.of(
            "enabled", "can't be false: the agent has no trigger that it would switch off"
        )
    if body.enabled is not None and body.enabled is not enabled(agent):
        triggers = [{**trigger, "disabled": not body.enabled} for trigger in triggers]
    if triggers != [trigger.to_json() for trigger in agent.spec.triggers]:
        patch.agent["spec"]["triggers"] = triggers
        patch.paths.append("spec.triggers")
    return replace(patch, secret=made)


def _check_fixed(agent: Agent, body: AgentUpdate) -> None:
    found = []
    if body.status not in {None, STATUSES[agent.state]}:
        how = "is changed by start, stop, pause and resume"
        found.append(FieldViolation("status", f"{how}; it is {STATUSES[agent.state]}"))
    if body.flow_id not in {None, flow_id_of(agent)}:
        found.append(
            FieldViolation("flow_id", f"can't be changed: make another agent; it is {flow_id_of(agent)!r}")
        )
    if found:
        raise InvalidArgument("; ".join(f"{one.field}: {one.description}" for one in found), violations=found)


def _new_config(agent: Agent, body: AgentUpdate) -> Given | None:
    """The config that a body gives the first trigger, or None if it says nothing of it."""
    first = agent.spec.triggers[0] if agent.spec.triggers else None
    now = None if first is None else type_of(first)
    kind = body.trigger_type or now
    said = {} if first is None else _config(agent, first)
    if kind is now and body.trigger_config in (None, said):
        return None  # also what was read and is sent back, of a trigger that says more than a config can
    if kind is None:
        raise InvalidArgument.of(
            "trigger_type", "is required: the agent has no trigger of a type that is known here"
        )
    if body.trigger_config is None and kind not in {TriggerType.WEBHOOK, TriggerType.EVENT}:
        raise InvalidArgument.of(FIELD, f"is required: the agent becomes {kind}")
    try:
        return CONFIGS[kind].model_validate(body.trigger_config or {})
    except ValidationError as error:
        raise invalid(error, FIELD) from error


def _changed(first: Trigger | None, config: Given) -> dict[str, Any]:
    """The first trigger with another config; what REST does not speak of (jitter, overlap) stays where it fits."""
    new = trigger_of(config)
    if first is None:
        return new
    old = first.to_json()
    if type_of(first) is not TYPES[type(config)]:
        return {name: old[name] for name in ("disabled", "input", "overlap") if name in old} | new
    if isinstance(config, WebhookConfig) and config.secret is None:
        return old
    ((kind, settings),) = new.items()
    return old | {kind: old[kind] | settings}


def enabled(agent: Agent) -> bool:
    """Whether any of its triggers may fire; an agent without triggers is not held back by them."""
    return not agent.spec.triggers or not all(trigger.disabled for trigger in agent.spec.triggers)


def check_there(agent: Agent) -> None:
    """One that was deleted is gone for the callers of REST, also while its last run is being ended.

    Raises:
        NotFound: It was.
    """
    if agent.delete_requested:
        raise NotFound("agent", agent.id)


def check_enabled(agent: Agent) -> None:
    """Whether the agent may be started, resumed and triggered.

    Raises:
        NotFound: It was deleted.
        FailedPrecondition: `agent_disabled`.
    """
    check_there(agent)
    if not enabled(agent):
        raise FailedPrecondition(
            f"agent {agent.id!r} is not enabled; set enabled to true first",
            subject=f"agents/{agent.id}",
            code="agent_disabled",
        )


def flow_id_of(agent: Agent) -> str:
    """What the agent runs, in the words of whoever made it."""
    return agent.labels.get(FLOW_ID) or agent.spec.program.name


def agent_answer(agent: Agent, figures: Figures, *, hooks: str, secret: str | None = None) -> AgentRead:
    """An agent as REST answers it.

    Args:
        agent: The agent.
        figures: What it is doing.
        hooks: The URL under which webhooks are called, without a slash at its end.
        secret: The secret that was made for its webhook just now.
    """
    first = agent.spec.triggers[0] if agent.spec.triggers else None
    hook = next((trigger.id for trigger in agent.spec.triggers if trigger.webhook is not None), None)
    return AgentRead(
        id=agent.id,
        name=agent.display_name,
        description=agent.description or None,
        flow_id=flow_id_of(agent),
        trigger_type=None if first is None else type_of(first),
        trigger_config={} if first is None else _config(agent, first),
        input_config=agent.spec.input,
        status=STATUSES[agent.state],
        enabled=enabled(agent),
        created_at=agent.create_time,
        updated_at=agent.update_time,
        last_run_at=_last_run(figures),
        next_run_at=next_run(figures),
        webhook_url=None if hook is None else f"{hooks}/{agent.id}/{hook}",
        webhook_secret=secret,
    )


def state_answer(agent: Agent, figures: Figures) -> AgentState:
    """What an agent is doing, as REST answers it."""
    return AgentState(
        agent_id=agent.id,
        name=agent.display_name,
        status=STATUSES[agent.state],
        enabled=enabled(agent),
        last_run_at=_last_run(figures),
        next_run_at=next_run(figures),
        trigger_type=type_of(agent.spec.triggers[0]) if agent.spec.triggers else None,
    )


def next_run(figures: Figures) -> datetime | None:
    """When the agent runs next by its schedules."""
    return figures.next_fires[0].time if figures.next_fires else None


def _last_run(figures: Figures) -> datetime | None:
    return None if figures.last_execution is None else figures.last_execution.start_time


def _remembered(config: Given) -> dict[str, str]:
    """The label for a config that says in words of its own what its trigger can say in others only."""
    if not isinstance(config, CronConfig | IntervalConfig | DateConfig):
        return {}
    text = encode(config.model_dump(exclude_unset=True))
    return {CONFIG: text} if len(text) <= MAX_LABEL else {}


def _config(agent: Agent, first: Trigger) -> dict[str, Any]:
    """The config as it was given if the trigger still is what it makes, else one that makes the trigger."""
    kind, text = type_of(first), agent.labels.get(CONFIG)
    if kind is None or not text:
        return config_of(first)
    try:
        given = decode(text)
        made = Trigger.parse({**first.to_json(), **_changed(first, CONFIGS[kind].model_validate(given))})
    except (ValueError, NightcrewError):
        return config_of(first)  # somebody else uses the label, or has changed it
    return given if made == first else config_of(first)
