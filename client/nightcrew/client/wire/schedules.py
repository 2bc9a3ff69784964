"""Previewed fires, the ledger and backfills off the wire."""

from nightcrew.client.models.schedule import (
    Backfill,
    BackfillState,
    Fire,
    FireOutcome,
    OverlapPolicy,
    PreviewedFire,
)
from nightcrew.client.wire.enums import EnumTable
from nightcrew.client.wire.times import from_timestamp
from nightcrew.v1 import backfill_pb2, fire_pb2, policy_pb2, schedule_service_pb2

_OUTCOMES = EnumTable(fire_pb2.Fire.Outcome.DESCRIPTOR, FireOutcome)
_STATES = EnumTable(backfill_pb2.Backfill.State.DESCRIPTOR, BackfillState)
_OVERLAPS = EnumTable(policy_pb2.OverlapPolicy.DESCRIPTOR, OverlapPolicy)


def previewed(wire: schedule_service_pb2.PreviewedFire) -> PreviewedFire:
    """A nominal time to come."""
    return PreviewedFire(
        nominal_time=from_timestamp(wire.nominal_time) if wire.HasField("nominal_time") else None,
        note=wire.note,
    )


def fire(wire: fire_pb2.Fire) -> Fire:
    """A row of the ledger."""
    has = wire.HasField
    return Fire(
        agent_id=wire.agent_id,
        trigger_id=wire.trigger_id,
        nominal_time=from_timestamp(wire.nominal_time) if has("nominal_time") else None,
        last_nominal_time=from_timestamp(wire.last_nominal_time) if has("last_nominal_time") else None,
        actual_time=from_timestamp(wire.actual_time) if has("actual_time") else None,
        outcome=_OUTCOMES[wire.outcome],
        execution_id=wire.execution_id,
        reason=wire.reason,
        count=wire.count,
    )


def backfill(wire: backfill_pb2.Backfill) -> Backfill:
    """A backfill."""
    has = wire.HasField
    return Backfill(
        id=wire.id,
        agent_id=wire.agent_id,
        trigger_id=wire.trigger_id,
        from_time=from_timestamp(wire.from_time) if has("from_time") else None,
        to_time=from_timestamp(wire.to_time) if has("to_time") else None,
        overlap=_OVERLAPS[wire.overlap],
        state=_STATES[wire.state],
        started=wire.started,
        deduplicated=wire.deduplicated,
        total=wire.total,
        reason=wire.reason,
        create_time=from_timestamp(wire.create_time) if has("create_time") else None,
        end_time=from_timestamp(wire.end_time) if has("end_time") else None,
    )


def to_overlap(value: OverlapPolicy | None) -> "policy_pb2.OverlapPolicy.ValueType":
    """The wire's number of a policy; None is not said."""
    return policy_pb2.OverlapPolicy.Value((value or OverlapPolicy.UNSPECIFIED).value)
