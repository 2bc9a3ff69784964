"""An agent as a row: its columns, and the way in and out of them."""

from functools import lru_cache
from typing import Any, Final

from nightcrew.domain.agent import Agent, AgentState
from nightcrew.domain.durations import from_micros, to_micros
from nightcrew.domain.spec.agent import AgentSpec
from nightcrew.domain.values import decode, encode

Row = tuple[Any, ...]

COLUMNS: Final = (
    "id, state, state_reason, state_time, generation, revision, consecutive_failures, delete_requested,"
    " was_paused, create_time, update_time, program, display_name, labels, description, spec"
)
NAMES: Final = tuple(COLUMNS.split(", "))

_STATES: Final = {str(one): one for one in AgentState}
_CACHED_TEXT: Final = 16 * 1024


def agent_row(agent: Agent) -> Row:
    """The columns of an agent."""
    return (
        agent.id,
        str(agent.state),
        agent.state_reason,
        to_micros(agent.state_time),
        agent.generation,
        agent.revision,
        agent.consecutive_failures,
        int(agent.delete_requested),
        int(agent.was_paused),
        to_micros(agent.create_time),
        to_micros(agent.update_time),
        agent.spec.program.name,
        agent.display_name,
        encode(dict(agent.labels)) if agent.labels else "{}",
        agent.description,
        agent.spec.model_dump_json(exclude_defaults=True),
    )


def agent_of(row: Row) -> Agent:
    """The agent of a row that was selected by `COLUMNS`."""
    (
        agent_id,
        state,
        state_reason,
        state_time,
        generation,
        revision,
        consecutive_failures,
        delete_requested,
        was_paused,
        create_time,
        update_time,
        _,
        display_name,
        labels,
        description,
        spec,
    ) = row
    return Agent(
        id=agent_id,
        spec=spec_of(spec),
        create_time=from_micros(create_time),
        update_time=from_micros(update_time),
        state_time=from_micros(state_time),
        display_name=display_name,
        description=description,
        labels={} if labels == "{}" else decode(labels),
        state=_STATES[state],
        state_reason=state_reason,
        generation=generation,
        revision=revision,
        consecutive_failures=consecutive_failures,
        delete_requested=delete_requested == 1,
        was_paused=was_paused == 1,
    )


def spec_of(text: str) -> AgentSpec:
    """The spec of a JSON text; small ones are decoded once.

    The cache goes by the text, not by (agent, generation): an agent that is deleted and made again has the
    same generation, and so has a change that was undone. Agents with one spec share one object.
    """
    return _remembered(text) if len(text) <= _CACHED_TEXT else AgentSpec.model_validate_json(text)


@lru_cache(maxsize=4096)
def _remembered(text: str) -> AgentSpec:
    return AgentSpec.model_validate_json(text)
