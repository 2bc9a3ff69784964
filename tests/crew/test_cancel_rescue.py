"""Cancels that are durable, and runs that lost their runner: what is written, and who is told."""

from dataclasses import replace

import pytest

from nightcrew.crew.cancels import cancel, cancel_open, end_idle
from nightcrew.crew.claims import claim_by_id
from nightcrew.crew.rescue import finish_stops, hand_back
from nightcrew.domain.agent import AgentState
from nightcrew.domain.execution import ExecutionError, ExecutionState, TriggerKind
from nightcrew.domain.fire import Fire, FireOutcome
from nightcrew.domain.lifecycle.agent import AgentEvent
from nightcrew.domain.page import ListQuery

WHY = ExecutionError(type="runtime_restarted", message="the runtime ended while it ran")
EVERY = {"id": "t", "schedule": {"interval": {"every": "60s"}}, "overlap": "OVERLAP_POLICY_BUFFER_ALL"}


async def wanted(desk, name, **more):
    row = await desk.execution(name)

    def unit(tx, after, now):
        cancel(tx, after, row, reason="enough", now=now, **more)

    await desk.do(unit)
    return await desk.execution(name)


async def test_what_never_started_is_cancelled_at_once(desk):
    await desk.agent()
    await desk.admit("a", "one", "two")
    with desk.bus.endings.expect("two") as ended:
        row = await wanted(desk, "two")
        assert ended.done()
    assert (row.state, row.cancel_requested, row.cancel_reason) == (ExecutionState.CANCELLED, True, "enough")
    assert row.end_time == desk.now
    assert await desk.kinds("two") == ["queued", "cancelled"]


@pytest.mark.parametrize("state", [ExecutionState.RETRYING, ExecutionState.QUEUED])
async def test_what_waits_for_its_next_turn_is_cancelled_at_once_and_its_place_is_free(desk, state):
    await desk.agent()
    await desk.admit("a", "one", "two")
    if state is ExecutionState.RETRYING:
        await desk.read(
            lambda tx: tx.executions.retry_later("one", lease=1, next_attempt_time=desk.now, error=WHY)
        )
    else:
        await desk.read(lambda tx: tx.executions.requeue("one", lease=1, unclean=True, error=WHY))
    desk.notebook.take()
    assert (await wanted(desk, "one")).state is ExecutionState.CANCELLED
    assert ("work", "a") in desk.notebook.take()
    assert [one.execution.id for one in (await desk.do(claim_by_id, "a")).runs] == ["two"]


@pytest.mark.parametrize("kill", [False, True])
async def test_a_run_gets_a_durable_mark_and_is_told(desk, kill):
    await desk.agent()
    await desk.admit("a", "one")
    desk.notebook.take()
    row = await wanted(desk, "one", kill=kill)
    assert (row.state, row.cancel_requested, row.cancel_reason) == (ExecutionState.RUNNING, True, "enough")
    assert desk.notebook.take() == [("kill", "one") if kill else ("cancel", "a")]
    assert await desk.kinds("one") == ["queued", "started"]
    # The first reason stays.
    await desk.read(lambda tx: tx.executions.mark_cancel("one", reason="other"))
    assert (await desk.execution("one")).cancel_reason == "enough"


@pytest.mark.parametrize("state", sorted(s for s in ExecutionState if s.final))
async def test_a_final_one_stays_as_it_is(desk, state):
    await desk.agent()
    await desk.admit("a", "one")
    await desk.read(
        lambda tx: tx.executions.finish("one", lease=1, state=ExecutionState(state), now=desk.now)
    )
    before, events = await desk.execution("one"), await desk.events()
    desk.notebook.take()
    assert await wanted(desk, "one") == before
    assert await desk.events() == events
    assert desk.notebook.take() == []


async def fire_row(desk, execution, outcome):
    nominal = execution.trigger.nominal_time
    row = Fire(
        agent_id="a",
        trigger_id="t",
        nominal_time=nominal,
        last_nominal_time=nominal,
        actual_time=desk.now,
        outcome=outcome,
        execution_id=execution.id,
    )
    assert await desk.read(lambda tx: tx.fires.record(row))


async def test_a_buffered_fire_that_never_starts_is_dropped_in_the_ledger(desk):
    await desk.agent(triggers=[EVERY])
    admission = await desk.admit("a", "one", "two", trigger="t", kind=TriggerKind.SCHEDULE)
    await fire_row(desk, admission.started[0], FireOutcome.STARTED)
    await fire_row(desk, admission.buffered[0], FireOutcome.BUFFERED)
    await desk.read(lambda tx: tx.executions.requeue("one", lease=1, unclean=True, error=WHY))
    await desk.do(cancel_open, "a", reason="enough")
    fires = (await desk.store.reads.fires(ListQuery())).items
    # One that has started stays STARTED, however it ended.
    assert {one.execution_id: one.outcome for one in fires} == {
        "one": FireOutcome.STARTED,
        "two": FireOutcome.BUFFER_DROPPED,
    }
    assert next(one.reason for one in fires if one.execution_id == "two") == "enough"


