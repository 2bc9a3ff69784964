"""WatchExecution over gRPC: the execution as it is, what it says, what becomes of it, and the end."""

import asyncio

from tests.gateway.support.gateway_box import as_json, refused, until

from nightcrew.services.watch_items import Token
from nightcrew.v1 import execution_service_pb2


async def watched(box, execution_id, *, limit=None, **fields):
    """(items, tokens) of a watch, to its end or to so many answers."""
    request = execution_service_pb2.WatchExecutionRequest(id=execution_id, **fields)
    items, tokens = [], []
    call = box.executions.WatchExecution(request)
    async for answer in call:
        items.append([as_json(item) for item in answer.items])
        tokens.append(answer.resume_token)
        if limit is not None and len(items) >= limit:
            call.cancel()
            break
    return items, tokens


def flat(answers):
    return [item for answer in answers for item in answer]


def kinds(items):
    return [next(iter(item)) for item in items]


async def test_it_is_told_from_its_start_to_its_end(box):
    await box.active("a", "hold")
    execution = await box.trigger("a")
    watch = asyncio.create_task(watched(box, execution.id, include_snapshot=True))
    await box.execution_reaches(execution.id, "STATE_RUNNING")
    other = await box.trigger("a")
    box.gate("a").set()
    items = flat((await asyncio.wait_for(watch, 20))[0])
    assert items[0]["snapshot"]["execution"]["id"] == execution.id
    assert items[0]["snapshot"]["last"]
    events = [item["event"] for item in items if "event" in item]
    assert events[-1]["type"] == "nightcrew.execution.succeeded"
    assert events[-1]["data"]["result"] == "let go"
    assert {event["execution_id"] for event in events} == {execution.id}
    assert other.id not in str(items)


async def test_what_it_said_is_told_in_order_before_its_end(box):
    await box.active("a", "talk")
    execution = await box.trigger("a", input={"lines": 5}, wait="20s")
    items = flat((await watched(box, execution.id))[0])
    assert kinds(items) == ["snapshot"] + ["log"] * 6
    assert items[0]["snapshot"]["execution"]["state"] == "STATE_SUCCEEDED"
    assert [item["log"]["message"] for item in items[1:]] == [*(f"line {n}" for n in range(5)), "said it all"]


async def test_a_live_watch_has_all_logs_and_the_end_once(box):
    await box.active("a", "talk")
    for _ in range(5):
        execution = await box.trigger("a", input={"lines": 20})
        items = flat((await asyncio.wait_for(watched(box, execution.id), 20))[0])
        said = [item["log"]["message"] for item in items if "log" in item]
        assert said == [*(f"line {n}" for n in range(20)), "said it all"]
        events = [item["event"]["type"] for item in items if "event" in item]
        final = items[0]["snapshot"]["execution"]["state"] == "STATE_SUCCEEDED"
        # The event may already have been in the snapshot when it comes; without it there it must come.
        assert events.count("nightcrew.execution.succeeded") in ({0, 1} if final else {1})


async def test_it_goes_on_from_a_token_without_loss_or_doubles(box):
    await box.active("a", "talk")
    execution = await box.trigger("a", input={"lines": 30})
    answers, tokens = await watched(box, execution.id, limit=1)
    seen = flat(answers)
    rounds = 0
    while rounds < 50:
        more, later = await asyncio.wait_for(watched(box, execution.id, limit=1, resume_token=tokens[-1]), 20)
        seen += flat(more)
        rounds += 1
        if not later:
            break
        tokens = later
    logs = [item["log"]["message"] for item in seen if "log" in item]
    assert logs == [*(f"line {n}" for n in range(30)), "said it all"]
    assert kinds(seen).count("snapshot") == 1
    sequences = [item["event"]["sequence"] for item in seen if "event" in item]
    assert sequences == sorted(set(sequences))
    ended = seen[0]["snapshot"]["execution"]["state"] == "STATE_SUCCEEDED"
    assert ended or any(item.get("event", {}).get("type") == "nightcrew.execution.succeeded" for item in seen)


async def test_many_logs_travel_in_few_messages(box):
    await box.active("a", "talk")
    execution = await box.trigger("a", input={"lines": 1500}, wait="20s")
    answers, _ = await watched(box, execution.id)
    assert len(flat(answers)) == 1502
    assert len(answers) < 20


async def test_a_token_of_another_history_is_a_gap_and_the_log_begins_anew(box):
    await box.active("a", "talk")
    execution = await box.trigger("a", wait="20s")
    token = Token("other", 5, 5).text()
    items = flat((await watched(box, execution.id, resume_token=token))[0])
    assert kinds(items)[0] == "gap"
    assert next(item["log"]["message"] for item in items if "log" in item) == "line 0"
    assert "event" in kinds(items), "what is kept of its events follows the gap"
    items = flat((await watched(box, execution.id, resume_token=token, include_snapshot=True))[0])
    assert kinds(items)[:2] == ["gap", "snapshot"]


async def test_refusals(box):
    await box.active("a")
    execution = await box.trigger("a", wait="20s")
    async with refused("NOT_FOUND") as said:
        await watched(box, "01920000-0000-7000-8000-000000000000")
    assert said[0].details["ResourceInfo"].resource_type == "execution"
    async with refused("INVALID_ARGUMENT") as said:
        await watched(box, "")
    assert said[0].fields == ["id"]
    async with refused("INVALID_ARGUMENT") as said:
        await watched(box, execution.id, resume_token="x")  # noqa: S106 - no password
    assert said[0].fields == ["resume_token"]


async def test_a_heartbeat_while_nothing_happens(timed):
    await timed.active("a", "hold")
    execution = await timed.trigger("a")
    await timed.execution_reaches(execution.id, "STATE_RUNNING")
    call = timed.executions.WatchExecution(execution_service_pb2.WatchExecutionRequest(id=execution.id))
    first = await call.read()
    assert first.items[0].HasField("snapshot")
    reading = asyncio.create_task(call.read())

    async def beaten():
        await timed.clock.advance(5)
        return reading.done()

    await until(beaten, what="a heartbeat")
    assert (await reading).items[0].HasField("heartbeat")
    timed.gate("a").set()
    last = await call.read()
    assert last.items[-1].event.type == "nightcrew.execution.succeeded"
