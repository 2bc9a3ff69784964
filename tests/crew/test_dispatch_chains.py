"""Chains of agents: outcomes trigger, only they, and never without an end."""

import json

from tests.crew.support.press import POLICY, SUCCEEDED, on

from nightcrew.crew.cancels import cancel
from nightcrew.crew.delivery import MAX_CAUSED, MAX_DEPTH
from nightcrew.domain.agent import AgentState
from nightcrew.domain.execution import ExecutionState
from nightcrew.domain.fire import FireOutcome
from nightcrew.domain.lifecycle.agent import AgentEvent
from nightcrew.domain.lifecycle.execution import ExecutionEvent


async def test_an_outcome_triggers_in_the_transaction_that_writes_it(desk, press):
    await desk.agent("a")
    await desk.agent("b", triggers=[on(SUCCEEDED, source="/agents/a")])
    await desk.agent("c", triggers=[on("nightcrew.execution.*", source="/agents/b")])
    await desk.admit("a", "first")
    commits = desk.store.commits
    await press.end("a", result='{"n":1}')
    assert desk.store.commits == commits + 1
    (b,) = await press.executions("b")
    assert b.state is ExecutionState.RUNNING
    assert (b.trigger.cause_execution_id, b.trigger.depth) == ("first", 2)
    event = json.loads(b.input)["event"]
    assert (event["type"], event["source"], event["subject"]) == (SUCCEEDED, "/agents/a", "first")
    assert event["data"] == {"state": "STATE_SUCCEEDED", "attempt": 1, "result": {"n": 1}}
    assert event["id"] == b.trigger.event_id == str(b.trigger.event_sequence)
    await press.end("b", ExecutionEvent.FAIL)
    (c,) = await press.executions("c")
    assert (c.trigger.cause_execution_id, c.trigger.depth) == (b.id, 3)
    assert c.trigger.root_sequence == b.trigger.root_sequence == b.trigger.event_sequence
    assert await desk.read(lambda tx: tx.chains.count(b.trigger.root_sequence)) == 2


async def test_only_outcomes_trigger_and_never_an_agents_own(desk, press):
    await desk.agent("a", triggers=[on("*")])
    await desk.agent("b", triggers=[on("*", allow_self=True)], overlap=POLICY("ALLOW"))
    await desk.agent("c")
    await desk.move("c", AgentEvent.PAUSE)
    assert await press.executions() == []
    await desk.admit("a", "one")
    await press.end("a")
    assert [one.agent_id for one in await press.executions()] == ["a", "b"]
    await press.end("b")
    # Its own outcome, and a's that follows it.
    assert [one.agent_id for one in await press.executions()] == ["a", "b", "a", "b"]


async def test_a_cancelled_execution_is_an_outcome_too(desk, press):
    await desk.agent("a")
    await desk.agent("b", triggers=[on("nightcrew.execution.cancelled")])
    await desk.admit("a", "one", "two")
    await desk.do(lambda tx, after, now: cancel(tx, after, tx.executions.get("two"), reason="x", now=now))
    assert [one.trigger.cause_execution_id for one in await press.executions("b")] == ["two"]


async def test_a_cycle_ends_at_its_depth_and_harms_no_agent(desk, press):
    await desk.agent("a", triggers=[on("go"), on(SUCCEEDED, source="/agents/b", trigger_id="back")])
    await desk.agent("b", triggers=[on(SUCCEEDED, source="/agents/a")])
    await press.publish("go")
    for _ in range(MAX_DEPTH // 2):
        await press.end("a")
        await press.end("b")
    made = await press.executions()
    assert [one.trigger.depth for one in made] == list(range(1, MAX_DEPTH + 1))
    assert len({one.trigger.root_sequence for one in made}) == 1
    reason = f"the chain is {MAX_DEPTH} executions deep"
    assert await press.fires() == [("a", FireOutcome.DEPTH_LIMIT, 1, reason)]
    assert (await desk.get("a")).state is (await desk.get("b")).state is AgentState.ACTIVE
    await press.publish("go")
    assert len(await press.executions()) == MAX_DEPTH + 1


async def test_a_root_cause_starts_so_many_executions_and_no_more(desk, press):
    await desk.agent("a", triggers=[on(SUCCEEDED, source="/agents/z")])
    await desk.agent("b", triggers=[on(SUCCEEDED, source="/agents/z")])
    await desk.agent("z", triggers=[on("go")])
    (published,) = await press.publish("go")
    await desk.do(lambda tx, after, now: tx.chains.add(published.sequence, MAX_CAUSED - 2))
    await press.end("z")
    assert len(await press.executions("a")) == 1
    assert await press.executions("b") == []
    reason = f"its root cause has started {MAX_CAUSED} executions"
    assert await press.fires() == [("b", FireOutcome.DEPTH_LIMIT, 1, reason)]
