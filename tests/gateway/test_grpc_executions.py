"""Executions over gRPC: triggered, awaited, batched, cancelled, retried, and what they said."""

import asyncio

import pytest
from google.protobuf.struct_pb2 import Struct
from tests.gateway.support.gateway_box import FINAL, as_json, refused, request_id

from nightcrew.v1 import agent_service_pb2, execution_pb2, execution_service_pb2


async def test_a_trigger_waits_for_the_end_and_answers_with_it(box):
    await box.active("a", input={"from": "agent", "both": "agent"})
    execution = await box.trigger(
        "a",
        input={"both": "call", "n": 3, "half": 1.5, "list": [1, None]},
        labels={"k": "v"},
        priority=7,
        wait="20s",
    )
    shown = as_json(execution)
    expected = {"from": "agent", "both": "call", "n": 3, "half": 1.5, "list": [1, None]}
    assert (shown["state"], shown["input"], shown["result"]) == ("STATE_SUCCEEDED", expected, expected)
    assert shown["trigger"] == {"kind": "KIND_MANUAL"}
    assert (shown["labels"], shown["priority"], shown["attempt"]) == ({"k": "v"}, 7, 1)
    assert as_json(await box.execution(execution.id)) == shown


async def test_when_the_wait_ends_first_the_execution_is_as_it_is_then(timed):
    await timed.active("a", "hold")
    waiting = asyncio.create_task(timed.trigger("a", wait="30s"))
    request = "ListExecutions"
    while not (await timed.call(request)).executions:
        await asyncio.sleep(0.01)
    (execution,) = (await timed.call(request)).executions
    await timed.execution_reaches(execution.id, "STATE_RUNNING")
    assert not waiting.done()
    while not waiting.done():
        await timed.clock.advance(10)
        await asyncio.sleep(0.01)
    assert as_json(await waiting)["state"] == "STATE_RUNNING"
    timed.gate("a").set()
    await timed.execution_reaches(execution.id, "STATE_SUCCEEDED")


