"""What a program returned, as JSON: dataclasses and models in their dict forms, everything else refused."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.execution import ExecutionError
from nightcrew.domain.values import MAX_VALUE_BYTES, checked, flaw
from nightcrew.programs.failure import shorten

NOT_JSON: Final = "result_not_json"
TOO_LARGE: Final = "result_too_large"
_MAX_DEPTH: Final = 100
_MAX_REASON: Final = 2048


def result_text(value: object) -> str | ExecutionError:
    """The JSON text of a result, or why it can't be kept: not retryable, for the effect has happened."""
    if value is None:
        return "null"
    try:
        plain = plain_value(value)
        reason = flaw(plain)
        if reason:
            return ExecutionError(
                type=NOT_JSON,
                message=shorten(f"the result is no JSON: {reason}", _MAX_REASON),
                retryable=False,
            )
        return checked(plain, field="result")
    except InvalidArgument as error:
        too_large = str(MAX_VALUE_BYTES) in error.message
        return ExecutionError(
            type=TOO_LARGE if too_large else NOT_JSON,
            message=shorten(error.message, _MAX_REASON),
            retryable=False,
        )
    except Exception as error:  # noqa: BLE001 - a model's own serializer may raise anything
        reason = f"the result is no JSON: {type(error).__name__}: {error}"
        return ExecutionError(type=NOT_JSON, message=shorten(reason, _MAX_REASON), retryable=False)


def read_json(text: str) -> Any:
    """The value of a text that is JSON and can be kept; ValueError if it is neither."""
    try:
        value = json.loads(text)
        why = flaw(value)
    except RecursionError:
        why = "it is nested too deep"
    if why:
        raise ValueError(why)
    return value


def plain_value(value: object, depth: int = 0) -> Any:
    """The value with dataclasses and pydantic models, at any depth, as dicts.

    Raises:
        RecursionError: It is nested more than 100 deep, or holds itself.
    """
    if depth > _MAX_DEPTH:
        raise RecursionError(f"it is nested more than {_MAX_DEPTH} deep, or holds itself")
    match value:
        case None | bool() | int() | float() | str():
            return value
        case BaseModel():
            return value.model_dump(mode="json")
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            # Fields that begin with _ are a library's own (pydantic-ai's results carry their state so).
            return {
                one.name: plain_value(getattr(value, one.name), depth + 1)
                for one in dataclasses.fields(value)
                if not one.name.startswith("_")
            }
        case Mapping():
            return {key: plain_value(item, depth + 1) for key, item in value.items()}
        case list() | tuple():
            return [plain_value(item, depth + 1) for item in value]
        case _:
            return value
