"""What OpenAPI 3.1 says of REST, made from the table that the routes are made of."""

import inspect
import re
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from nightcrew.gateway.web.rest.answers import FieldProblems, Problem
from nightcrew.gateway.web.rest.operations import OPERATIONS, PREFIX, Operation
from nightcrew.gateway.web.rest.problems import JSON
from nightcrew.gateway.web.rest.routes import KEY

_TEMPLATE: Final = "#/components/schemas/{model}"
_PROBLEM: Final[TypeAdapter[Any]] = TypeAdapter(Problem)
_FIELD_PROBLEMS: Final[TypeAdapter[Any]] = TypeAdapter(FieldProblems)
_WHY: Final = {
    400: "The body is no JSON.",
    404: "There is no such flow, agent or execution.",
    409: "Not in the state that the agent is in, or not while it is not enabled.",
    413: "The body is larger than 2 MiB.",
    422: "Fields are wrong; each is named.",
    429: "The agent's backlog is full; Retry-After says when to try again.",
    503: "The runtime drains, or its store can't be used now.",
}


def paths() -> dict[str, Any]:
    """The Paths Object of the operations; a slash at the end of a path changes nothing."""
    out: dict[str, Any] = {}
    schemas = _schemas()[0]
    for operation in OPERATIONS:
        item = out.setdefault(PREFIX + (operation.path or "/"), {})
        item[operation.method.lower()] = _operation(operation, schemas)
    return out


def components() -> dict[str, Any]:
    """The schemas that `paths` refers to, by their names."""
    return _schemas()[1]


def _schemas() -> tuple[dict[tuple[int, JsonSchemaMode], Any], dict[str, Any]]:
    """The schema of each body and answer by its adapter's identity, and those that they share."""
    asked: list[tuple[int, JsonSchemaMode, TypeAdapter[Any]]] = [
        (id(_PROBLEM), "serialization", _PROBLEM),
        (id(_FIELD_PROBLEMS), "serialization", _FIELD_PROBLEMS),
    ]
    for operation in OPERATIONS:
        if operation.body is not None:
            asked.append((id(operation.body), "validation", operation.body))
        if operation.answer is not None:
            asked.append((id(operation.answer), "serialization", operation.answer))
    found, shared = TypeAdapter.json_schemas(asked, ref_template=_TEMPLATE)
    return found, shared.get("$defs", {})


def _operation(operation: Operation, schemas: dict[tuple[int, JsonSchemaMode], Any]) -> dict[str, Any]:
    summary = inspect.getdoc(operation.handle) or ""
    out: dict[str, Any] = {
        "operationId": f"{operation.handle.__name__}_background_agent",
        "tags": ["Background Agents"],
        "summary": summary.partition("\n")[0],
        "parameters": _parameters(operation),
        "responses": _responses(operation, schemas),
    }
    if operation.body is not None:
        out["requestBody"] = {
            "required": operation.body_required,
            "content": {JSON: {"schema": schemas[id(operation.body), "validation"]}},
        }
    return out


def _responses(operation: Operation, schemas: dict[tuple[int, JsonSchemaMode], Any]) -> dict[str, Any]:
    done: dict[str, Any] = {"description": "Done."}
    if operation.answer is not None:
        done["content"] = {JSON: {"schema": schemas[id(operation.answer), "serialization"]}}
    out = {str(operation.status): done}
    problems = {*operation.problems, 422, 503, *([400, 413] if operation.body is not None else [])}
    for status in sorted(problems):
        of = _FIELD_PROBLEMS if status == 422 else _PROBLEM  # noqa: PLR2004 - HTTP's number
        schema = schemas[id(of), "serialization"]
        out[str(status)] = {"description": _WHY[status], "content": {JSON: {"schema": schema}}}
    return out


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", operation.path)
    ]
    if operation.query is not None:
        schema = operation.query.model_json_schema()
        for name, one in schema["properties"].items():
            required = name in schema.get("required", ())
            description = one.pop("description", "")
            out.append(
                {"name": name, "in": "query", "required": required, "schema": one, "description": description}
            )
    if operation.method != "GET":
        out.append(
            {
                "name": KEY,
                "in": "header",
                "required": False,
                "schema": {"type": "string"},
                "description": "A UUID. A call that is repeated with its key in 24 h gets the first answer.",
            }
        )
    return out
