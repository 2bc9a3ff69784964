"""Claims on the real store: the order of start, what is held, and how many places there are."""

import pytest

from nightcrew.crew.admission import admit_one
from nightcrew.crew.claims import BATCH, NOTHING, claim_by_id
from nightcrew.crew.intake import Work
from nightcrew.domain.agent import AgentState
from nightcrew.domain.execution import ExecutionError, ExecutionState, TriggerKind, TriggerRef
from nightcrew.domain.fire import Fire, FireOutcome
from nightcrew.domain.lifecycle.agent import AgentEvent
from nightcrew.domain.page import ListQuery

WHY = ExecutionError(type="worker_lost", message="")
EVERY = {"id": "t", "schedule": {"interval": {"every": "60s"}}}


async def claimed(desk, agent_id="a"):
    return [one.execution.id for one in (await desk.do(claim_by_id, agent_id)).runs]


async def finish(desk, name, *, lease=1):
    state = ExecutionState.SUCCEEDED
    assert await desk.read(lambda tx: tx.executions.finish(name, lease=lease, state=state, now=desk.now))


async def test_requeued_runs_come_first_then_priority_then_age(desk):
    await desk.agent()
    for name, priority in (("run", 0), ("low", -1), ("first", 0), ("second", 0), ("high", 9)):

        def unit(tx, after, now, name=name, priority=priority):
            work = Work(execution_id=name, trigger=TriggerRef(kind=TriggerKind.MANUAL), priority=priority)
            return admit_one(tx, after, tx.agents.get("a"), work, now=now)

        await desk.do(unit)
    await desk.read(lambda tx: tx.executions.requeue("run", lease=1, unclean=True, error=WHY))
    order = []
    for _ in range(5):
        (name,) = await claimed(desk)
        assert await claimed(desk) == []  # one place
        order.append(name)
        await finish(desk, name, lease=2 if name == "run" else 1)
    assert order == ["run", "high", "first", "second", "low"]


async def test_a_claim_starts_a_new_attempt_or_goes_on_with_the_interrupted_one(desk):
    await desk.agent(max_concurrency=0)
    await desk.admit("a", "one")
    await desk.read(lambda tx: tx.executions.requeue("one", lease=1, unclean=True, error=WHY))
    ((run,),) = [[one.execution for one in (await desk.do(claim_by_id, "a")).runs]]
    assert (run.attempt, run.lease, run.interruptions, run.unclean) == (1, 2, 1, 1)
    await desk.read(
        lambda tx: tx.executions.retry_later("one", lease=2, next_attempt_time=desk.now, error=WHY)
    )
    await desk.read(lambda tx: tx.executions.wake_due(desk.now, limit=1))
    ((run,),) = [[one.execution for one in (await desk.do(claim_by_id, "a")).runs]]
    assert (run.attempt, run.lease, run.unclean) == (2, 3, 0)
    assert await desk.kinds("one") == ["queued", "started", "started", "started"]


@pytest.mark.parametrize("state", [AgentState.PAUSED, AgentState.ERROR])
async def test_a_held_agent_starts_what_people_asked_for_and_what_has_begun(desk, state):
    await desk.agent(triggers=[EVERY], overlap="OVERLAP_POLICY_BUFFER_ALL", max_concurrency=4)
    await desk.admit("a", "run", trigger="t", kind=TriggerKind.SCHEDULE)
    await desk.read(lambda tx: tx.executions.requeue("run", lease=1, unclean=True, error=WHY))
    desk.commits.claiming = False
    for kind in TriggerKind:
        await desk.admit("a", kind.name, trigger="t", kind=kind)
    desk.commits.claiming = True
    await desk.move("a", AgentEvent.PAUSE if state is AgentState.PAUSED else AgentEvent.FAIL)
    assert await claimed(desk) == ["run", "MANUAL", "BACKFILL", "RETRY"]
    # Back again, the rest goes on.
    await desk.move("a", AgentEvent.RESUME)
    for name, lease in (("run", 2), ("MANUAL", 1), ("BACKFILL", 1), ("RETRY", 1)):
        await finish(desk, name, lease=lease)
    assert await claimed(desk) == ["SCHEDULE", "WEBHOOK", "EVENT", "RESIDENT"]


