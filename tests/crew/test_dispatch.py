"""Dispatch on the real store: an event and the executions of all that match are one transaction, each exactly once."""

import json

import pytest
from tests.crew.support.press import on

from nightcrew.crew.claims import claim_by_id
from nightcrew.crew.publishing import publish
from nightcrew.domain.agent import AgentState
from nightcrew.domain.execution import ExecutionState, TriggerKind
from nightcrew.domain.fire import FireOutcome
from nightcrew.domain.lifecycle.agent import AgentEvent
from nightcrew.domain.spec.agent import Manifest
from nightcrew.services.agents import change_agent


async def test_an_event_starts_all_that_match_in_its_own_transaction(desk, press):
    await desk.agent("a", triggers=[on("shop.order", given={"mode": "fast", "event": "no"})])
    await desk.agent("b", triggers=[on("shop.*", trigger_id="all")])
    await desk.agent("c", triggers=[on("mill.*")])
    commits = desk.store.commits
    (published,) = await press.publish(data='{"n":1}', subject="s", extensions={"tenant": "blue"})
    assert desk.store.commits == commits + 1
    a, b = await press.executions()
    assert (a.agent_id, a.state, b.agent_id, b.state) == (
        "a",
        ExecutionState.RUNNING,
        "b",
        ExecutionState.RUNNING,
    )
    assert [told[:2] for told in desk.notebook.take()] == [("claimed", "a"), ("claimed", "b")]
    trigger = b.trigger
    assert (trigger.kind, trigger.trigger_id, trigger.event_id, trigger.cause_execution_id) == (
        TriggerKind.EVENT,
        "all",
        "e1",
        "",
    )
    assert (trigger.event_sequence, trigger.root_sequence, trigger.depth) == (published.sequence,) * 2 + (1,)
    event = {
        "specversion": "1.0",
        "id": "e1",
        "source": "/shop",
        "type": "shop.order",
        "time": "2026-01-01T00:00:00Z",
        "subject": "s",
        "tenant": "blue",
        "data": {"n": 1},
    }
    assert json.loads(a.input) == {"mode": "fast", "event": event}
    assert json.loads(b.input) == {"event": event}
    # What an event has caused names it, so that a chain can be followed.
    caused = [one for one in await desk.events() if one.cause_sequence == published.sequence]
    assert [one.type.rpartition(".")[2] for one in caused] == ["queued", "started"] * 2


async def test_a_repetition_starts_nothing(desk, press):
    await desk.agent("a", triggers=[on("shop.order")])
    await press.publish(id="same")
    (again,) = await press.publish(id="same")
    assert again.deduplicated
    assert len(await press.executions()) == 1


async def test_a_unit_that_fails_starts_nothing(desk, press):
    await desk.agent("a", triggers=[on("shop.order")])

    def unit(tx, after, now):
        publish(tx, after, press.event(), now=now)
        raise LookupError

    with pytest.raises(LookupError):
        await desk.do(unit)
    assert await press.executions() == []
    await press.publish()
    assert len(await press.executions()) == 1


STATES = {
    AgentState.ACTIVE: ExecutionState.RUNNING,
    AgentState.PAUSED: ExecutionState.QUEUED,
    AgentState.ERROR: ExecutionState.QUEUED,
    AgentState.STOPPED: None,
}


@pytest.mark.parametrize(("state", "expected"), STATES.items())
async def test_every_state_of_an_agent(desk, press, state, expected):
    await desk.agent("a", triggers=[on("shop.order")], state=state)
    await press.publish()
    assert [one.state for one in await press.executions()] == ([expected] if expected else [])
    assert await press.fires() == []


