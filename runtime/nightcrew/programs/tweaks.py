"""Which of a flow's fields a caller may tweak: never code, files, MCP servers, URLs or secrets."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from nightcrew.domain.errors import FieldViolation
from nightcrew.programs.flows import nodes_of, template_of

_CLOSED_TYPES: Final = frozenset({"code", "mcp", "file"})
_URL_NAME: Final = re.compile(r"(^|_)(url|urls|uri|endpoint|host|webhook)($|_)", re.IGNORECASE)
_SECRET_NAME: Final = re.compile(
    r"(^|_)(api_?key|secret|password|passwd|token|credential|credentials|private_key)($|_)", re.IGNORECASE
)
_COUNTS: Final = re.compile(r"(^|_)(max|num|n|min)_", re.IGNORECASE)


def tweak_faults(flow: Mapping[str, Any], tweaks: object, *, field: str) -> list[FieldViolation]:
    """What is wrong with a caller's tweaks, by path; none if they may be applied.

    A tweak is `{component id or display name: {field: value}}`, `{field: value}` for every component that
    has the field, or `{"stream": bool}`. A field that the flow marks `api_editable` is open whatever it is.
    """
    if not isinstance(tweaks, Mapping):
        return [FieldViolation(field, "must be an object of component ids and their fields")]
    nodes = nodes_of(flow) or []
    by_name = {str(node.get("data", {}).get("node", {}).get("display_name")): node for node in nodes}
    by_id = {str(node.get("id")): node for node in nodes}
    found: list[FieldViolation] = []
    for key, value in tweaks.items():
        path = f"{field}.{key}"
        if isinstance(value, Mapping):
            node = by_id.get(str(key)) or by_name.get(str(key))
            if node is None:
                known = ", ".join(sorted(by_id))
                found.append(FieldViolation(path, f"is no component of the flow; there are {known}"))
            else:
                found.extend(_faults(template_of(node), value, path))
        elif key != "stream":
            found.extend(_everywhere(nodes, str(key), path))
    return found


def closed(name: str, spec: Mapping[str, Any]) -> str:
    """Why a field may not be tweaked, or an empty string."""
    if spec.get("api_editable") is True:
        return ""
    if name == "code" or spec.get("type") in _CLOSED_TYPES:
        return f"is of the type {spec.get('type')}"
    if spec.get("password") is True or spec.get("_input_type") == "SecretStrInput":
        return "is a secret"
    if _SECRET_NAME.search(name) and spec.get("type") == "str" and not _COUNTS.search(name):
        return "is a secret"
    if _URL_NAME.search(name) or spec.get("_input_type") == "LinkInput":
        return "is a URL"
    return ""


def _faults(
    template: Mapping[str, Mapping[str, Any]], fields: Mapping[str, Any], path: str
) -> Iterator[FieldViolation]:
    for name in fields:
        spec = template.get(name)
        if spec is None:
            known = ", ".join(sorted(template))
            yield FieldViolation(f"{path}.{name}", f"is no field of the component; there are {known}")
        elif why := closed(name, spec):
            yield FieldViolation(f"{path}.{name}", f"{why}, and the flow does not mark it api_editable")


def _everywhere(nodes: list[dict[str, Any]], name: str, path: str) -> Iterator[FieldViolation]:
    specs = [spec for node in nodes if (spec := template_of(node).get(name)) is not None]
    if not specs:
        yield FieldViolation(path, "is neither a component nor a field of one")
    why = next((reason for spec in specs if (reason := closed(name, spec))), "")
    if why:
        yield FieldViolation(path, f"{why}, and the flow does not mark it api_editable")
