"""An agent's moves, written: state, event and what follows; faults that come and go; deleting."""

from dataclasses import replace
from itertools import product

import pytest

from nightcrew.crew.agent_moves import delete_now, save
from nightcrew.crew.claims import claim_by_id
from nightcrew.crew.faults import SELF_CLEARING, clear_fault, fail_agent
from nightcrew.domain.agent import AgentSource, AgentState
from nightcrew.domain.errors import Aborted, FailedPrecondition
from nightcrew.domain.execution import ExecutionState
from nightcrew.domain.lifecycle.agent import TABLE, AgentEvent, step

EVENTS = {
    ("start", "ACTIVE"): "started",
    ("resume", "ACTIVE"): "resumed",
    ("pause", "PAUSED"): "paused",
    ("stop", "STOPPING"): "stopping",
    ("fail", "ERROR"): "failed",
}
REACHED = [AgentState.STOPPED, AgentState.ACTIVE, AgentState.PAUSED, AgentState.ERROR]


async def agent_events(desk):
    return [one.type.removeprefix("nightcrew.agent.") for one in await desk.events() if not one.execution_id]


@pytest.mark.parametrize(
    ("state", "event"), list(product(REACHED, [one for one in AgentEvent if one is not AgentEvent.ENDED]))
)
async def test_every_move_is_written_with_its_event_and_a_refusal_writes_nothing(desk, state, event):
    before = await desk.agent(state=state)
    log, version = await desk.events(), desk.bus.schedules.version
    await desk.clock.advance(1)
    if event not in TABLE[state]:
        with pytest.raises(FailedPrecondition):
            await desk.move("a", event, reason="why")
        assert await desk.get() == before
        assert await desk.events() == log
        return
    following = step(state, event)
    after = await desk.move("a", event, reason="why")
    assert await desk.get() == after
    if not following.changed:
        assert (after, await desk.events(), desk.notebook.take()) == (before, log, [])
        return
    # Nothing was open, so a stop is over at once.
    over = following.state is AgentState.STOPPING
    assert after.state is (AgentState.STOPPED if over else following.state)
    assert (after.state_reason, after.state_time, after.update_time) == ("why", desk.now, desk.now)
    assert after.revision == before.revision + (2 if over else 1)
    assert after.generation == before.generation
    told = [EVENTS[event, following.state.removeprefix("STATE_")], *(["stopped"] if over else [])]
    assert (await agent_events(desk))[len(log) :] == told
    assert desk.bus.schedules.version > version
    assert desk.bus.take_schedules() == {"a"}
    assert desk.notebook.take() == []  # there is no work to wake it for


async def test_becoming_active_wakes_an_agent_that_has_work(desk):
    await desk.agent(overlap="OVERLAP_POLICY_BUFFER_ALL")
    desk.commits.claiming = False
    await desk.admit("a", "one")
    desk.commits.claiming = True
    await desk.move("a", AgentEvent.PAUSE)
    desk.notebook.take()
    await desk.move("a", AgentEvent.RESUME)
    assert desk.notebook.take() == [("work", "a")]


async def test_a_stop_cancels_all_and_waits_for_what_runs(desk):
    await desk.agent()
    await desk.admit("a", "one", "two", "three")
    desk.notebook.take()
    agent = await desk.move("a", AgentEvent.STOP, reason="enough")
    assert agent.state is AgentState.STOPPING
    assert await desk.states() == [("one", "RUNNING")]
    assert (await desk.execution("one")).cancel_requested
    assert (await desk.execution("two")).cancel_reason == "enough"
    assert ("cancel", "a") in desk.notebook.take()


@pytest.mark.parametrize("reason", [*sorted(SELF_CLEARING), "too_many_failures"])
@pytest.mark.parametrize("state", [AgentState.ACTIVE, AgentState.PAUSED])
async def test_a_fault_that_clears_by_itself_gives_back_what_people_had_set(desk, reason, state):
    await desk.agent(state=state)
    await desk.do(fail_agent, "a", reason=reason)
    failed = await desk.get()
    assert (failed.state, failed.state_reason) == (AgentState.ERROR, reason)
    assert failed.was_paused is (state is AgentState.PAUSED)
    await desk.do(clear_fault, "a")
    back = await desk.get()
    if reason in SELF_CLEARING:
        assert (back.state, back.was_paused, back.consecutive_failures) == (state, False, 0)
        assert back.state_reason == "its program loads again"
    else:
        assert back == failed  # people must look at it


async def test_people_may_bring_back_a_paused_agent_from_its_fault(desk):
    await desk.agent(state=AgentState.PAUSED)
    await desk.do(fail_agent, "a", reason="program_load")
    await desk.move("a", AgentEvent.RESUME)
    agent = await desk.get()
    assert (agent.state, agent.was_paused) == (AgentState.ACTIVE, False)
    await desk.do(clear_fault, "a")
    assert await desk.get() == agent


async def test_stopped_and_stopping_agents_have_nothing_to_fail(desk):
    for state in (AgentState.STOPPED, AgentState.STOPPING):
        name = state.name.lower()
        await desk.agent(name, state=AgentState.ACTIVE if state is AgentState.STOPPING else state)
        if state is AgentState.STOPPING:
            await desk.admit(name, "run")
            await desk.move(name, AgentEvent.STOP)
        before = await desk.get(name)
        await desk.do(fail_agent, name, reason="program_load")
        assert await desk.get(name) == before
    await desk.do(fail_agent, "nobody", reason="program_load")


async def test_deleting_takes_everything_along_but_the_events(desk):
    agent = await desk.agent()
    await desk.admit("a", "one")
    await desk.read(lambda tx: tx.agents.set_source(AgentSource(agent_id="a", path="/x.py", digest="d")))
    events = await desk.events()
    await desk.do(delete_now, agent)
    assert await desk.get() is None
    assert await desk.execution("one") is None
    assert (await desk.events())[: len(events)] == events
    assert (await agent_events(desk))[-1] == "deleted"
    # The catalog must know that it was by hand.
    assert (await desk.read(lambda tx: tx.agents.source("a"))).deleted


async def test_an_agent_that_is_to_be_deleted_goes_with_its_last_run(desk):
    agent = await desk.agent()
    await desk.admit("a", "one")
    marked = replace(agent, delete_requested=True, revision=agent.revision + 1)
    await desk.read(lambda tx: save(tx, marked, revision=agent.revision))
    await desk.move("a", AgentEvent.STOP)
    assert (await desk.get()).state is AgentState.STOPPING
    await desk.read(
        lambda tx: tx.executions.finish("one", lease=1, state=ExecutionState.CANCELLED, now=desk.now)
    )
    await desk.do(claim_by_id, "a")
    assert await desk.get() is None


async def test_a_stale_agent_is_not_saved(desk):
    agent = await desk.agent()
    with pytest.raises(Aborted):
        await desk.read(lambda tx: save(tx, agent, revision=agent.revision - 1))
