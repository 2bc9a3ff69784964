"""Results as JSON, and exceptions as errors."""

import dataclasses
import math
from datetime import UTC, datetime

import pytest
from pydantic import BaseModel

from nightcrew.agent import NonRetryable
from nightcrew.domain.execution import ExecutionError
from nightcrew.programs.errors import InvalidInput
from nightcrew.programs.failure import MAX_TRACEBACK, execution_error
from nightcrew.programs.result import result_text


class Model(BaseModel):
    when: datetime


@dataclasses.dataclass
class Data:
    n: int
    inner: Model
    _hidden: int = 0


def test_models_become_dicts_at_any_depth():
    model = Model(when=datetime(2026, 1, 1, tzinfo=UTC))
    assert result_text({"a": [Data(1, model)]}) == '{"a":[{"n":1,"inner":{"when":"2026-01-01T00:00:00Z"}}]}'
    assert result_text(None) == "null"
    assert result_text((1, "ü")) == '[1,"ü"]'


def loop():
    out = []
    out.append(out)
    return out


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        ({"a": {1}}, "result_not_json", "a is of the type set"),
        (object(), "result_not_json", "object"),
        (math.nan, "result_not_json", "nan"),
        ({1: 2}, "result_not_json", "key 1"),
        ("\ud800", "result_not_json", "surrogate"),
        (loop(), "result_not_json", "nested"),
        ("x" * (1 << 20), "result_too_large", "1048576"),
    ],
)
def test_what_can_not_be_kept(value, kind, text):
    error = result_text(value)
    assert isinstance(error, ExecutionError)
    assert error.type == kind
    assert text in error.message
    assert error.retryable is False


def raised(error):
    try:
        raise error
    except BaseException as caught:
        return execution_error(caught)


def test_errors():
    got = raised(KeyError("x"))
    assert (got.type, got.message, got.retryable) == ("KeyError", "'x'", True)
    assert "raise error" in got.traceback
    assert raised(NonRetryable("no")).retryable is False
    bad = raised(InvalidInput("input.a: is required"))
    assert (bad.type, bad.retryable, bad.traceback) == ("invalid_input", False, "")


def test_an_error_that_can_not_be_printed_and_one_that_is_long():
    class OddError(Exception):
        def __str__(self):
            raise RuntimeError

    assert "can't be printed" in raised(OddError()).message
    long = raised(ValueError("x" * 300_000))
    assert len(long.message) < 10_000
    assert len(long.traceback) < MAX_TRACEBACK + 200
    assert raised(ValueError("\ud800")).message == "?"
