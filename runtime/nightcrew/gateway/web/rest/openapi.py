"""What OpenAPI 3.1 says of REST, made from the table that the routes are made of."""

import inspect
import re
from typing import Any, Final, TypeAlias

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from nightcrew.gateway.web.problems import problems
from nightcrew.gateway.web.rest.answers import FieldProblems
from nightcrew.gateway.web.rest.operations import OPERATIONS, PREFIX, Adapter, Operation
from nightcrew.gateway.web.rest.problems import JSON, STATUS
from nightcrew.gateway.web.rest.routes import KEY

_TEMPLATE: Final = "#/components/schemas/{model}"
_FIELD_PROBLEMS: Final[Adapter] = TypeAdapter(FieldProblems)
_Schemas: TypeAlias = dict[Adapter, dict[str, Any]]


def paths() -> dict[str, Any]:
    """The Paths Object of the operations; a slash at the end of a path changes nothing."""
    out: dict[str, Any] = {}
    schemas, _ = _schemas()
    for operation in OPERATIONS:
        item = out.setdefault(PREFIX + (operation.path or "/"), {})
        item[operation.method.lower()] = _operation(operation, schemas)
    return out


def components() -> dict[str, Any]:
    """The schemas that `paths` refers to, by their names."""
    _, shared = _schemas()
    return shared


def _schemas() -> tuple[_Schemas, dict[str, Any]]:
    """The schema of each body and answer, and those that they share."""
    bodies = [operation.body for operation in OPERATIONS if operation.body is not None]
    answers = [operation.answer for operation in OPERATIONS if operation.answer is not None]
    asked: list[tuple[Adapter, JsonSchemaMode, Adapter]] = [
        *((one, "validation", one) for one in bodies),
        *((one, "serialization", one) for one in (*answers, _FIELD_PROBLEMS)),
    ]
    found, shared = TypeAdapter.json_schemas(asked, ref_template=_TEMPLATE)
    return {adapter: schema for (adapter, _), schema in found.items()}, shared.get("$defs", {})


def _operation(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    out: dict[str, Any] = {
        "operationId": f"{operation.handle.__name__}_background_agent",
        "tags": ["Background Agents"],
        "summary": inspect.getdoc(operation.handle),
        "parameters": _parameters(operation),
        "responses": _responses(operation, schemas),
    }
    if operation.body is not None:
        content = _json(schemas[operation.body])
        out["requestBody"] = {"required": not operation.optional, "content": content}
    return out


def _responses(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    done: dict[str, Any] = {"description": "Done."}
    if operation.answer is not None:
        done["content"] = _json(schemas[operation.answer])
    wrong = {"description": "Fields are wrong; each is named.", "content": _json(schemas[_FIELD_PROBLEMS])}
    with_body = (400, 408, 413, 415) if operation.body is not None else ()
    refusals = problems(*operation.problems, *with_body, 503) | {str(STATUS): wrong}
    return {str(operation.status): done} | dict(sorted(refusals.items()))


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {JSON: {"schema": schema}}


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
