"""The end of an attempt, written: guarded by its lease, with its memory and logs, and what the agent makes of it."""

from datetime import timedelta

import pytest

from nightcrew.crew.claims import claim_by_id
from nightcrew.crew.settle import Settled, settle
from nightcrew.domain.agent import AgentState
from nightcrew.domain.execution import ExecutionError, ExecutionState
from nightcrew.domain.lifecycle.agent import AgentEvent
from nightcrew.domain.lifecycle.execution import ExecutionEvent
from nightcrew.domain.log import NewLogEntry
from nightcrew.domain.spec.agent import Manifest
from nightcrew.domain.verdict import Verdict
from nightcrew.services.agents import change_agent

ERROR = ExecutionError(type="ValueError", message="no", traceback="trace")


def verdict(event, desk, **more):
    error = None if event in {ExecutionEvent.SUCCEED, ExecutionEvent.CANCELLED} else ERROR
    at = desk.now + timedelta(seconds=5) if event is ExecutionEvent.RETRY_LATER else None
    failed = event in {ExecutionEvent.FAIL, ExecutionEvent.TIME_OUT}
    return Verdict(event, error, next_attempt_time=at, counts=failed, **more)


async def begin(desk, *names):
    """Claimed runs of these names."""
    desk.commits.claiming = False
    await desk.admit("a", *names)
    desk.commits.claiming = True
    runs = (await desk.do(claim_by_id, "a")).runs
    desk.notebook.take()
    return runs


async def end(desk, run, event, **more):
    fault = more.pop("agent_fault", "")
    unclean = more.pop("unclean", False)
    judged = verdict(event, desk, agent_fault=fault, unclean=unclean)
    return await desk.do(settle, Settled(run, judged, **more))


FINAL = {
    ExecutionEvent.SUCCEED: ExecutionState.SUCCEEDED,
    ExecutionEvent.FAIL: ExecutionState.FAILED,
    ExecutionEvent.TIME_OUT: ExecutionState.TIMED_OUT,
    ExecutionEvent.CANCELLED: ExecutionState.CANCELLED,
}
ON = {ExecutionEvent.RETRY_LATER: ExecutionState.RETRYING, ExecutionEvent.INTERRUPT: ExecutionState.QUEUED}


@pytest.mark.parametrize(("event", "state"), list({**FINAL, **ON}.items()))
async def test_every_verdict_is_written_with_its_event_memory_logs_and_the_next_claim(desk, event, state):
    await desk.agent()
    (run,) = await begin(desk, "one", "two")
    await desk.clock.advance(1)
    done = event is ExecutionEvent.SUCCEED
    waiting = desk.bus.endings.expect("one")
    with waiting as ended:
        claim = await end(
            desk,
            run,
            event,
            result='{"n":1}' if done else None,
            memory='{"kept":1}',
            logs=[NewLogEntry(time=desk.now, message="last words")],
        )
        assert ended.done() is state.final
    row = await desk.execution("one")
    # An interrupted run is claimed again in the same transaction.
    assert row.state is (ExecutionState.RUNNING if event is ExecutionEvent.INTERRUPT else state)
    assert row.result == ('{"n":1}' if done else None)
    assert row.error == (None if event in {ExecutionEvent.SUCCEED, ExecutionEvent.CANCELLED} else ERROR)
    assert row.end_time == (desk.now if state.final else None)
    # The memory is kept with a success only.
    assert await desk.read(lambda tx: tx.agents.memory("a")) == ('{"kept":1}' if done else None)
    logs = await desk.store.reads.logs_after("one", 0, limit=10)
    assert [one.message for one in logs] == ["last words"]
    kind = {"RETRY_LATER": "retrying", "INTERRUPT": "queued"}.get(event.name, state.name.lower())
    # The place is free at an end, an interrupted run goes first, one that waits keeps its place.
    if event is ExecutionEvent.RETRY_LATER:
        assert claim.runs == ()
        assert await desk.kinds("one") == ["queued", "started", kind]
    elif event is ExecutionEvent.INTERRUPT:
        assert [one.execution.id for one in claim.runs] == ["one"]
        assert claim.runs[0].execution.attempt == 1
        assert await desk.kinds("one") == ["queued", "started", kind, "started"]
    else:
        assert [one.execution.id for one in claim.runs] == ["two"]
        assert await desk.kinds("one") == ["queued", "started", kind]


