"""Forgetting, in any store: the oldest first, no more than asked for, and never what is open."""

from datetime import timedelta

import pytest

from nightcrew.domain.execution import ExecutionState
from nightcrew.ports.retention import Ended, Mark


async def test_marks_tell_how_far_the_logs_had_come(store, make):
    def marked(seconds):
        return store.write(lambda tx: tx.retention.marked(make.at(seconds)))

    await store.write(lambda tx: tx.retention.mark(make.at(0)))
    run = make.execution(state=ExecutionState.RUNNING, lease=1)
    await store.write(
        lambda tx: [tx.executions.insert(run), *(tx.events.append(make.event()) for _ in range(3))]
    )
    await store.write(lambda tx: tx.logs.append(run.id, [make.log("a"), make.log("b")], lease=1))
    await store.write(lambda tx: tx.retention.mark(make.at(10)))
    assert await marked(-1) is None
    assert await marked(9) == Mark(make.at(0), 0, 0)
    assert await marked(10) == await marked(99) == Mark(make.at(10), 3, 2)
    assert await store.write(lambda tx: tx.retention.forget_marks(before=make.at(10))) == 1
    assert await marked(9) is None


async def test_events_and_logs_are_forgotten_up_to_a_sequence(store, make):
    run = make.execution(state=ExecutionState.RUNNING, lease=1)
    await store.write(
        lambda tx: [tx.executions.insert(run), *(tx.events.append(make.event()) for _ in range(5))]
    )
    await store.write(lambda tx: tx.logs.append(run.id, [make.log(str(n)) for n in range(5)], lease=1))
    await store.write(lambda tx: [tx.chains.add(n, 1) for n in (1, 4, 5)])
    assert await store.write(lambda tx: tx.retention.forget_events(until=4, limit=3)) == 3
    assert [one.sequence for one in await store.reads.events_after(0, limit=9)] == [4, 5]
    assert await store.write(lambda tx: tx.retention.forget_events(until=4, limit=3)) == 1
    assert await store.write(lambda tx: [tx.chains.count(n) for n in (1, 4, 5)]) == [0, 0, 1]
    assert await store.write(lambda tx: tx.retention.forget_logs(until=3, limit=9)) == 3
    assert [one.message for one in await store.reads.logs_after(run.id, 0, limit=9)] == ["3", "4"]
    assert await store.reads.event_bounds() == (5, 5)
    assert await store.write(lambda tx: tx.events.append(make.event())) == 6


async def test_rows_of_the_ledger_are_forgotten_by_their_last_time(store, make):
    rows = [make.fire(0), make.fire(10, until=100, count=5), make.fire(200)]
    await store.write(lambda tx: [tx.fires.record(one) for one in rows])
    assert await store.write(lambda tx: tx.retention.forget_fires(before=make.at(50), limit=9)) == 1
    assert await store.write(lambda tx: tx.fires.last("digest", "cron")) == rows[2]
    assert await store.write(lambda tx: tx.fires.last("digest", "other")) is None
    assert await store.write(lambda tx: tx.retention.forget_fires(before=make.at(101), limit=9)) == 1
    assert await store.write(lambda tx: tx.retention.forget_fires(before=make.at(101), limit=9)) == 0


@pytest.fixture
async def history(store, make):
    """Five that have ended, a second apart, an open one of each kind, and another agent's."""
    ended = [make.execution(state=ExecutionState.SUCCEEDED, end_time=make.at(n)) for n in range(5)]
    others = [
        make.execution(state=ExecutionState.RUNNING, lease=1),
        make.execution(),
        make.execution("other", state=ExecutionState.FAILED, end_time=make.at(-50)),
    ]
    await store.write(lambda tx: [tx.executions.insert(one) for one in ended + others])
    await store.write(lambda tx: tx.logs.append(others[0].id, [make.log("kept")], lease=1))
    return ended, others


async def test_executions_are_forgotten_by_their_end(store, make, history):
    ended, others = history

    def forget(seconds, limit=9):
        return store.write(
            lambda tx: tx.retention.forget_executions("digest", before=make.at(seconds), limit=limit)
        )

    async def left():
        return [n for n, one in enumerate(ended) if await store.reads.execution(one.id)]

    assert await forget(3, limit=2) == 2
    assert await left() == [2, 3, 4]
    assert await forget(3) == 1
    assert await left() == [3, 4]
    assert await forget(10**6) == 2
    assert all([await store.reads.execution(one.id) for one in others])
    assert [one.message for one in await store.reads.logs_after(others[0].id, 0, limit=9)] == ["kept"]


async def test_the_logs_of_an_execution_go_with_it(store, make):
    run = make.execution(state=ExecutionState.RUNNING, lease=1)
    await store.write(lambda tx: tx.executions.insert(run))
    await store.write(lambda tx: tx.logs.append(run.id, [make.log("x")], lease=1))
    await store.write(
        lambda tx: tx.executions.finish(run.id, lease=1, state=ExecutionState.SUCCEEDED, now=make.at(1))
    )
    await store.write(lambda tx: tx.retention.forget_executions("digest", before=make.at(2), limit=1))
    assert await store.write(lambda tx: tx.retention.forget_logs(until=99, limit=9)) == 0


async def test_agents_with_executions_that_have_ended(store, make, history):
    async def found(**query):
        return await store.reads.ended(**{"after": "", "keep": 3, "limit": 9} | query)

    second = timedelta(seconds=1)
    digest = Ended("digest", make.at(0), make.at(4) - 2 * second)
    other = Ended("other", make.at(-50), None)
    assert await found() == [digest, other]
    assert await found(limit=1) == [digest]
    assert await found(after="digest") == [other]
    assert await found(after="other") == []
    assert (await found(keep=5))[0].kept_since == make.at(0)
    assert (await found(keep=6))[0].kept_since is None
