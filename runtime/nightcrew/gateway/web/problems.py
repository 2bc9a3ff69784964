"""Refusals that all routes share, as OpenAPI tells them: `{"detail": …}`."""

from typing import Any, Final

_WHY: Final = {
    400: "The request can't be read.",
    401: "The sender is not who it should be.",
    404: "There is no such thing.",
    408: "The body did not come in time.",
    409: "Not in the state that the agent is in.",
    410: "It is good for nothing any more.",
    413: "The body is too large.",
    415: "The content type is none that can be read.",
    429: "The backlog is full; Retry-After says when to try again.",
    503: "The runtime drains, or its store can't be used now.",
}
_SCHEMA: Final = {"type": "object", "properties": {"detail": {"type": "string"}}, "required": ["detail"]}


def problems(*statuses: int) -> dict[str, Any]:
    """The Responses Object's part for these statuses."""
    content = {"application/json": {"schema": _SCHEMA}}
    return {str(status): {"description": _WHY[status], "content": content} for status in statuses}
