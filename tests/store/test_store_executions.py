"""Executions in any store: every guarded write, from every state, under every lease; a refused one is nothing."""

from datetime import timedelta

import pytest

from nightcrew.domain.errors import AlreadyExists
from nightcrew.domain.execution import (
    FINAL,
    ExecutionError,
    ExecutionState,
    Occupancy,
    TriggerKind,
    TriggerRef,
)

S = ExecutionState
ERROR = ExecutionError(type="ValueError", message="no", traceback="at line 1", retryable=False)
LEASE = 3


def in_state(make, state, **fields):
    started = state is not S.QUEUED
    return make.execution(state=state, **({"lease": LEASE, "started": started, "attempt": 2} | fields))


async def held(store, execution):
    """What the store holds of it, by both ways of reading."""
    inside = await store.write(lambda tx: tx.executions.get(execution.id))
    assert await store.reads.execution(execution.id) == inside
    return inside


async def test_an_execution_comes_back_as_it_went_in(store, make):
    full = make.execution(
        state=S.FAILED,
        trigger=TriggerRef(
            kind=TriggerKind.RETRY,
            trigger_id="cron",
            nominal_time=make.at(1.000001),
            event_id="17",
            cause_execution_id="before",
        ),
        agent_generation=4,
        input='{"a":[1,"ü"]}',
        attempt=2,
        lease=3,
        started=True,
        priority=-5,
        labels={"team": "ops"},
        result='"partial"',
        error=ERROR,
        next_attempt_time=make.at(5),
        deadline=make.at(6),
        interruptions=2,
        unclean=1,
        cancel_requested=True,
        cancel_reason="enough",
        start_time=make.at(2),
        end_time=make.at(3),
    )
    for execution in (make.execution(), full):
        await store.write(lambda tx, e=execution: tx.executions.insert(e))
        assert await held(store, execution) == execution


async def test_what_is_refused_at_insert(store, make):
    execution = make.execution()
    await store.write(lambda tx: tx.executions.insert(execution))
    with pytest.raises(AlreadyExists, match="execution"):
        await store.write(lambda tx: tx.executions.insert(execution))
    for wrong in (make.execution(end_time=make.at()), make.execution(state=S.FAILED, end_time=None)):
        with pytest.raises(ValueError, match="end_time"):
            await store.write(lambda tx, wrong=wrong: tx.executions.insert(wrong))


MOVES = {
    "finish": (
        lambda tx, e, now, lease: tx.executions.finish(
            e.id, lease=lease, state=S.SUCCEEDED, now=now, result="1", error=None
        ),
        {S.RUNNING},
        True,
    ),
    "retry_later": (
        lambda tx, e, now, lease: tx.executions.retry_later(
            e.id, lease=lease, next_attempt_time=now + timedelta(minutes=1), error=ERROR
        ),
        {S.RUNNING},
        True,
    ),
    "requeue": (
        lambda tx, e, now, lease: tx.executions.requeue(e.id, lease=lease, unclean=True, error=ERROR),
        {S.RUNNING},
        True,
    ),
    "logs": (lambda tx, e, now, lease: tx.logs.append(e.id, [], lease=lease), {S.RUNNING}, True),
    "end_idle": (
        lambda tx, e, now, lease: tx.executions.end_idle(e.id, state=S.CANCELLED, now=now),
        {S.QUEUED, S.WAITING, S.RETRYING},
        False,
    ),
    "mark_cancel": (
        lambda tx, e, now, lease: tx.executions.mark_cancel(e.id, reason="enough"),
        {S.QUEUED, S.RUNNING, S.WAITING, S.RETRYING},
        False,
    ),
}


@pytest.mark.parametrize("move", MOVES)
async def test_a_write_is_guarded_by_state_and_lease(store, make, move):
    act, allowed, leased = MOVES[move]
    for state in S:
        for lease in (LEASE, LEASE - 1):
            execution = in_state(make, state)
            await store.write(lambda tx, e=execution: tx.executions.insert(e))
            done = await store.write(lambda tx, e=execution, n=lease: act(tx, e, make.at(60), n))
            assert done is (state in allowed and (lease == LEASE or not leased)), (state, lease)
            if not done:
                assert await held(store, execution) == execution, (state, lease)
    assert not await store.write(lambda tx: act(tx, make.execution(), make.at(), LEASE))


async def moved(store, make, move, state=S.RUNNING, **fields):
    execution = in_state(make, state, **fields)
    await store.write(lambda tx: tx.executions.insert(execution))
    assert await store.write(lambda tx: move(tx, execution.id))
    return await held(store, execution)


