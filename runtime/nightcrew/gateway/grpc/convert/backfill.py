"""Backfills over the wire."""

from collections.abc import Mapping
from typing import Final

from nightcrew.domain.backfill import Backfill, BackfillState
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.spec.policy import OverlapPolicy
from nightcrew.gateway.grpc.convert.times import fill_time
from nightcrew.v1 import backfill_pb2, policy_pb2

_STATES: Final = {one: backfill_pb2.Backfill.State.Value(one.value) for one in BackfillState}
_OVERLAPS: Final = {one: policy_pb2.OverlapPolicy.Value(one.value) for one in OverlapPolicy}
_POLICIES: Final[Mapping[int, OverlapPolicy]] = {int(number): one for one, number in _OVERLAPS.items()}


def fill_backfill(out: backfill_pb2.Backfill, backfill: Backfill) -> None:
    """Writes a backfill into an empty message."""
    out.id = backfill.id
    out.agent_id = backfill.agent_id
    out.trigger_id = backfill.trigger_id
    out.overlap = _OVERLAPS[backfill.overlap]
    out.state = _STATES[backfill.state]
    out.started = backfill.started
    out.deduplicated = backfill.deduplicated
    out.total = backfill.total
    out.reason = backfill.reason
    fill_time(out.from_time, backfill.from_time)
    fill_time(out.to_time, backfill.to_time)
    fill_time(out.create_time, backfill.create_time)
    if backfill.end_time is not None:
        fill_time(out.end_time, backfill.end_time)


def overlap_of(value: int, field: str) -> OverlapPolicy:
    """The policy of a number that came in.

    Raises:
        InvalidArgument: The enum has no such number.
    """
    policy = _POLICIES.get(value)
    if policy is None:
        raise InvalidArgument.of(field, f"has no value {value}")
    return policy
