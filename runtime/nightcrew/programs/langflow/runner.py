"""Langflow flows, run by lfx: loaded once as a template, copied for every run. lfx is imported in workers only."""

import asyncio
import json
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

from nightcrew.agent.base_context import BaseContext
from nightcrew.domain.durations import format_instant
from nightcrew.domain.spec.program import LangflowProgram, Program, SessionMode
from nightcrew.domain.values import encode
from nightcrew.ports.host import ProgramSource
from nightcrew.programs.errors import FlowError, InvalidInput, LoadError
from nightcrew.programs.failure import shorten
from nightcrew.programs.flows import nodes_of, read_flow, schedule_of_flow, template_of
from nightcrew.programs.langflow.events import FlowEvents
from nightcrew.programs.langflow.failure import flow_failure
from nightcrew.programs.tweaks import tweak_faults

TEMPLATES: Final = 32
"""Templates kept; each holds 0.4 to 0.9 MB."""

_USERS: Final = uuid.UUID("4d3c1c5e-6a0b-5f3e-9c1d-6e6967687463")


class FlowRunner:
    """Runs flows in this process; one for each worker."""

    def __init__(self) -> None:
        self._templates: OrderedDict[tuple[str, int, int], tuple[dict[str, Any], Any]] = OrderedDict()
        self._loading = asyncio.Lock()

    async def prepare(self) -> None:
        """Imports lfx (2 s, 190 MB) and what its first load would do, so that no run waits for it."""
        from lfx.load import aload_flow_from_json  # noqa: F401, PLC0415 - the import is the work; in workers only
        from lfx.log.logger import configure  # noqa: PLC0415 - in workers only
        from lfx.utils.flow_validation import ensure_component_hash_lookups_loaded  # noqa: PLC0415 - in workers only

        # The same arguments as every load's own call, which then changes nothing any more.
        configure(disable=True)
        await ensure_component_hash_lookups_loaded()

    async def run(
        self,
        source: ProgramSource,
        program: Program,
        given: Mapping[str, Any],
        context: BaseContext,
        *,
        on_token: Callable[[str], None],
    ) -> dict[str, Any]:
        """Runs the flow once.

        Args:
            source: Where the flow's file is.
            program: The agent's program, a langflow one.
            given: The execution's input: `{input_value?, session_id?, tweaks?}`.
            context: The run's context.
            on_token: Takes each token that a model streams.

        Returns:
            `{text, messages[]}`; `outputs` too where the flow has no chat output.

        Raises:
            LoadError: The flow can't be read or built.
            InvalidInput: The input does not fit.
            FlowError: A component failed, or answered with an error.
        """
        settings = program.langflow or LangflowProgram(flow=source.name)
        text, session = _texts(given)
        flow, template = await self._template(source.path)
        tweaks = _merged_tweaks(settings.tweaks, _own_tweaks(flow, given), _fired(flow, context))
        try:
            graph = await _tweaked(flow, tweaks) if tweaks else template
            # A graph that was made for this run alone need not be copied.
            run = graph if tweaks else graph.copy_for_run(user_id=_user(context.agent_id))
        except (InvalidInput, LoadError):
            raise
        except Exception as error:
            raise LoadError(f"the flow can't be built: {error}", path=source.path) from error
        shared = settings.session is SessionMode.PER_AGENT
        run.session_id = session or (f"agent:{context.agent_id}" if shared else context.execution_id)
        run.context["request_variables"] = dict(settings.variables)
        events = FlowEvents(on_token, context)
        try:
            out = await run.arun(
                [{"input_value": text}],
                session_id=run.session_id,
                fallback_to_env_vars=True,
                event_manager=events.manager(),
            )
        except Exception as error:
            raise flow_failure(error) from error
        return _answer(out, events)

    async def _template(self, path: str) -> tuple[dict[str, Any], Any]:
        """The flow and its graph as they are on disk now, from the cache if the file is the same."""
        try:
            found = Path(path).stat()  # noqa: ASYNC240 - one stat of a local file
        except OSError as error:
            raise LoadError(f"can't be read: {error.strerror}", path=path) from error
        key = (path, found.st_mtime_ns, found.st_size)
        async with self._loading:
            if key not in self._templates:
                flow = read_flow(path)
                self._templates[key] = (flow, await _graph(flow, path))
                while len(self._templates) > TEMPLATES:
                    self._templates.popitem(last=False)
            self._templates.move_to_end(key)
            return self._templates[key]