async def test_finish_writes_the_outcome(store, make):
    for state in FINAL:
        ended = await moved(
            store,
            make,
            lambda tx, i, s=state: tx.executions.finish(
                i, lease=LEASE, state=s, now=make.at(9), result="[1]", error=ERROR
            ),
        )
        assert (ended.state, ended.end_time, ended.result, ended.error) == (state, make.at(9), "[1]", ERROR)
    clean = await moved(
        store,
        make,
        lambda tx, i: tx.executions.finish(i, lease=LEASE, state=S.SUCCEEDED, now=make.at(9)),
        error=ERROR,
    )
    assert clean.error is None  # what an earlier attempt failed of is not the outcome


async def test_only_final_states_end(store, make):
    for state in set(S) - FINAL:
        with pytest.raises(ValueError, match=str(state)):
            await store.write(lambda tx, s=state: tx.executions.finish("x", lease=1, state=s, now=make.at()))
        with pytest.raises(ValueError, match=str(state)):
            await store.write(lambda tx, s=state: tx.executions.end_idle("x", state=s, now=make.at()))


async def test_retry_and_its_wake(store, make):
    waiting = await moved(
        store,
        make,
        lambda tx, i: tx.executions.retry_later(i, lease=LEASE, next_attempt_time=make.at(60), error=ERROR),
        unclean=2,
    )
    assert (waiting.state, waiting.next_attempt_time, waiting.error) == (S.RETRYING, make.at(60), ERROR)
    assert waiting.unclean == 0
    assert await store.write(lambda tx: tx.executions.next_wake()) == make.at(60)
    assert await store.write(lambda tx: tx.executions.wake_due(make.at(59.999999), limit=10)) == []
    (woken,) = await store.write(lambda tx: tx.executions.wake_due(make.at(60), limit=10))
    assert woken == await held(store, woken)
    assert (woken.state, woken.next_attempt_time) == (S.QUEUED, None)
    assert await store.write(lambda tx: tx.executions.next_wake()) is None
    (claimed,) = await store.write(
        lambda tx: tx.executions.claim("digest", limit=5, people_only=True, now=make.at(61))
    )
    assert (claimed.attempt, claimed.lease) == (3, LEASE + 1)


async def test_wakes_come_in_order_and_in_portions(store, make):
    many = [in_state(make, S.RETRYING, next_attempt_time=make.at(10 - n)) for n in range(5)]
    await store.write(lambda tx: [tx.executions.insert(one) for one in many])
    woken = await store.write(lambda tx: tx.executions.wake_due(make.at(9), limit=2))
    assert [one.id for one in woken] == [many[4].id, many[3].id]
    woken = await store.write(lambda tx: tx.executions.wake_due(make.at(9), limit=9))
    assert [one.id for one in woken] == [many[2].id, many[1].id]


@pytest.mark.parametrize("unclean", [True, False])
async def test_an_interrupted_run_keeps_its_attempt(store, make, unclean):
    queued = await moved(
        store,
        make,
        lambda tx, i: tx.executions.requeue(i, lease=LEASE, unclean=unclean, error=ERROR),
        interruptions=1,
        unclean=1,
        start_time=make.at(1),
    )
    assert (queued.state, queued.started, queued.attempt, queued.lease) == (S.QUEUED, True, 2, LEASE)
    assert (queued.interruptions, queued.unclean) == (2, 2 if unclean else 1)
    (claimed,) = await store.write(
        lambda tx: tx.executions.claim("digest", limit=5, people_only=False, now=make.at(9))
    )
    assert (claimed.attempt, claimed.lease, claimed.start_time) == (2, LEASE + 1, make.at(1))
    assert claimed == await held(store, claimed)
    await store.write(
        lambda tx: tx.executions.retry_later(
            claimed.id, lease=LEASE + 1, next_attempt_time=make.at(10), error=ERROR
        )
    )
    await store.write(lambda tx: tx.executions.wake_due(make.at(10), limit=1))
    (claimed,) = await store.write(
        lambda tx: tx.executions.claim("digest", limit=5, people_only=False, now=make.at(11))
    )
    assert claimed.attempt == 3  # kept once, for the one interruption


async def test_the_cancel_mark_is_set_once(store, make):
    marked = await moved(store, make, lambda tx, i: tx.executions.mark_cancel(i, reason="enough"))
    assert (marked.cancel_requested, marked.cancel_reason, marked.state) == (True, "enough", S.RUNNING)
    assert not await store.write(lambda tx: tx.executions.mark_cancel(marked.id, reason="again"))
    assert (await held(store, marked)).cancel_reason == "enough"