async def test_ending_what_runs_meanwhile_writes_nothing(desk):
    await desk.agent()
    (row,) = (await desk.admit("a", "one")).started
    events = await desk.events()
    await desk.do(end_idle, row, ExecutionState.TIMED_OUT)
    assert (await desk.execution("one")).state is ExecutionState.RUNNING
    assert await desk.events() == events


async def rescue(desk, row):
    await desk.do(hand_back, row, error=WHY)
    return await desk.execution(row.id)


async def test_a_run_without_a_runner_is_interrupted_and_goes_on(desk):
    await desk.agent(total_timeout="600s")
    (row,) = (await desk.admit("a", "one")).started
    desk.notebook.take()
    version = desk.bus.timers.version
    row = await rescue(desk, row)
    assert (row.state, row.error, row.interruptions, row.unclean) == (ExecutionState.QUEUED, WHY, 1, 1)
    assert row.started
    assert ("work", "a") in desk.notebook.take()
    assert desk.bus.timers.version > version
    assert await desk.kinds("one") == ["queued", "started", "queued"]
    (run,) = (await desk.do(claim_by_id, "a")).runs
    assert (run.execution.attempt, run.execution.lease) == (1, 2)


async def test_the_fifth_interruption_in_a_row_fails_it_and_counts(desk):
    await desk.agent(pause_after_failures=1)
    (row,) = (await desk.admit("a", "one")).started
    for number in range(1, 5):
        row = await rescue(desk, row)
        assert (row.state, row.unclean) == (ExecutionState.QUEUED, number)
        (run,) = (await desk.do(claim_by_id, "a")).runs
        row = run.execution
    row = await rescue(desk, row)
    assert (row.state, row.error.type) == (ExecutionState.FAILED, "crash_loop")
    assert "runtime ended" in row.error.message
    agent = await desk.get()
    assert (agent.state, agent.state_reason) == (AgentState.ERROR, "too_many_failures")


async def test_a_run_that_bears_a_mark_ends_cancelled(desk):
    await desk.agent()
    (row,) = (await desk.admit("a", "one")).started
    await wanted(desk, "one")  # the row at hand is older than the mark
    row = await rescue(desk, row)
    assert row.state is ExecutionState.CANCELLED
    assert '"reason":"enough"' in (await desk.events())[-1].data


async def test_a_stopping_agents_run_ends_cancelled_and_stops_it(desk):
    await desk.agent()
    (row,) = (await desk.admit("a", "one")).started
    await desk.move("a", AgentEvent.STOP)
    assert (await rescue(desk, row)).state is ExecutionState.CANCELLED
    assert (await desk.get()).state is AgentState.STOPPED


@pytest.mark.parametrize("end", ["finished", "claimed anew", "gone"])
async def test_a_row_that_has_changed_since_it_was_seen_is_left_alone(desk, end):
    await desk.agent()
    (row,) = (await desk.admit("a", "one")).started
    if end == "finished":
        state = ExecutionState.SUCCEEDED
        await desk.read(lambda tx: tx.executions.finish("one", lease=1, state=state, now=desk.now))
    elif end == "claimed anew":
        await desk.read(lambda tx: tx.executions.requeue("one", lease=1, unclean=False, error=WHY))
        await desk.do(claim_by_id, "a")
    else:
        await desk.read(lambda tx: tx.agents.delete("a"))
    before, events = await desk.execution("one"), await desk.events()
    assert await rescue(desk, row) == before
    assert await desk.events() == events


async def test_stops_that_a_crash_left_half_done_are_finished(desk):
    for agent_id in ("empty", "busy", "active"):
        await desk.agent(agent_id)
        await desk.admit(agent_id, f"{agent_id}-run", f"{agent_id}-waits")

    def stop_without_the_rest(tx):
        # As a crash between two commits would leave it: STOPPING, and executions that nobody cancelled.
        for agent_id in ("empty", "busy"):
            agent = tx.agents.get(agent_id)
            stopping = replace(agent, state=AgentState.STOPPING, revision=agent.revision + 1)
            assert tx.agents.save(stopping, revision=agent.revision)
        tx.executions.finish("empty-run", lease=1, state=ExecutionState.FAILED, now=desk.now)

    await desk.read(stop_without_the_rest)
    assert await desk.do(finish_stops) == 2
    assert (await desk.get("empty")).state is AgentState.STOPPED
    assert (await desk.execution("empty-waits")).state is ExecutionState.CANCELLED
    # What is RUNNING bears the mark now: handing it back ends it, and the agent with it.
    assert (await desk.get("busy")).state is AgentState.STOPPING
    run = await desk.execution("busy-run")
    assert run.cancel_requested
    await rescue(desk, run)
    assert (await desk.get("busy")).state is AgentState.STOPPED
    assert (await desk.get("active")).state is AgentState.ACTIVE
