"""ScheduleService over a real channel: previews, skips and backfills, each field and each refusal."""

import uuid
from datetime import timedelta

from tests.gateway.support.gateway_box import refused

EVERY_MINUTE = [{"id": "tick", "schedule": {"interval": {"every": "60s"}}}]


def at(box, minutes):
    """A moment so many minutes after the box's clock began, which is a whole minute."""
    begin = box.clock.now().replace(second=0, microsecond=0)
    return (begin + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")


async def test_a_skip_is_answered_with_its_row_and_shown_in_previews(timed):
    await timed.active("a", triggers=EVERY_MINUTE)
    fields = {"agent_id": "a", "trigger_id": "tick", "nominal_time": at(timed, 2)}
    fire = (await timed.call("SkipFire", **fields, reason="why")).fire
    assert (fire.agent_id, fire.trigger_id, fire.reason, fire.count) == ("a", "tick", "why", 1)
    assert fire.outcome == fire.OUTCOME_SKIPPED_BY_REQUEST
    assert fire.nominal_time.ToJsonString() == at(timed, 2)
    fires = (await timed.call("PreviewSchedule", agent_id="a", trigger_id="tick", count=3)).fires
    assert [one.note for one in fires] == ["", "skipped by request: why", ""]
    await timed.call("UnskipFire", **fields)
    fires = (await timed.call("PreviewSchedule", agent_id="a", trigger_id="tick", count=3)).fires
    assert [one.note for one in fires] == ["", "", ""]


async def test_a_skip_that_is_wrong_is_refused_by_its_field(timed):
    await timed.active("a", triggers=EVERY_MINUTE)
    right = {"agent_id": "a", "trigger_id": "tick", "nominal_time": at(timed, 1)}
    for method in ("SkipFire", "UnskipFire"):
        for field in right:
            async with refused("INVALID_ARGUMENT") as said:
                await timed.call(method, **{**right, field: None})
            assert said[0].fields == [field]
        async with refused("NOT_FOUND"):
            await timed.call(method, **{**right, "agent_id": "nobody"})
        async with refused("NOT_FOUND"):
            await timed.call(method, **{**right, "trigger_id": "nothing"})
    async with refused("INVALID_ARGUMENT") as said:
        await timed.call("SkipFire", **{**right, "nominal_time": at(timed, 1.5)})
    assert said[0].fields == ["nominal_time"]
    async with refused("FAILED_PRECONDITION") as said:
        await timed.call("SkipFire", **{**right, "nominal_time": at(timed, 0)})
    assert said[0].reason == "fire_decided"
    async with refused("NOT_FOUND") as said:
        await timed.call("UnskipFire", **right)
    assert said[0].details["ResourceInfo"].resource_type == "skip"


async def test_a_repeated_skip_is_one_skip(timed):
    await timed.active("a", triggers=EVERY_MINUTE)
    fields = {"agent_id": "a", "trigger_id": "tick", "nominal_time": at(timed, 2)}
    request_id = str(uuid.uuid4())
    first = await timed.call("SkipFire", **fields, request_id=request_id)
    await timed.call("UnskipFire", **fields)
    assert (await timed.call("SkipFire", **fields, request_id=request_id)).fire.outcome == first.fire.outcome
    fires = (await timed.call("PreviewSchedule", agent_id="a", trigger_id="tick", count=2)).fires
    assert [one.note for one in fires] == ["", ""], "the repeated call did nothing a second time"
    async with refused("INVALID_ARGUMENT") as said:
        await timed.call("SkipFire", **{**fields, "nominal_time": at(timed, 3)}, request_id=request_id)
    assert said[0].reason == "request_id_reused"