@pytest.mark.parametrize("event", [*FINAL, *ON])
async def test_a_lost_lease_writes_nothing(desk, event):
    await desk.agent()
    (late,) = await begin(desk, "one")
    await desk.read(lambda tx: tx.executions.requeue("one", lease=1, unclean=True, error=ERROR))
    (run,) = (await desk.do(claim_by_id, "a")).runs
    before, events = await desk.execution("one"), await desk.events()
    claim = await end(
        desk,
        late,
        event,
        result='"late"',
        memory='{"late":1}',
        logs=[NewLogEntry(time=desk.now, message="late")],
        agent_fault="unkillable" if event is ExecutionEvent.FAIL else "",
    )
    assert claim.runs == ()
    assert await desk.execution("one") == before
    assert await desk.events() == events
    assert await desk.read(lambda tx: tx.agents.memory("a")) is None
    assert await desk.store.reads.logs_after("one", 0, limit=10) == []
    assert (await desk.get()).state is AgentState.ACTIVE
    await end(desk, run, ExecutionEvent.SUCCEED, result='"right"')
    assert (await desk.execution("one")).result == '"right"'


async def test_an_end_that_was_written_although_its_commit_was_in_doubt_is_told(desk):
    await desk.agent()
    (run,) = await begin(desk, "one")
    await end(desk, run, ExecutionEvent.SUCCEED, result="1")
    events, version = await desk.events(), desk.bus.events.version
    with desk.bus.endings.expect("one") as ended:
        await end(desk, run, ExecutionEvent.SUCCEED, result="1")
        assert ended.done()
    assert desk.bus.events.version > version
    assert await desk.events() == events


@pytest.mark.parametrize("event", [ExecutionEvent.RETRY_LATER, ExecutionEvent.INTERRUPT])
async def test_what_bears_a_cancel_mark_never_goes_on(desk, event):
    """The mark came while the attempt was ending by itself: it is not lost."""
    await desk.agent()
    (run,) = await begin(desk, "one")
    await desk.read(lambda tx: tx.executions.mark_cancel("one", reason="no longer needed"))
    await end(desk, run, event)
    row = await desk.execution("one")
    assert (row.state, row.error) == (ExecutionState.CANCELLED, None)
    last = (await desk.events())[-1]
    assert last.type == "nightcrew.execution.cancelled"
    assert '"reason":"no longer needed"' in last.data


async def test_one_that_returns_in_its_grace_has_succeeded(desk):
    await desk.agent()
    (run,) = await begin(desk, "one")
    await desk.read(lambda tx: tx.executions.mark_cancel("one", reason="x"))
    await end(desk, run, ExecutionEvent.SUCCEED, result="1")
    assert (await desk.execution("one")).state is ExecutionState.SUCCEEDED


@pytest.mark.parametrize("event", [*FINAL, *ON])
async def test_any_end_of_a_stopping_agents_run_is_its_last(desk, event):
    await desk.agent()
    (run,) = await begin(desk, "one")
    await desk.move("a", AgentEvent.STOP)
    claim = await end(desk, run, event)
    assert claim.runs == ()
    row = await desk.execution("one")
    # What would go on is cancelled: it bears the mark of the stop.
    assert row.state is FINAL.get(event, ExecutionState.CANCELLED)
    assert (await desk.get()).state is AgentState.STOPPED
    states = [one.type for one in await desk.events() if one.type.startswith("nightcrew.agent.")]
    assert states[-2:] == ["nightcrew.agent.stopping", "nightcrew.agent.stopped"]


