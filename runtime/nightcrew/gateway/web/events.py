"""`POST /events`: CloudEvents over HTTP are published, all or none, and answered when they are on disk."""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from nightcrew.domain.webhook.headers import Headers
from nightcrew.gateway.web.body import read_body
from nightcrew.gateway.web.cloudevents import NAME, drafts_of
from nightcrew.gateway.web.problems import problems
from nightcrew.services.once import Request as Asked
from nightcrew.services.use_cases import UseCases

PATH: Final = "/events"
MAX_BODY: Final = 8 * 1024 * 1024
"""A batch; each of its events has at most 1 MiB of data."""


PATHS: Final[dict[str, Any]] = {
    PATH: {
        "post": {
            "tags": ["Events"],
            "summary": "Publishes CloudEvents (structured, binary or a batch), all or none.",
            "requestBody": {
                "required": False,
                "content": {
                    "application/cloudevents+json": {"schema": {"type": "object"}},
                    "application/cloudevents-batch+json": {
                        "schema": {"type": "array", "items": {"type": "object"}, "maxItems": 1000}
                    },
                    "*/*": {},
                },
            },
            "responses": {
                "202": {
                    "description": "They are on disk, with what they start.",
                    "content": {
                        "application/json": {
                            "schema": {
                                "type": "object",
                                "properties": {"sequences": {"type": "array", "items": {"type": "integer"}}},
                                "required": ["sequences"],
                            }
                        }
                    },
                },
                **problems(400, 408, 413, 415, 503),
            },
        }
    }
}
"""What OpenAPI says of it."""


def routes(use_cases: UseCases) -> list[Route]:
    """The one route of events.

    Args:
        use_cases: What is called.
    """

    async def publish(request: Request) -> Response:
        drafts = drafts_of(Headers(request.scope["headers"]), await read_body(request, MAX_BODY))
        published = await use_cases.events.publish(drafts, request=Asked(method=f"POST {PATH}"), name=NAME)
        return JSONResponse(
            {
                "sequences": [one.sequence for one in published],
                "results": [
                    {"sequence": one.sequence, "deduplicated": one.deduplicated} for one in published
                ],
            },
            status_code=202,
        )

    return [Route(PATH, publish, methods=["POST"])]
