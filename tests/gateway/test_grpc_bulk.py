"""CancelExecutions and RetryExecutions over a real channel."""

import pytest
from tests.gateway.support.gateway_box import refused


async def test_many_are_cancelled_and_retried(box):
    await box.active("a", "fail", execution={"max_concurrency": 0, "overlap": "OVERLAP_POLICY_ALLOW"})
    made = [await box.trigger("a", wait="5s") for _ in range(5)]
    assert {one.state for one in made} == {6}
    wish = {"filter": 'agent_id = "a" AND state = "STATE_FAILED"'}
    counted = (await box.call("RetryExecutions", validate_only=True, **wish)).outcome
    assert (counted.matched, counted.done) == (5, 0)
    request_id = "0198c0de-0000-7000-8000-000000000002"
    for _ in range(2):
        outcome = (await box.call("RetryExecutions", request_id=request_id, **wish)).outcome
        assert (outcome.matched, outcome.done, outcome.failed) == (5, 5, 0)
    assert len((await box.call("ListExecutions", filter='agent_id = "a"')).executions) == 10
    await box.active("h", "hold", execution={"max_concurrency": 1})
    for _ in range(4):
        await box.trigger("h")
    held = {"filter": 'agent_id = "h"', "reason": "enough"}
    assert (await box.call("CancelExecutions", **held)).outcome.done == 4
    for one in (await box.call("ListExecutions", filter='agent_id = "h"')).executions:
        await box.execution_reaches(one.id, "STATE_CANCELLED")
    assert (await box.call("CancelExecutions", **held)).outcome.matched == 0


@pytest.mark.parametrize("rpc", ["CancelExecutions", "RetryExecutions"])
@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "filter"),
        ({"filter": "  "}, "filter"),
        ({"filter": "nonsense = 1"}, "filter"),
        ({"filter": 'agent_id = "a"', "request_id": "x"}, "request_id"),
    ],
)
async def test_what_is_wrong_is_named(box, rpc, fields, field):
    async with refused("INVALID_ARGUMENT") as said:
        await box.call(rpc, **fields)
    assert said[0].fields == [field]