@pytest.mark.parametrize("bound", [1, 2, 3, 0])
async def test_no_more_than_there_are_places(desk, bound):
    await desk.agent(max_concurrency=bound)
    desk.commits.claiming = False
    await desk.admit("a", *"12345")
    desk.commits.claiming = True
    claim = await desk.do(claim_by_id, "a")
    assert len(claim.runs) == (bound or 5)
    assert claim.places == bound
    assert not claim.more


async def test_an_unbound_agents_backlog_is_claimed_in_portions(desk):
    await desk.agent(max_concurrency=0, max_backlog=0)
    desk.commits.claiming = False
    await desk.admit("a", *(str(number) for number in range(BATCH + 5)))
    desk.commits.claiming = True
    first = await desk.do(claim_by_id, "a")
    assert (len(first.runs), first.more) == (BATCH, True)
    second = await desk.do(claim_by_id, "a")
    assert (len(second.runs), second.more) == (5, False)


async def test_the_memory_goes_to_runs_that_have_it_for_themselves(desk):
    await desk.agent("one")
    await desk.agent("many", max_concurrency=2)
    for agent_id in ("one", "many"):
        await desk.read(lambda tx, agent_id=agent_id: tx.agents.set_memory(agent_id, '{"n":1}'))
        desk.commits.claiming = False
        await desk.admit(agent_id, f"{agent_id}-run")
        desk.commits.claiming = True
        (run,) = (await desk.do(claim_by_id, agent_id)).runs
        assert run.memory == ('{"n":1}' if agent_id == "one" else None)
        assert run.agent.id == agent_id


async def test_what_bears_a_cancel_mark_is_never_claimed(desk):
    await desk.agent()
    desk.commits.claiming = False
    await desk.admit("a", "one", "two")
    desk.commits.claiming = True
    await desk.read(lambda tx: tx.executions.mark_cancel("one", reason=""))
    assert await claimed(desk) == ["two"]


async def test_a_buffered_fire_is_started_in_the_ledger_when_it_is_claimed(desk):
    await desk.agent(triggers=[EVERY], overlap="OVERLAP_POLICY_BUFFER_ALL")
    await desk.admit("a", "one")
    (waiting,) = (await desk.admit("a", "two", trigger="t", kind=TriggerKind.SCHEDULE)).buffered
    nominal = waiting.trigger.nominal_time
    row = Fire(
        agent_id="a",
        trigger_id="t",
        nominal_time=nominal,
        last_nominal_time=nominal,
        actual_time=desk.now,
        outcome=FireOutcome.BUFFERED,
        execution_id="two",
    )
    await desk.read(lambda tx: tx.fires.record(row))
    await finish(desk, "one")
    await desk.clock.advance(5)
    assert await claimed(desk) == ["two"]
    ((fire,),) = [(await desk.store.reads.fires(ListQuery())).items]
    assert (fire.outcome, fire.execution_id, fire.actual_time) == (FireOutcome.STARTED, "two", desk.now)


async def test_stopped_agents_and_agents_that_are_gone_have_nothing_to_claim(desk):
    await desk.agent("a", state=AgentState.STOPPED)
    assert await desk.do(claim_by_id, "a") == NOTHING
    assert await desk.do(claim_by_id, "nobody") == NOTHING


async def test_the_last_end_of_a_stopping_agent_stops_it(desk):
    await desk.agent()
    await desk.admit("a", "one")
    await desk.move("a", AgentEvent.STOP)
    await finish(desk, "one")
    assert (await desk.get()).state is AgentState.STOPPING
    assert await desk.do(claim_by_id, "a") == NOTHING
    assert (await desk.get()).state is AgentState.STOPPED
