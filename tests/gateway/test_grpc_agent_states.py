"""Every state of an agent × every command, over real gRPC: the table's answer, and a refusal changes nothing."""

import pytest
from tests.gateway.support.gateway_box import as_json, refused, request_id

from nightcrew.domain.agent import AgentState
from nightcrew.domain.lifecycle.agent import AgentEvent, allowed_states

# semantics.md, An agent's states, by hand: what each command leads to; None is a refusal.
STAYS = "stays"
COMMANDS = ("StartAgent", "PauseAgent", "ResumeAgent", "StopAgent", "TriggerAgent")
TABLE = {
    "STATE_STOPPED": ("STATE_ACTIVE", None, None, STAYS, None),
    "STATE_ACTIVE": (STAYS, "STATE_PAUSED", STAYS, "STATE_STOPPING", "runs"),
    "STATE_PAUSED": (None, STAYS, "STATE_ACTIVE", "STATE_STOPPING", "runs"),
    "STATE_STOPPING": (None, None, None, STAYS, None),
    "STATE_ERROR": ("STATE_ACTIVE", None, "STATE_ACTIVE", "STATE_STOPPING", None),
}
GRID = [
    (state, command, outcome)
    for state, row in TABLE.items()
    for command, outcome in zip(COMMANDS, row, strict=True)
]
EVENTS = {
    "StartAgent": AgentEvent.START,
    "PauseAgent": AgentEvent.PAUSE,
    "ResumeAgent": AgentEvent.RESUME,
    "StopAgent": AgentEvent.STOP,
}
ENTERED = {
    ("StartAgent", "STATE_ACTIVE"): "nightcrew.agent.started",
    ("ResumeAgent", "STATE_ACTIVE"): "nightcrew.agent.resumed",
    ("PauseAgent", "STATE_PAUSED"): "nightcrew.agent.paused",
    ("StopAgent", "STATE_STOPPING"): "nightcrew.agent.stopping",
}


async def into(box, state):
    """An agent in a state, with a run under way that only its gate ends where the state allows one."""
    if state == "STATE_ERROR":
        await box.active("a", "fail", execution={"pause_after_failures": 1})
        await box.trigger("a", wait="10s")
        await box.reaches("a", "STATE_ERROR")
        return
    await box.create("a", "stubborn")
    if state == "STATE_STOPPED":
        return
    await box.call("StartAgent", id="a", reason="for the test")
    execution = await box.trigger("a")
    await box.execution_reaches(execution.id, "STATE_RUNNING")
    if state == "STATE_PAUSED":
        await box.call("PauseAgent", id="a")
    if state == "STATE_STOPPING":
        await box.call("StopAgent", id="a")
    assert await box.state("a") == state


@pytest.mark.parametrize(("state", "command", "outcome"), GRID, ids=[f"{s[6:]}-{c}" for s, c, _ in GRID])
async def test_a_command_in_a_state(box, state, command, outcome):
    await into(box, state)
    before, events = as_json(await box.agent("a")), await box.events_after()
    request = {"id": "a", "request_id": request_id()}
    if outcome is None:
        async with refused("FAILED_PRECONDITION") as said:
            await box.call(command, **request)
        allowed = (
            ("STATE_ACTIVE", "STATE_PAUSED")
            if command == "TriggerAgent"
            else tuple(one.value for one in allowed_states(EVENTS[command]))
        )
        assert dict(said[0].info.metadata) == {"state": state, "allowed_states": ",".join(allowed)}
        assert said[0].reason == "agent_state"
        (violation,) = said[0].details["PreconditionFailure"].violations
        assert violation.subject == "agents/a"
        assert state.removeprefix("STATE_") in said[0].message
        unchanged(await box.agent("a"), before, await box.events_after(), events)
        # a refused request is not remembered: it may be repeated when the state allows it
        return
    answer = await box.call(command, **request)
    if outcome == "runs":
        assert answer.execution.agent_id == "a"
        return
    if outcome == STAYS:
        assert as_json(answer.agent) == before
        unchanged(await box.agent("a"), before, await box.events_after(), events)
        return
    new = (await box.events_after())[len(events) :]
    assert new[0].type == ENTERED[command, outcome]
    # Nothing of an agent in ERROR runs: it passes through STOPPING in the same transaction.
    settled = "STATE_STOPPED" if (state, command) == ("STATE_ERROR", "StopAgent") else outcome
    assert as_json(answer.agent)["state"] == settled
    assert answer.agent.etag != before["etag"]
    if command in {"StartAgent", "ResumeAgent"} and state == "STATE_ERROR":
        assert answer.agent.status.consecutive_failures == 0
    # The same request again gets the first answer and does nothing more.
    count = len(await box.events_after())
    await box.call(command, **request)
    assert len(await box.events_after()) == count


