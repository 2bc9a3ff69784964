"""Limits over gRPC: what is wrong is named by its field, and nothing is changed."""

import pytest
from tests.gateway.support.gateway_box import as_json, refused

from nightcrew.v1 import limits_pb2

KEY = "agent.spec.execution.concurrency_key"
BAD = [
    ({"execution": {"pools": ["openai"]}}, "agent.spec.execution.pools[0]", "pool_unknown"),
    ({"execution": {"pools": ["a", "a"]}}, "agent.spec.execution", "invalid_argument"),
    (
        {"execution": {"pools": [f"p{n}" for n in range(17)]}},
        "agent.spec.execution.pools",
        "invalid_argument",
    ),
    ({"execution": {"concurrency_key": "input."}}, KEY, "invalid_argument"),
    ({"execution": {"concurrency_key": "order.customer"}}, KEY, "invalid_argument"),
    ({"execution": {"concurrency_key": "[input.a]"}}, KEY, "invalid_argument"),
    ({"execution": {"concurrency_key": "x" * 1025}}, KEY, "invalid_argument"),
    ({"execution": {"max_concurrency_per_key": 2}}, "agent.spec.execution", "invalid_argument"),
    (
        {"execution": {"concurrency_key": "input.a", "max_concurrency_per_key": 0}},
        "agent.spec.execution.max_concurrency_per_key",
        "invalid_argument",
    ),
    (
        {"limits": {"executions_per_hour": -1}},
        "agent.spec.limits.executions_per_hour",
        "invalid_argument",
    ),
    ({"limits": {"run_time_per_day": "0s"}}, "agent.spec.limits", "invalid_argument"),
    ({"limits": {"spend": [{"name": "usd"}]}}, "agent.spec.limits.spend[0].max", "invalid_argument"),
    (
        {"limits": {"spend": [{"name": "US $", "max": 1}]}},
        "agent.spec.limits.spend[0].name",
        "invalid_argument",
    ),
    (
        {"limits": {"spend": [{"name": "usd", "max": -1}]}},
        "agent.spec.limits.spend[0].max",
        "invalid_argument",
    ),
]


@pytest.mark.parametrize(("change", "field", "reason"), BAD)
async def test_wrong_limits_are_refused_by_their_field_and_change_nothing(box, change, field, reason):
    spec = {"program": {"python": {"entrypoint": "gateway_programs:echo"}}}
    async with refused("INVALID_ARGUMENT") as said:
        await box.call("CreateAgent", agent={"id": "new", "spec": {**spec, **change}})
    details = said[0].details
    assert [one.field for one in details["BadRequest"].field_violations] == [field]
    assert details["ErrorInfo"].reason == reason
    made = (await box.call("CreateAgent", agent={"id": "old", "spec": spec})).agent
    with_change = {"id": "old", "spec": {**spec, **change}}
    async with refused("INVALID_ARGUMENT"):
        await box.call("UpdateAgent", agent=with_change, update_mask="spec")
    assert as_json(await box.agent("old")) == as_json(made)


async def test_limits_come_back_as_they_were_written_and_tell_how_far_they_are(box):
    limits = {"executions_per_hour": 5, "run_time_per_day": "60s", "spend": [{"name": "usd", "max": 2.0}]}
    spec = {"program": {"python": {"entrypoint": "gateway_programs:echo"}}, "limits": limits}
    await box.call("CreateAgent", agent={"id": "a", "spec": spec})
    await box.call("StartAgent", id="a")
    await box.call("TriggerAgent", id="a", wait="10s")
    found = await box.agent("a")
    assert as_json(found)["spec"]["limits"] == limits
    shown = [(one.name, one.per, one.used, one.max) for one in found.status.limits]
    assert shown[0] == ("executions", limits_pb2.SpendLimit.PER_HOUR, 1, 5)
    assert shown[2] == ("usd", limits_pb2.SpendLimit.PER_DAY, 0, 2)
    assert all(one.HasField("window_end") for one in found.status.limits)
