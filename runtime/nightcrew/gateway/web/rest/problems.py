"""Wrong fields as REST says them: 422 with each field's place in the request, as the seed's framework did."""

import re
from collections.abc import Iterable
from typing import Final

from pydantic import ValidationError
from starlette.responses import Response

from nightcrew.domain.errors import InvalidArgument
from nightcrew.gateway.web.rest.answers import FieldProblem, FieldProblems

STATUS: Final = 422
JSON: Final = "application/json"
Place = tuple[str | int, ...]

_PLACES: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(pattern), place)
    for pattern, place in (
        (r"request_id", "header.Idempotency-Key"),
        (r"agent\.display_name", "body.name"),
        (r"agent\.description", "body.description"),
        (r"agent\.spec\.program\.langflow\.tweaks(.*)", r"body.input_config.tweaks\1"),
        (r"agent\.spec\.program.*", "body.flow_id"),
        (r"agent\.spec\.input(.*)", r"body.input_config\1"),
        (r"agent\.spec\.triggers\[\d+\]\.schedule\.time_zone", "body.trigger_config.timezone"),
        (r"agent\.spec\.triggers\[\d+\]\.schedule\.date.*", "body.trigger_config.run_date"),
        (r"agent\.spec\.triggers\[\d+\]\.event\.types.*", "body.trigger_config.type"),
        (r"agent\.spec\.triggers\[\d+\]\.event\.(source|filter).*", r"body.trigger_config.\1"),
        (r"agent\.spec\.triggers\[\d+\]\.webhook\.secrets.*", "body.trigger_config.secret"),
        (r"agent\.spec\.triggers.*", "body.trigger_config"),
        (r"agent\.(.*)", r"body.\1"),
        (r"input\.(.*)", r"body.\1"),
        (r"input", "body"),
        (r"(.+)", r"body.\1"),
    )
)
"""Where a field of the domain comes from in a request; the first that fits."""


def wrong_fields(error: InvalidArgument) -> Response:
    """The answer to a request that is wrong in some fields."""
    found = error.violations
    if not found:
        return _answer([FieldProblem(loc=["body"], msg=error.message, type=error.code)])
    return _answer(
        FieldProblem(loc=list(_place(one.field)), msg=one.description, type=error.code) for one in found
    )


def unfit(error: ValidationError, part: str) -> Response:
    """The answer to a request whose body or query does not fit its model."""
    tags = {"CRON", "INTERVAL", "DATE", "WEBHOOK", "EVENT"}
    return _answer(
        FieldProblem(
            loc=[part, *(one for index, one in enumerate(item["loc"]) if index or one not in tags)],
            msg=item["msg"].removeprefix("Value error, "),
            type=item["type"],
        )
        for item in error.errors(include_url=False, include_input=False)
    )


def missing_body() -> Response:
    """The answer to a request that has no body and needs one."""
    return _answer([FieldProblem(loc=["body"], msg="is required", type="missing")])


def _answer(found: Iterable[FieldProblem]) -> Response:
    text = FieldProblems(detail=list(found)).model_dump_json()
    return Response(text, status_code=STATUS, media_type=JSON)


def _place(field: str) -> Place:
    for pattern, place in _PLACES:
        if match := pattern.fullmatch(field):
            parts = match.expand(place).replace("[", ".").replace("]", "").split(".")
            return tuple(int(one) if one.isdecimal() else one for one in parts if one)
    return ("body",)
