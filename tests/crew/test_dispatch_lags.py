"""Triggers that lag: who waits, behind whom, and what ends the wait."""

from tests.crew.support.press import on

from nightcrew.crew import dispatch as dispatching
from nightcrew.crew.delivery import ADMITTED
from nightcrew.domain.lifecycle.agent import AgentEvent
from nightcrew.domain.spec.agent import Manifest
from nightcrew.keepers.delivering import take_turn
from nightcrew.services.agents import change_agent


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