async def test_ending_an_idle_one(store, make):
    for state in (S.QUEUED, S.WAITING, S.RETRYING):
        ended = await moved(
            store,
            make,
            lambda tx, i: tx.executions.end_idle(i, state=S.TIMED_OUT, now=make.at(9), error=ERROR),
            state=state,
            next_attempt_time=make.at(20),
            deadline=make.at(9),
        )
        assert (ended.state, ended.end_time, ended.error) == (S.TIMED_OUT, make.at(9), ERROR)
        assert ended.next_attempt_time is None
    assert await store.write(lambda tx: tx.executions.next_wake()) is None


async def test_overdue_ones_are_idle_and_past_their_deadline(store, make):
    all_states = {s: in_state(make, s, deadline=make.at(30), next_attempt_time=make.at(99)) for s in S}
    later = in_state(make, S.QUEUED, deadline=make.at(20))
    await store.write(lambda tx: [tx.executions.insert(one) for one in (*all_states.values(), later)])
    await store.write(lambda tx: tx.executions.insert(in_state(make, S.QUEUED)))

    async def overdue(seconds, limit=10):
        found = await store.write(lambda tx: tx.executions.overdue(make.at(seconds), limit=limit))
        return [one.id for one in found]

    assert await overdue(19) == []
    assert await overdue(20) == [later.id]
    idle = [all_states[s].id for s in S if s in {S.QUEUED, S.WAITING, S.RETRYING}]
    assert await overdue(30) == [later.id, *idle]
    assert await overdue(30, limit=2) == [later.id, idle[0]]
    assert await store.write(lambda tx: tx.executions.next_wake()) == make.at(20)


async def test_places_and_waiting_ones_are_counted(store, make):
    assert await store.write(lambda tx: tx.executions.occupancy("digest")) == Occupancy(0, 0, 0)
    for state in S:
        await store.write(lambda tx, s=state: tx.executions.insert(in_state(make, s)))
    requeued = in_state(make, S.QUEUED, started=True)
    await store.write(lambda tx: tx.executions.insert(requeued))
    await store.write(lambda tx: [tx.executions.insert(make.execution()) for _ in range(4)])
    await store.write(lambda tx: tx.executions.insert(make.execution("neighbour")))
    assert await store.write(lambda tx: tx.executions.occupancy("digest")) == Occupancy(3, 1, 5)
    assert await store.write(lambda tx: tx.executions.occupancy("digest", cap=2)) == Occupancy(3, 1, 2)
    assert await store.write(lambda tx: tx.executions.occupancy("digest", cap=99)) == Occupancy(3, 1, 5)
    figures = (await store.reads.figures(["digest"])).get("digest")
    assert figures is None  # there are rows, but no such agent


async def test_open_ones_oldest_first(store, make):
    rows = {s: in_state(make, s, trigger=TriggerRef(kind=TriggerKind.SCHEDULE, trigger_id=str(s))) for s in S}
    await store.write(lambda tx: [tx.executions.insert(one) for one in rows.values()])
    await store.write(lambda tx: tx.executions.insert(make.execution("neighbour")))
    found = await store.write(lambda tx: tx.executions.open("digest"))
    assert found == [rows[s] for s in S if not s.final]
    for state in S:
        found = await store.write(lambda tx, s=state: tx.executions.open("digest", trigger_id=str(s)))
        assert found == ([] if state.final else [rows[state]])


async def test_running_ones_in_the_order_of_their_ids(store, make):
    rows = [in_state(make, S.RUNNING) for _ in range(5)] + [in_state(make, s) for s in S if s != S.RUNNING]
    await store.write(lambda tx: [tx.executions.insert(one) for one in reversed(rows)])
    first = await store.write(lambda tx: tx.executions.running(limit=3))
    rest = await store.write(lambda tx: tx.executions.running(after=first[-1].id, limit=3))
    assert first + rest == rows[:5]


async def test_agents_with_work(store, make):
    for state in S:
        await store.write(
            lambda tx, s=state: tx.executions.insert(make.execution(f"a-{s}", state=s, started=True))
        )
    await store.write(
        lambda tx: tx.executions.insert(make.execution("marked", state=S.RUNNING, cancel_requested=True))
    )
    await store.write(lambda tx: [tx.executions.insert(make.execution("backlog")) for _ in range(50)])
    assert await store.write(lambda tx: tx.executions.agents_with_work()) == [
        "a-STATE_QUEUED",
        "backlog",
        "marked",
    ]


@pytest.mark.parametrize("state", list(S))
async def test_who_is_idle_has_nothing_open(state, store, make):
    fields = {"end_time": make.at(9)} if state in FINAL else {}
    await store.write(lambda tx: tx.executions.insert(make.execution(agent_id="a", state=state, **fields)))
    idle = await store.write(lambda tx: tx.executions.idle_of(["a", "b"]))
    assert idle == ({"a", "b"} if state in FINAL else {"b"})