def unchanged(agent, before, events, events_before):
    assert as_json(agent) == before
    assert [event.sequence for event in events] == [event.sequence for event in events_before]


def test_the_grid_is_whole_and_says_what_the_domain_says():
    assert set(TABLE) == {state.value for state in AgentState}
    for state, command, outcome in GRID:
        if command in EVENTS:
            allowed = allowed_states(EVENTS[command])
            assert (outcome is not None) == (AgentState(state) in allowed), (state, command)


async def test_a_stop_ends_what_runs_and_what_waits(box):
    await box.active("a", "hold")
    running, waiting = await box.trigger("a"), await box.trigger("a")
    await box.execution_reaches(running.id, "STATE_RUNNING")
    answer = await box.call("StopAgent", id="a", reason="enough")
    assert answer.agent.state_reason == "enough"
    await box.reaches("a", "STATE_STOPPED")
    for one in (running, waiting):
        execution = await box.execution(one.id)
        assert as_json(execution)["state"] == "STATE_CANCELLED"
        assert execution.cancel_requested


async def test_many_at_once_by_a_selector_each_on_its_own(box):
    await box.create("a", labels={"team": "ops"})
    await box.create("b", labels={"team": "ops", "tier": "1"})
    await box.create("c", labels={"team": "dev"})
    await box.call("StartAgent", id="b")
    await box.call("PauseAgent", id="b")
    request = {"selector": {"team": "ops"}, "request_id": request_id()}
    answer = await box.call("StartAgent", **request)
    assert not answer.HasField("agent")
    first, second = answer.results
    assert (first.id, as_json(first.agent)["state"]) == ("a", "STATE_ACTIVE")
    assert second.id == "b"
    assert not second.HasField("agent")
    assert (second.error.code, second.error.reason) == (9, "agent_state")
    assert second.error.metadata["state"] == "STATE_PAUSED"
    assert "PAUSED" in second.error.message
    assert await box.state("c") == "STATE_STOPPED"
    # Meanwhile people changed their minds: the repeated request tells what it did then, and does nothing now.
    await box.call("PauseAgent", id="a")
    await box.call("StopAgent", id="b")
    again = await box.call("StartAgent", **request)
    assert [one.id for one in again.results] == ["a", "b"]
    assert as_json(again.results[1].error) == as_json(second.error)
    assert await box.state("a") == "STATE_PAUSED"
    assert await box.state("b") == "STATE_STOPPED"
    assert not (await box.call("StartAgent", selector={"team": "nobody"})).results


@pytest.mark.parametrize("command", ["StartAgent", "StopAgent", "PauseAgent", "ResumeAgent"])
async def test_neither_id_nor_selector_is_refused_and_so_are_both(box, command):
    for request in ({}, {"id": "a", "selector": {"team": "ops"}}):
        async with refused("INVALID_ARGUMENT") as said:
            await box.call(command, **request)
        assert said[0].fields == ["id"]


async def test_a_reason_is_no_novel(box):
    await box.create("a")
    for call in (
        box.call("StartAgent", id="a", reason="x" * 1025),
        box.call("CancelExecution", id="a", reason="x" * 1025),
    ):
        async with refused("INVALID_ARGUMENT") as said:
            await call
        assert said[0].fields == ["reason"]
