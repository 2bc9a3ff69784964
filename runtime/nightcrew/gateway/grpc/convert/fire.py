"""The ledger's rows, schedules and previews over the wire."""

from collections.abc import Sequence
from typing import Final

from nightcrew.domain.fire import Fire, FireOutcome
from nightcrew.domain.spec.trigger import Schedule
from nightcrew.gateway.grpc.convert.message import json_of
from nightcrew.gateway.grpc.convert.times import fill_time
from nightcrew.services.schedules import Previewed
from nightcrew.v1 import fire_pb2, schedule_pb2, schedule_service_pb2

_OUTCOMES: Final = {one: fire_pb2.Fire.Outcome.Value(one.value) for one in FireOutcome}


def fill_fire(out: fire_pb2.Fire, fire: Fire) -> None:
    """Writes a ledger row into an empty message."""
    out.agent_id = fire.agent_id
    out.trigger_id = fire.trigger_id
    out.outcome = _OUTCOMES[fire.outcome]
    out.execution_id = fire.execution_id
    out.reason = fire.reason
    out.count = fire.count
    fill_time(out.nominal_time, fire.nominal_time)
    fill_time(out.last_nominal_time, fire.last_nominal_time)
    fill_time(out.actual_time, fire.actual_time)


def schedule_of(message: schedule_pb2.Schedule, field: str) -> Schedule:
    """The schedule that came in.

    Raises:
        InvalidArgument: Names every field that is wrong, under `field`.
    """
    return Schedule.parse(json_of(message, field), field=field)


def preview_message(fires: Sequence[Previewed]) -> schedule_service_pb2.PreviewScheduleResponse:
    """The coming fires, as an answer."""
    out = schedule_service_pb2.PreviewScheduleResponse()
    for fire in fires:
        fill_time(out.fires.add(note=fire.note).nominal_time, fire.nominal_time)
    return out
