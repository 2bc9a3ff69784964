"""Langflow flows as files: read, registered and looked into without loading lfx."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from nightcrew.agent.definition import Definition
from nightcrew.domain.errors import InvalidArgument, NightcrewError
from nightcrew.domain.spec.agent import AgentSpec, Manifest, check_slug
from nightcrew.domain.spec.program import LangflowProgram, Program, SessionMode
from nightcrew.domain.spec.trigger import CatchUp, CatchUpMode, Cron, Schedule, Trigger
from nightcrew.ports.host import ProgramSource
from nightcrew.programs.discovery import Discovery, Fault, Found
from nightcrew.programs.errors import LoadError

SCHEDULE_COMPONENT: Final = "ScheduleTrigger"
MAX_FLOW_BYTES: Final = 64 * 1024 * 1024


def discover_flow(path: str | Path) -> Discovery:
    """The agent of a flow's .json file: its id is the file's stem, its Schedule Triggers are cron triggers.

    Never raises for a fault of the file.
    """
    file = Path(path).resolve()
    try:
        flow = read_flow(file)
        manifest = _manifest(file, flow)
    except LoadError as error:
        return Discovery(faults=(Fault(error.path, error.line, error.reason),))
    except NightcrewError as error:
        return Discovery(faults=(Fault(str(file), 0, error.message),))
    source = ProgramSource(kind="langflow", name=file.stem, path=str(file), is_async=True)
    return Discovery(found=(Found(source, Definition(manifest=manifest)),))


def read_flow(path: str | Path) -> dict[str, Any]:
    """A flow's JSON.

    Raises:
        LoadError: It can't be read, is no JSON (names the line) or no flow.
    """
    file = Path(path)
    try:
        if file.stat().st_size > MAX_FLOW_BYTES:
            raise LoadError(f"is over {MAX_FLOW_BYTES} bytes", path=str(path))
        flow = json.loads(file.read_bytes())
    except OSError as error:
        raise LoadError(f"can't be read: {error.strerror}", path=str(path)) from error
    except json.JSONDecodeError as error:
        raise LoadError(f"is no JSON: {error.msg}", path=str(path), line=error.lineno) from error
    except (ValueError, RecursionError) as error:
        raise LoadError(f"is no JSON: {error}", path=str(path)) from error
    if not isinstance(flow, dict) or not isinstance(nodes_of(flow), list):
        raise LoadError("is no Langflow flow: it has no list data.nodes", path=str(path))
    return flow


def nodes_of(flow: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """The flow's components, or None if it is no flow."""
    data = flow.get("data")
    nodes = data.get("nodes") if isinstance(data, dict) else None
    return nodes if isinstance(nodes, list) and all(isinstance(one, dict) for one in nodes) else None


def template_of(node: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """A component's fields, by name."""
    data = node.get("data")
    inner = data.get("node") if isinstance(data, dict) else None
    template = inner.get("template") if isinstance(inner, dict) else None
    fields = template if isinstance(template, dict) else {}
    return {name: one for name, one in fields.items() if isinstance(one, dict)}


def component_of(node: Mapping[str, Any]) -> str:
    """A component's type, such as `ChatInput`."""
    data = node.get("data")
    return str(data.get("type", "")) if isinstance(data, dict) else ""


def schedule_of_flow(flow: Mapping[str, Any]) -> dict[str, Trigger]:
    """The cron triggers of a flow's Schedule Trigger components, by the component's id.

    Raises:
        InvalidArgument: A component's expression is empty or too long.
    """
    out: dict[str, Trigger] = {}
    for node in nodes_of(flow) or ():
        if component_of(node) == SCHEDULE_COMPONENT:
            name = "cron" if not out else f"cron-{len(out) + 1}"
            out[str(node.get("id", ""))] = _trigger(name, template_of(node))
    return out


def _trigger(name: str, fields: Mapping[str, Mapping[str, Any]]) -> Trigger:
    def value(field: str, default: str) -> str:
        return str(fields.get(field, {}).get("value") or default)

    skips = value("catchup_policy", "coalesce") == "skip"
    expression = value("cron_expression", "")
    if not expression.strip():
        raise InvalidArgument.of("cron_expression", "is empty in the flow's Schedule Trigger")
    schedule = Schedule(
        cron=Cron.parse({"expression": expression}),
        time_zone=value("timezone", "UTC"),
        # Langflow's `coalesce` runs once for what was missed: LATEST, which is the default.
        catch_up=CatchUp(mode=CatchUpMode.NONE) if skips else None,
    )
    return Trigger(id=name, schedule=schedule)


def _shares_session(flow: Mapping[str, Any]) -> bool:
    return any(
        component_of(node) == SCHEDULE_COMPONENT
        and template_of(node).get("share_session", {}).get("value") is True
        for node in nodes_of(flow) or ()
    )


def program_of_flow(name: str, flow: Mapping[str, Any]) -> Program:
    """The program that a flow is: its chat memory is shared if its Schedule Trigger says so."""
    session = SessionMode.PER_AGENT if _shares_session(flow) else SessionMode.UNSPECIFIED
    return Program(langflow=LangflowProgram(flow=name, session=session))


def _manifest(file: Path, flow: Mapping[str, Any]) -> Manifest:
    program = program_of_flow(file.stem, flow)
    return Manifest.parse(
        {
            "id": check_slug(file.stem.lower().replace("_", "-"), field="the file's name"),
            "display_name": _text(flow.get("name"))[:256],
            "description": _text(flow.get("description"))[:16384],
            "spec": AgentSpec(program=program, triggers=tuple(schedule_of_flow(flow).values())),
        }
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