async def test_a_stopping_agent_takes_no_event_and_what_is_held_starts_on_resume(desk, press):
    await desk.agent("a", triggers=[on("shop.order")])
    await desk.agent("b", triggers=[on("shop.order")], state=AgentState.PAUSED)
    await press.publish()
    await desk.move("a", AgentEvent.STOP)
    assert (await desk.get("a")).state is AgentState.STOPPING
    await press.publish()
    assert len(await press.executions("a")) == 1
    await desk.move("b", AgentEvent.RESUME)
    claim = await desk.do(claim_by_id, "b")
    assert [run.execution.trigger.event_id for run in claim.runs] == ["e1"]
    assert len(await press.executions("b")) == 2


async def test_in_a_drain_events_are_only_queued(desk, press):
    await desk.agent("a", triggers=[on("shop.order")])
    desk.commits.claiming = False
    await press.publish()
    assert [one.state for one in await press.executions()] == [ExecutionState.QUEUED]


async def test_a_trigger_that_changes_is_not_retroactive(desk, press):
    agent = await desk.agent("a", triggers=[on("shop.order")])
    await press.publish("shop.bill")
    manifest = Manifest.parse({"spec": {**agent.spec.to_json(), "triggers": [on("shop.bill")]}})
    await desk.do(change_agent, agent, manifest)
    assert await press.executions() == []
    await press.publish("shop.bill", "shop.order")
    assert [one.trigger.event_id for one in await press.executions()] == ["e2"]


async def test_two_triggers_of_an_agent_are_given_the_event_each(desk, press):
    await desk.agent("a", triggers=[on("shop.*", trigger_id="x"), on("shop.order", trigger_id="y")])
    await press.publish()
    assert [one.trigger.trigger_id for one in await press.executions()] == ["x", "y"]


async def test_a_filter_that_fails_is_no_match_and_counted(desk, press):
    await desk.agent("a", triggers=[on("shop.order", filter="event.data.total > 10")])
    await desk.agent("b", triggers=[on("shop.order")])
    await press.publish(data='{"total":11}')
    await press.publish(data='{"total":9}')
    await press.publish(data="{}")
    await press.publish(data='"x"')
    assert [(one.agent_id, one.trigger.event_id) for one in await press.executions()][:2] == [
        ("a", "e1"),
        ("b", "e1"),
    ]
    assert len(await press.executions("a")) == 1
    assert len(await press.executions("b")) == 4
    fault = desk.commits.filter_faults.of("a")
    assert fault.count == 2
    assert fault.last.startswith("event: ")
    assert desk.commits.filter_faults.of("b").count == 0


# ---- overlap ----------------------------------------------------------------------------------------------


async def test_skipped_events_are_counted_in_the_ledger(desk, press):
    await desk.agent("a", triggers=[on("shop.order", overlap="SKIP")])
    await press.publish(*["shop.order"] * 3)
    assert len(await press.executions()) == 1
    assert [one[:3] for one in await press.fires()] == [("a", FireOutcome.SKIPPED_OVERLAP, 2)]
    await desk.clock.advance(3599)
    await press.publish()
    assert [one[2] for one in await press.fires()] == [3]
    await desk.clock.advance(1)
    await press.publish()
    assert [one[2] for one in await press.fires()] == [3, 1]


async def test_the_newest_event_replaces_the_one_before(desk, press):
    await desk.agent("a", triggers=[on("shop.order", overlap="CANCEL_OTHER")])
    await press.publish()
    await press.publish()
    first, second = await press.executions()
    assert (first.cancel_requested, second.state) == (True, ExecutionState.QUEUED)
    await press.publish()
    assert [one.state.removeprefix("STATE_") for one in await press.executions()] == [
        "RUNNING",
        "CANCELLED",
        "QUEUED",
    ]


async def test_the_same_event_is_never_given_twice_to_a_trigger(desk, press):
    await desk.agent("a", triggers=[on("shop.order")])
    await press.publish()
    (execution,) = await press.executions()

    def again(tx, after, now):
        after.noted.append((execution.trigger.event_sequence, press.event(), now))

    await desk.do(again)
    assert [one.id for one in await press.executions()] == [execution.id]
