"""Dispatch on the real store: an event and the executions of all that match are one transaction, each exactly once."""

import json

import pytest

from nightcrew.crew import dispatch as dispatching
from nightcrew.crew.cancels import cancel
from nightcrew.crew.claims import claim_by_id
from nightcrew.crew.commits import Claimed
from nightcrew.crew.delivery import ADMITTED, MAX_CAUSED, MAX_DEPTH
from nightcrew.crew.publishing import publish
from nightcrew.crew.settle import Settled, settle
from nightcrew.domain.agent import AgentState
from nightcrew.domain.event import NewEvent
from nightcrew.domain.execution import ExecutionState, TriggerKind
from nightcrew.domain.fire import FireOutcome
from nightcrew.domain.lifecycle.agent import AgentEvent
from nightcrew.domain.lifecycle.execution import ExecutionEvent
from nightcrew.domain.page import ListQuery
from nightcrew.domain.spec.agent import Manifest
from nightcrew.domain.verdict import Verdict
from nightcrew.keepers.delivering import take_turn
from nightcrew.services.agents import change_agent

POLICY = "OVERLAP_POLICY_{}".format


def on(*types, trigger_id="event", overlap=None, given=None, **match):
    trigger = {"id": trigger_id, "event": {"types": list(types), **match}}
    if overlap:
        trigger["overlap"] = POLICY(overlap)
    if given:
        trigger["input"] = given
    return trigger


class Press:
    """Publishes on a desk, and reads what became of it."""

    def __init__(self, desk):
        self.desk = desk
        self._count = 0

    def event(self, kind="shop.order", **fields):
        self._count += 1
        values = {"source": "/shop", "time": self.desk.now, "id": f"e{self._count}", "data": "{}"}
        return NewEvent(type=kind, **(values | fields))

    async def publish(self, *kinds, **fields):
        events = [self.event(kind, **fields) for kind in kinds or ("shop.order",)]
        return await self.desk.do(lambda tx, after, now: [publish(tx, after, e, now=now) for e in events])

    async def executions(self, agent_id=""):
        page = await self.desk.store.reads.executions(ListQuery(page_size=1000))
        return [one for one in reversed(page.items) if agent_id in {"", one.agent_id}]

    async def fires(self):
        page = await self.desk.store.reads.fires(ListQuery(page_size=1000))
        return [(one.agent_id, one.outcome, one.count, one.reason) for one in reversed(page.items)]

    async def end(self, agent_id, event=ExecutionEvent.SUCCEED, result="1"):
        """Ends the agent's run that runs, and gives the execution."""

        def unit(tx, after, now):
            running = [one for one in tx.executions.open(agent_id) if one.state is ExecutionState.RUNNING]
            claimed = Claimed(running[0], tx.agents.get(agent_id), None)
            settle(tx, after, Settled(claimed, Verdict(event), result=result), now=now)
            return running[0]

        return await self.desk.do(unit)

    async def lags(self, agent_id="a"):
        return await self.desk.read(lambda tx: tx.lags.of(agent_id))


@pytest.fixture
def press(desk):
    return Press(desk)


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


# ---- chains -----------------------------------------------------------------------------------------------

SUCCEEDED = "nightcrew.execution.succeeded"


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


# ---- lags -------------------------------------------------------------------------------------------------


async def test_a_full_backlog_makes_the_trigger_lag_and_refuses_nobody(desk, press):
    await desk.agent("a", triggers=[on("shop.order")], max_backlog=2)
    await desk.agent("b", triggers=[on("shop.order")])
    published = await press.publish(*["shop.order"] * 6)
    assert len(await press.executions("a")) == 3
    assert len(await press.executions("b")) == 6
    (lag,) = await press.lags()
    # The third waits already; the fourth is the first that there is no room for.
    assert (lag.trigger_id, lag.cursor, lag.until) == ("event", published[3].sequence - 1, None)
    assert await press.fires() == []


async def test_many_executions_in_one_transaction_leave_the_rest_to_the_deliverer(desk, press, monkeypatch):
    monkeypatch.setattr(dispatching, "ROOM", 3 * ADMITTED)
    for agent_id in "ab":
        await desk.agent(agent_id, triggers=[on("shop.order")])
    await press.publish(*["shop.order"] * 5)
    # An event that has begun is given to all of its triggers.
    assert len(await press.executions()) == 4
    assert [len(await press.lags(agent_id)) for agent_id in "ab"] == [1, 1]
    assert desk.bus.take_lags() == {"a", "b"}


async def test_a_transaction_looks_at_so_many_triggers_and_the_rest_are_asked_later(desk, press, monkeypatch):
    monkeypatch.setattr(dispatching, "ROOM", 5)
    for agent_id in "ab":
        await desk.agent(agent_id, triggers=[on("shop.order", filter="event.data == 7")])
    await press.publish(*["shop.order"] * 5, data="1")
    assert await press.executions() == []
    lags = [await press.lags(agent_id) for agent_id in "ab"]
    assert [len(one) for one in lags] == [1, 1]
    await desk.do(take_turn, "a")
    assert (await press.lags("a"), await press.executions()) == ([], [])


async def test_a_stop_has_what_waits_dropped(desk, press):
    await desk.agent("a", triggers=[on("shop.order")], max_backlog=1)
    await press.publish(*["shop.order"] * 4)
    await desk.move("a", AgentEvent.STOP, reason="enough")
    (lag,) = await press.lags()
    assert lag.reason == "enough"
    assert lag.until is not None
    assert "a" in desk.bus.take_lags()


async def test_a_trigger_that_changes_closes_its_lag_and_one_that_goes_drops_it(desk, press):
    agent = await desk.agent("a", triggers=[on("shop.order"), on("mill", trigger_id="m")], max_backlog=1)
    await press.publish(*["shop.order"] * 3, "mill")
    spec = agent.spec.to_json()

    async def change(*triggers):
        current = await desk.get("a")
        await desk.do(change_agent, current, Manifest.parse({"spec": {**spec, "triggers": list(triggers)}}))

    await change(on("shop.*"))
    orders, mills = await press.lags()
    assert (orders.match.types, orders.until is None, orders.reason) == (("shop.order",), False, "")
    assert (mills.trigger_id, mills.reason) == ("m", "the trigger was removed")
    await press.publish("shop.bill")
    _, _, following = await press.lags()
    assert (following.match.types, following.until) == (("shop.*",), None)
    assert following.cursor >= orders.until


async def test_whoever_comes_waits_behind_those_who_wait_though_there_is_room(desk, press):
    agent = await desk.agent("a", triggers=[on("shop.order")], max_backlog=1)
    await press.publish(*["shop.order"] * 3)
    changed = Manifest.parse({"spec": {**agent.spec.to_json(), "triggers": [on("shop.*")]}})
    await desk.do(change_agent, await desk.get("a"), changed)
    await press.end("a")
    assert [one.trigger.event_id for one in await press.executions()] == ["e1", "e2"]
    await press.publish("shop.bill")
    assert [one.trigger.event_id for one in await press.executions()] == ["e1", "e2"]
    assert len(await press.lags()) == 2


async def test_the_same_event_is_never_given_twice_to_a_trigger(desk, press):
    await desk.agent("a", triggers=[on("shop.order")])
    await press.publish()
    (execution,) = await press.executions()

    def again(tx, after, now):
        after.noted.append((execution.trigger.event_sequence, press.event(), now))

    await desk.do(again)
    assert [one.id for one in await press.executions()] == [execution.id]