async def test_failures_in_a_row_take_the_agent_to_error(desk):
    await desk.agent(pause_after_failures=3)
    outcomes = [
        "FAIL",
        "FAIL",
        "SUCCEED",
        "FAIL",
        "TIME_OUT",
        "CANCELLED",
        "RETRY_LATER",
        "INTERRUPT",
        "FAIL",
    ]
    expected = [1, 2, 0, 1, 2, 2, 2, 2, 3]
    for number, (name, count) in enumerate(zip(outcomes, expected, strict=True)):
        (run, *_) = await begin(desk, f"e{number}")
        await end(desk, run, ExecutionEvent[name])
        agent = await desk.get()
        assert agent.consecutive_failures == count, name
        assert agent.state is (AgentState.ERROR if count == 3 else AgentState.ACTIVE)
        for one in await desk.open():
            await desk.read(
                lambda tx, one=one: (
                    tx.executions.end_idle(one.id, state=ExecutionState.CANCELLED, now=desk.now)
                    or tx.executions.finish(
                        one.id, lease=one.lease, state=ExecutionState.CANCELLED, now=desk.now
                    )
                )
            )
    assert agent.state_reason == "too_many_failures"
    # Leaving ERROR clears the counters.
    await desk.move("a", AgentEvent.RESUME)
    assert (await desk.get()).consecutive_failures == 0


async def test_by_default_failures_are_no_error(desk):
    await desk.agent()
    for number in range(20):
        (run,) = await begin(desk, f"e{number}")
        await end(desk, run, ExecutionEvent.FAIL)
    agent = await desk.get()
    assert (agent.state, agent.consecutive_failures) == (AgentState.ACTIVE, 20)


async def test_a_paused_agent_can_fail_too(desk):
    await desk.agent(pause_after_failures=1)
    (run,) = await begin(desk, "one")
    await desk.move("a", AgentEvent.PAUSE)
    await end(desk, run, ExecutionEvent.FAIL)
    assert (await desk.get()).state is AgentState.ERROR


@pytest.mark.parametrize("fault", ["program_load", "unkillable"])
async def test_a_fault_of_the_agent_itself_is_an_error_at_once_and_holds_what_waits(desk, fault):
    await desk.agent()
    (run,) = await begin(desk, "one")
    await desk.admit("a", "by hand")
    claim = await end(desk, run, ExecutionEvent.FAIL, agent_fault=fault)
    agent = await desk.get()
    assert (agent.state, agent.state_reason) == (AgentState.ERROR, fault)
    assert [one.execution.id for one in claim.runs] == ["by hand"]  # people's work starts in ERROR too


async def test_a_bound_that_was_lowered_while_it_ran_is_kept(desk):
    agent = await desk.agent(max_concurrency=3)
    runs = await begin(desk, "1", "2", "3", "4", "5")
    spec = {**agent.spec.to_json(), "execution": {"max_concurrency": 1}}
    await desk.do(
        lambda tx, after, now: change_agent(tx, after, agent, Manifest.parse({"spec": spec}), now=now)
    )
    assert (await end(desk, runs[0], ExecutionEvent.SUCCEED)).runs == ()
    assert (await end(desk, runs[1], ExecutionEvent.SUCCEED)).runs == ()
    (four,) = (await end(desk, runs[2], ExecutionEvent.SUCCEED)).runs
    assert four.execution.id == "4"
    (five,) = (await end(desk, four, ExecutionEvent.SUCCEED)).runs
    assert five.execution.id == "5"


async def test_a_raised_bound_is_filled_at_the_next_end(desk):
    agent = await desk.agent()
    (run,) = await begin(desk, "1", "2", "3", "4")
    spec = {**agent.spec.to_json(), "execution": {"max_concurrency": 2}}
    await desk.do(
        lambda tx, after, now: change_agent(tx, after, agent, Manifest.parse({"spec": spec}), now=now)
    )
    assert ("changed", "a") in desk.notebook.take()
    claim = await end(desk, run, ExecutionEvent.SUCCEED)
    assert [one.execution.id for one in claim.runs] == ["2", "3"]
    assert claim.places == 2


async def test_a_retry_and_an_interrupted_run_with_a_deadline_wake_the_waker(desk):
    await desk.agent(total_timeout="60s", max_concurrency=0)
    first, second = await begin(desk, "1", "2")
    version = desk.bus.timers.version
    await end(desk, first, ExecutionEvent.RETRY_LATER)
    assert desk.bus.timers.version == version + 1
    await end(desk, second, ExecutionEvent.INTERRUPT)
    assert desk.bus.timers.version == version + 2
