"""Steps of journals as messages."""

from typing import Final

from nightcrew.domain.step import Step, StepState
from nightcrew.gateway.grpc.convert.times import fill_time
from nightcrew.gateway.grpc.convert.values import fill_value_text
from nightcrew.v1 import step_pb2

_STATES: Final = {one: step_pb2.Step.State.Value(one.value) for one in StepState}


def fill_step(out: step_pb2.Step, step: Step) -> None:
    """Writes a step into an empty message, all but the execution that it belongs to."""
    out.name = step.name
    out.ordinal = step.ordinal
    out.state = _STATES[step.state]
    out.attempts = step.attempts
    if step.result is not None:
        fill_value_text(out.result, step.result)
    if step.error is not None:
        out.error.type = step.error.type
        out.error.message = step.error.message
        out.error.retryable = step.error.retryable
    fill_time(out.start_time, step.start_time)
    if step.end_time is not None:
        fill_time(out.end_time, step.end_time)
