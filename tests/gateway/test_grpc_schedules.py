"""ScheduleService over a real channel: previews, skips and backfills, each field and each refusal."""

import uuid
from datetime import timedelta

from tests.gateway.support.gateway_box import refused, until

from nightcrew.v1 import policy_pb2

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


async def test_a_backfill_from_its_beginning_to_its_end(timed):
    await timed.active("a", triggers=EVERY_MINUTE)
    fields = {"agent_id": "a", "trigger_id": "tick", "from_time": at(timed, -3), "to_time": at(timed, 0)}
    begun = (await timed.call("Backfill", **fields)).backfill
    assert (begun.agent_id, begun.trigger_id, begun.total) == ("a", "tick", 4)
    assert (begun.state, begun.overlap) == (begun.STATE_RUNNING, policy_pb2.OVERLAP_POLICY_BUFFER_ALL)
    assert (begun.from_time.ToJsonString(), begun.to_time.ToJsonString()) == (at(timed, -3), at(timed, 0))
    assert not begun.HasField("end_time")

    async def done():
        found = (await timed.call("GetBackfill", id=begun.id)).backfill
        return found.state != begun.STATE_RUNNING and found

    ended = await until(done)
    assert (ended.state, ended.started, ended.deduplicated) == (begun.STATE_SUCCEEDED, 4, 0)
    assert ended.HasField("end_time")
    fires = (await timed.call("ListFires", filter='outcome = "OUTCOME_STARTED"')).fires
    assert [one.nominal_time.ToJsonString() for one in fires] == [at(timed, -n) for n in range(4)]
    other = (await timed.call("Backfill", **{**fields, "overlap": "OVERLAP_POLICY_SKIP"})).backfill
    assert other.overlap == policy_pb2.OVERLAP_POLICY_SKIP
    listed = (await timed.call("ListBackfills", filter=f'agent_id = "a" AND id = "{begun.id}"')).backfills
    assert list(listed) == [ended]
    page = await timed.call("ListBackfills", page_size=1, order_by="create_time desc")
    assert [one.id for one in page.backfills] == [other.id]
    page = await timed.call(
        "ListBackfills", page_size=1, page_token=page.next_page_token, order_by="create_time desc"
    )
    assert [one.id for one in page.backfills] == [begun.id]
    assert (await timed.call("CancelBackfill", id=begun.id)).backfill == ended


async def test_a_backfill_is_cancelled(timed):
    await timed.active("a", "hold", triggers=EVERY_MINUTE)
    fields = {"agent_id": "a", "trigger_id": "tick", "from_time": at(timed, -3), "to_time": at(timed, 0)}
    begun = (await timed.call("Backfill", **fields, request_id=str(uuid.uuid4()))).backfill
    ended = (await timed.call("CancelBackfill", id=begun.id, reason="enough")).backfill
    assert (ended.state, ended.reason) == (begun.STATE_CANCELLED, "enough")


async def test_a_backfill_that_is_wrong_is_refused_by_its_field(timed):
    await timed.create("a", triggers=EVERY_MINUTE)
    right = {"agent_id": "a", "trigger_id": "tick", "from_time": at(timed, -1), "to_time": at(timed, 0)}
    for field in right:
        async with refused("INVALID_ARGUMENT") as said:
            await timed.call("Backfill", **{**right, field: None})
        assert said[0].fields == [field]
    for change, field in (
        ({"to_time": at(timed, -2)}, "from_time"),
        ({"from_time": at(timed, -91 * 1440)}, "from_time"),
        ({"to_time": at(timed, 1)}, "to_time"),
        ({"overlap": 99}, "overlap"),
    ):
        async with refused("INVALID_ARGUMENT") as said:
            await timed.call("Backfill", **{**right, **change})
        assert said[0].fields == [field]
    async with refused("FAILED_PRECONDITION") as said:
        await timed.call("Backfill", **right)
    assert said[0].info.metadata["state"] == "STATE_STOPPED"
    assert said[0].info.metadata["allowed_states"] == "STATE_ACTIVE,STATE_PAUSED"
    for method in ("GetBackfill", "CancelBackfill"):
        async with refused("NOT_FOUND") as said:
            await timed.call(method, id="nothing")
        assert said[0].details["ResourceInfo"].resource_type == "backfill"
    for fields in ({"filter": "nothing = 1"}, {"order_by": "total"}, {"page_size": -1}):
        async with refused("INVALID_ARGUMENT"):
            await timed.call("ListBackfills", **fields)