async def _graph(flow: dict[str, Any], path: str) -> Any:
    from lfx.load import aload_flow_from_json  # noqa: PLC0415 - in workers only

    try:
        return await aload_flow_from_json(deepcopy(flow))
    except Exception as error:
        raise LoadError(f"the flow can't be built: {shorten(str(error), 4096)}", path=path) from error


async def _tweaked(flow: Mapping[str, Any], tweaks: dict[str, Any]) -> Any:
    """A graph of its own with the tweaks applied, streaming left as the flow's author set it.

    lfx switches streaming off in every component as soon as there are tweaks, unless they say otherwise.
    """
    from lfx.exceptions.tweaks import TweakRefusedError  # noqa: PLC0415 - in workers only
    from lfx.load import aload_flow_from_json  # noqa: PLC0415 - in workers only
    from lfx.processing.process import process_tweaks  # noqa: PLC0415 - in workers only

    copy = deepcopy(dict(flow))
    try:
        process_tweaks(copy["data"], tweaks)
    except TweakRefusedError as error:
        raise InvalidInput(f"input.tweaks: {error}") from error
    if "stream" not in tweaks:
        chosen = {key for key, value in tweaks.items() if isinstance(value, dict) and "stream" in value}
        for before, after in zip(nodes_of(flow) or (), nodes_of(copy) or (), strict=True):
            names = {after.get("id"), after.get("data", {}).get("node", {}).get("display_name")}
            field = template_of(before).get("stream")
            if field is not None and not names & chosen:
                template_of(after)["stream"].update(deepcopy(field))
    return await aload_flow_from_json(copy)


def _texts(given: Mapping[str, Any]) -> tuple[str, str]:
    out = []
    for name in ("input_value", "session_id"):
        value = given.get(name)
        if value is not None and not isinstance(value, str):
            raise InvalidInput(f"input.{name}: must be a string, not {type(value).__name__}")
        out.append(value or "")
    return out[0], out[1]


def _own_tweaks(flow: Mapping[str, Any], given: Mapping[str, Any]) -> Mapping[str, Any]:
    tweaks = given.get("tweaks")
    if not tweaks and not isinstance(tweaks, (list, str)):
        return {}
    faults = tweak_faults(flow, tweaks, field="input.tweaks")
    if faults:
        raise InvalidInput("; ".join(f"{one.field}: {one.description}" for one in faults))
    return dict(tweaks)


def _merged_tweaks(*many: Mapping[str, Any]) -> dict[str, Any]:
    """Later ones win, field by field within a component."""
    out: dict[str, Any] = {}
    for one in many:
        for key, value in one.items():
            before = out.get(key)
            out[key] = {**before, **value} if isinstance(before, dict) and isinstance(value, dict) else value
    return out


def _fired(flow: Mapping[str, Any], context: BaseContext) -> dict[str, Any]:
    """What a schedule's fire hands to the flow's Schedule Trigger: its `event_payload`."""
    trigger = context.trigger
    if trigger.nominal_time is None:
        return {}
    by_node = {node: one.id for node, one in schedule_of_flow(flow).items()}
    # A trigger that people added to the agent fires all of them.
    mine = [node for node, name in by_node.items() if name == trigger.trigger_id] or list(by_node)
    payload = encode(
        {
            "kind": "schedule",
            "event_id": context.execution_id,
            "trigger_id": trigger.trigger_id,
            "scheduled_at": format_instant(trigger.nominal_time),
        }
    )
    return {node: {"event_payload": payload} for node in mine}


def _user(agent_id: str) -> str:
    return str(uuid.uuid5(_USERS, agent_id))


def _answer(out: list[Any], events: FlowEvents) -> dict[str, Any]:
    outputs = [one for run in out for one in run.outputs if one is not None]
    messages = [
        message.model_dump(mode="json", exclude_none=True)
        for one in outputs
        for message in one.messages or ()
    ]
    for message in messages:
        if message.get("message") in events.errors:
            raise FlowError(str(message["message"]))
    text = next((str(one["message"]) for one in messages if one.get("message")), "")
    answer: dict[str, Any] = {"text": text, "messages": messages}
    if not messages:
        answer["outputs"] = json.loads(json.dumps([one.outputs for one in outputs], default=str))
    return answer