async def test_a_failure_is_told_with_its_traceback(box):
    await box.active("a", "fail")
    execution = await box.trigger("a", wait="20s")
    assert execution.state == execution_pb2.Execution.STATE_FAILED
    assert (execution.error.type, execution.error.message) == ("ValueError", "boom")
    assert "gateway_programs.py" in execution.error.traceback
    assert not execution.HasField("result")


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"wait": "-1s"}, "wait"),
        ({"request_id": "x"}, "request_id"),
        ({"labels": {f"k{n}": "" for n in range(65)}}, "labels"),
        ({"labels": {"k": "v" * 300}}, "labels"),
        ({"input": {"x": "y" * 1_100_000}}, "input"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
async def test_a_wrong_trigger_names_its_field(box, fields, named):
    await box.active("a")
    async with refused("INVALID_ARGUMENT") as said:
        await box.trigger("a", **fields)
    assert said[0].fields == [named]
    assert not (await box.call("ListExecutions")).executions


async def test_numbers_that_json_does_not_know_are_refused(box):
    await box.active("a")
    request = agent_service_pb2.TriggerAgentRequest(id="a", input=Struct())
    request.input.update({"x": {"y": [float("inf")]}})
    async with refused("INVALID_ARGUMENT") as said:
        await box.agents.TriggerAgent(request)
    assert said[0].fields == ["input.x.y[0]"]


async def test_an_input_of_a_mebibyte_passes_also_when_it_is_large_on_the_wire(box):
    await box.active("a")
    for data in ({"x": "y" * (1024 * 1024 - 9)}, {"x": [1] * (512 * 1024 - 10)}):
        execution = await box.trigger("a", input=data, wait="20s")
        assert execution.state == execution_pb2.Execution.STATE_SUCCEEDED
        assert as_json(execution)["result"] == data


async def test_a_repeated_trigger_gets_the_first_execution(box):
    await box.active("a")
    request = {"request_id": request_id(), "input": {"n": 1}}
    first = await box.trigger("a", **request)
    again = await box.trigger("a", **request, wait="20s")
    assert again.id == first.id
    assert again.state == execution_pb2.Execution.STATE_SUCCEEDED
    async with refused("INVALID_ARGUMENT") as said:
        await box.trigger("a", request_id=request["request_id"], input={"n": 2})
    assert said[0].reason == "request_id_reused"
    assert len((await box.call("ListExecutions")).executions) == 1
    # Many at once with one id: one execution.
    same = {"request_id": request_id()}
    found = await asyncio.gather(*(box.trigger("a", **same) for _ in range(20)))
    assert len({one.id for one in found}) == 1


async def test_a_refused_trigger_is_not_remembered(box):
    await box.create("a")
    request = {"request_id": request_id()}
    async with refused("FAILED_PRECONDITION"):
        await box.trigger("a", **request)
    await box.call("StartAgent", id="a")
    assert (await box.trigger("a", **request)).agent_id == "a"


async def test_a_full_backlog_and_a_busy_agent_that_skips(box):
    await box.active("full", "hold", execution={"max_backlog": 1})
    await box.active("skips", "hold", execution={"overlap": "OVERLAP_POLICY_SKIP"})
    for agent_id in ("full", "skips"):
        execution = await box.trigger(agent_id)
        await box.execution_reaches(execution.id, "STATE_RUNNING")
    await box.trigger("full")
    async with refused("RESOURCE_EXHAUSTED") as said:
        await box.trigger("full")
    assert said[0].reason == "backlog_full"
    assert said[0].details["RetryInfo"].retry_delay.ToTimedelta().total_seconds() > 0
    async with refused("FAILED_PRECONDITION") as said:
        await box.trigger("skips")
    assert said[0].reason == "overlap_skipped"


async def test_a_batch_of_a_thousand_answers_each_on_its_own(box):
    await box.active("a", execution={"max_concurrency": 0})
    await box.create("stopped")
    nan = Struct()
    nan.update({"x": float("nan")})
    requests = []
    for number in range(1000):
        one = agent_service_pb2.TriggerAgentRequest(id="a", input=Struct())
        one.input.update({"n": number})
        match number % 10:
            case 3:
                one.id = "nobody"
            case 5:
                one.id = "stopped"
            case 7:
                one.input.CopyFrom(nan)
            case 9:
                one.ClearField("id")
        requests.append(one)
    request = agent_service_pb2.BatchTriggerAgentsRequest(requests=requests)
    answer = await box.agents.BatchTriggerAgents(request)
    assert len(answer.results) == 1000
    codes = {
        3: (5, "not_found"),
        5: (9, "agent_state"),
        7: (3, "invalid_argument"),
        9: (3, "invalid_argument"),
    }
    for number, result in enumerate(answer.results):
        expected = codes.get(number % 10)
        if expected is None:
            assert as_json(result.execution.input) == {"n": number}
        else:
            assert (result.error.code, result.error.reason) == expected
    assert answer.results[7].error.metadata["field"] == "requests[7].input.x"
    assert answer.results[5].error.metadata["state"] == "STATE_STOPPED"
    made = [result.execution.id for result in answer.results if result.HasField("execution")]
    assert len(set(made)) == 600
    await box.execution_reaches(made[-1], "STATE_SUCCEEDED")


async def test_a_batch_waits_where_it_is_asked_to(box):
    await box.active("a")
    await box.active("b", "hold")
    requests = [{"id": "a", "wait": "20s"}, {"id": "b"}]
    answer = await box.call("BatchTriggerAgents", requests=requests)
    assert answer.results[0].execution.state == execution_pb2.Execution.STATE_SUCCEEDED
    assert answer.results[1].execution.state not in FINAL


async def test_the_items_of_a_batch_have_request_ids_of_their_own(box):
    await box.active("a")
    same = request_id()
    requests = [{"id": "a", "request_id": same}, {"id": "a", "request_id": same}, {"id": "a"}]
    answer = await box.call("BatchTriggerAgents", requests=requests)
    first, second, third = (result.execution.id for result in answer.results)
    assert first == second != third
    assert (await box.trigger("a", request_id=same)).id == first


@pytest.mark.parametrize("count", [0, 1001])
async def test_a_batch_of_none_or_too_many_is_refused(box, count):
    async with refused("INVALID_ARGUMENT") as said:
        await box.call("BatchTriggerAgents", requests=[{"id": "a"}] * count)
    assert said[0].fields == ["requests"]


async def execution_in(box, state):
    """An execution in a state, of an agent of its own."""
    retrying = {
        "retry": {"max_attempts": 3, "initial_backoff": "600s", "max_backoff": "600s", "jitter": False}
    }
    match state:
        case "STATE_QUEUED":
            await box.active("a", "hold")
            first = await box.trigger("a")
            await box.execution_reaches(first.id, "STATE_RUNNING")
        case "STATE_RUNNING" | "STATE_CANCELLED":
            await box.active("a", "hold")
        case "STATE_RETRYING":
            await box.active("a", "fail", execution=retrying)
        case "STATE_SUCCEEDED":
            await box.active("a", "echo")
        case "STATE_FAILED":
            await box.active("a", "fail")
        case "STATE_TIMED_OUT":
            await box.active("a", "hold", execution={"timeout": "0.05s"})
    execution = await box.trigger("a")
    if state == "STATE_CANCELLED":
        await box.execution_reaches(execution.id, "STATE_RUNNING")
        await box.call("CancelExecution", id=execution.id)
    return await box.execution_reaches(execution.id, state)


STATES = [
    "STATE_QUEUED",
    "STATE_RUNNING",
    "STATE_RETRYING",
    "STATE_SUCCEEDED",
    "STATE_FAILED",
    "STATE_CANCELLED",
    "STATE_TIMED_OUT",
]
ENDED = {"STATE_SUCCEEDED", "STATE_FAILED", "STATE_CANCELLED", "STATE_TIMED_OUT"}


@pytest.mark.parametrize("state", STATES, ids=[state[6:] for state in STATES])
async def test_cancel_in_a_state(box, state):
    execution = await execution_in(box, state)
    before, events = as_json(execution), len(await box.events_after())
    request = {"id": execution.id, "reason": "no need", "request_id": request_id()}
    answer = (await box.call("CancelExecution", **request)).execution
    if state in ENDED:
        assert as_json(answer) == before
        assert len(await box.events_after()) == events
        return
    assert answer.cancel_requested
    assert answer.cancel_reason == "no need"
    if state != "STATE_RUNNING":
        assert as_json(answer)["state"] == "STATE_CANCELLED"
    ended = await box.execution_reaches(execution.id, "STATE_CANCELLED")
    assert ended.HasField("end_time")
    assert (await box.call("CancelExecution", **request)).execution.id == execution.id


@pytest.mark.parametrize("state", STATES, ids=[state[6:] for state in STATES])
async def test_retry_in_a_state(box, state):
    execution = await execution_in(box, state)
    before, events = as_json(execution), len(await box.events_after())
    if state not in ENDED:
        async with refused("FAILED_PRECONDITION") as said:
            await box.call("RetryExecution", id=execution.id)
        assert said[0].info.metadata["state"] == state
        assert set(said[0].info.metadata["allowed_states"].split(",")) == ENDED
        assert said[0].reason == "execution_state"
        assert as_json(await box.execution(execution.id)) == before
        assert len(await box.events_after()) == events
        return
    request = {"id": execution.id, "request_id": request_id()}
    answer = (await box.call("RetryExecution", **request)).execution
    assert answer.id != execution.id
    assert as_json(answer)["trigger"] == {"kind": "KIND_RETRY", "cause_execution_id": execution.id}
    assert answer.input == execution.input
    assert (await box.call("RetryExecution", **request)).execution.id == answer.id
    assert as_json(await box.execution(execution.id)) == before


async def test_retry_needs_an_agent_that_takes_work(box):
    execution = await execution_in(box, "STATE_FAILED")
    await box.call("StopAgent", id="a")
    async with refused("FAILED_PRECONDITION") as said:
        await box.call("RetryExecution", id=execution.id)
    assert said[0].info.metadata["state"] == "STATE_STOPPED"


async def test_what_a_signal_and_a_step_may_be(box):
    execution = await execution_in(box, "STATE_SUCCEEDED")
    async with refused("FAILED_PRECONDITION") as said:
        await box.call("SignalExecution", id=execution.id, signal="go")
    assert said[0].reason == "execution_state"
    async with refused("INVALID_ARGUMENT") as said:
        await box.call("SignalExecution", id=execution.id, signal="g" * 257)
    assert said[0].fields == ["signal"]
    async with refused("INVALID_ARGUMENT") as said:
        await box.call("RetryExecution", id=execution.id, from_step={"name": "fetch"})
    assert said[0].fields == ["from_step"]
    assert not (await box.call("ListSteps", execution_id=execution.id)).steps
    async with refused("INVALID_ARGUMENT") as said:
        await box.call("ListSteps", execution_id=execution.id, page_token="nonsense")  # noqa: S106 - no secret
    assert said[0].fields == ["page_token"]


@pytest.mark.parametrize("method", ["GetExecution", "CancelExecution", "RetryExecution"])
async def test_an_execution_that_is_not_there(box, method):
    async with refused("NOT_FOUND") as said:
        await box.call(method, id="01920000-0000-7000-8000-000000000000")
    assert said[0].details["ResourceInfo"].resource_type == "execution"
    async with refused("INVALID_ARGUMENT") as said:
        await box.call(method)
    assert said[0].fields == ["id"]


async def test_logs_in_pages_and_by_filter(box):
    await box.active("a", "talk")
    execution = await box.trigger("a", input={"lines": 7}, wait="20s")
    everything = (await box.call("ListLogs", execution_id=execution.id)).entries
    assert [entry.message for entry in everything] == [*(f"line {n}" for n in range(7)), "said it all"]
    assert as_json(everything[0])["stream"] == "STREAM_LOG"
    assert as_json(everything[-1])["fields"]["lines"] == 7
    assert as_json(everything[-1])["severity"] == "SEVERITY_WARNING"
    sequences = [entry.sequence for entry in everything]
    assert sequences == sorted(set(sequences))
    pages, token = [], ""
    while True:
        page = await box.call("ListLogs", execution_id=execution.id, page_size=3, page_token=token)
        pages.append([entry.sequence for entry in page.entries])
        token = page.next_page_token
        if not token:
            break
    assert [len(page) for page in pages] == [3, 3, 2]
    assert [sequence for page in pages for sequence in page] == sequences
    warnings = await box.call(
        "ListLogs", execution_id=execution.id, filter='severity = "SEVERITY_WARNING" AND stream = STREAM_LOG'
    )
    assert [entry.message for entry in warnings.entries] == ["said it all"]
    some = await box.call(
        "ListLogs", execution_id=execution.id, filter=f"sequence > {sequences[1]} message:line", page_size=2
    )
    assert [entry.message for entry in some.entries] == ["line 2", "line 3"]
    assert some.next_page_token
    for fields, named in (
        ({"page_token": "zzz"}, "page_token"),
        ({"filter": "nothing = 1"}, "filter"),
        ({"page_size": -1}, "page_size"),
    ):
        async with refused("INVALID_ARGUMENT") as said:
            await box.call("ListLogs", execution_id=execution.id, **fields)
        assert said[0].fields == [named]
    async with refused("NOT_FOUND"):
        await box.call("ListLogs", execution_id="nobody")


async def test_a_page_of_large_results_ends_early_so_that_a_client_can_take_it(box):
    await box.active("a", "big", execution={"max_concurrency": 0})
    for _ in range(6):
        await box.trigger("a", input={"size": 800_000}, wait="20s")
    found, token, pages = [], "", 0
    while True:
        page = await box.call("ListExecutions", page_size=50, page_token=token)
        assert 1 <= len(page.executions) < 6
        assert page.ByteSize() < 4 * 1024 * 1024
        found += [one.id for one in page.executions]
        token, pages = page.next_page_token, pages + 1
        if not token:
            break
    assert len(found) == len(set(found)) == 6
    assert pages == 3
    request = execution_service_pb2.ListExecutionsRequest(page_size=1)
    assert len((await box.executions.ListExecutions(request)).executions) == 1
