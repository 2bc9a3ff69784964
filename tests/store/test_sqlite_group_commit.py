"""Group commit on SQLite: many units share a commit, room is bounded, the loop is lent for a while only."""

import asyncio
import sqlite3
import threading
import time

import pytest

from nightcrew.domain.execution import ExecutionState
from nightcrew.store.sqlite import group, writer
from nightcrew.store.sqlite.folder import FILE_NAME
from nightcrew.store.sqlite.store import SqliteStore
from nightcrew.system.ids import SystemIds
from nightcrew.testing.clock import ManualClock


@pytest.fixture
async def store(tmp_path):
    store = SqliteStore(tmp_path / "data", clock=ManualClock(), ids=SystemIds())
    await store.open()
    yield store
    await store.close()


async def test_many_callers_few_commits(store, make):
    before = store.commits
    await asyncio.gather(*(store.write(lambda tx: tx.events.append(make.event())) for _ in range(2000)))
    assert 2 <= store.commits - before <= 200  # a batch is 1,000 at most, and 4 ms


async def test_a_caller_alone_has_a_commit_of_its_own(store, make):
    before = store.commits
    for _ in range(5):
        await store.write(lambda tx: tx.events.append(make.event()))
    assert store.commits - before == 5


async def test_a_caller_that_is_cancelled_before_its_turn_is_left_out(store, make):
    tasks = [
        asyncio.create_task(store.write(lambda tx, n=n: tx.events.append(make.event(data=str(n)))))
        for n in range(10)
    ]
    await asyncio.sleep(0)  # all wait in the queue now; the batch is handed over in the next turn
    for task in tasks[::2]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert [one.data for one in await store.reads.events_after(0, limit=99)] == ["1", "3", "5", "7", "9"]


async def test_a_refusal_before_any_change_costs_no_second_run(store, make):
    runs = []

    def refused(tx):
        raise LookupError

    def counted(tx):
        runs.append(1)
        tx.events.append(make.event())

    units = [counted, refused, counted, refused]
    await asyncio.gather(*(store.write(unit) for unit in units), return_exceptions=True)
    assert (len(runs), store._writer.reruns) == (2, 0)


async def test_a_batch_is_bounded_in_time(store, make, monkeypatch):
    monkeypatch.setattr(group, "BATCH_SECONDS", 0.0)
    before = store.commits
    await asyncio.gather(*(store.write(lambda tx: tx.events.append(make.event())) for _ in range(20)))
    assert store.commits - before == 20
    assert await store.reads.event_bounds() == (1, 20)


async def test_room_is_bounded(store, make, monkeypatch):
    monkeypatch.setattr(writer, "MAX_PENDING", 50)
    monkeypatch.setattr(writer, "MAX_BATCH", 10)
    longest = 0

    async def caller(n):
        nonlocal longest
        await store.write(lambda tx: tx.events.append(make.event(data=str(n))))
        longest = max(longest, len(store._writer._pending))

    callers = [asyncio.create_task(caller(n)) for n in range(1000)]
    await asyncio.sleep(0)
    for one in callers[60:200:7]:
        one.cancel()
    async with asyncio.timeout(30):
        results = await asyncio.gather(*callers, return_exceptions=True)
    assert longest <= 60  # what a batch leaves over comes back before the others
    answered = [str(n) for n, result in enumerate(results) if result is None]
    assert len(answered) == 980
    kept = {one.data for one in await store.reads.events_after(0, limit=2000)}
    assert kept == set(answered)


async def test_the_loop_goes_on_while_a_unit_is_slow(store):
    """The interpreter is lent for some milliseconds; a unit that takes a second does not stop the loop for one."""
    entered, may_go = threading.Event(), threading.Event()

    def slow(tx):
        entered.set()
        assert may_go.wait(10)
        return "done"

    writing = asyncio.create_task(store.write(slow))
    began = time.perf_counter()
    while not entered.is_set():
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert time.perf_counter() - began < 5
    may_go.set()  # only the loop can say it: were the loop held, the unit's wait would have failed
    assert await writing == "done"


async def test_a_unit_may_be_run_again_but_counts_once(store, make):
    """Another unit's fault makes this one run twice; what it wrote is there once."""
    runs = []

    def good(tx):
        runs.append(1)
        return tx.events.append(make.event())

    def bad(tx):
        tx.events.append(make.event())
        raise LookupError

    results = await asyncio.gather(
        store.write(good), store.write(bad), store.write(good), return_exceptions=True
    )
    assert len(runs) > 2
    assert results[0] == 1
    assert results[2] == 2
    assert await store.reads.event_bounds() == (1, 2)


async def test_writers_do_not_wait_for_readers(store, make, tmp_path):
    await store.write(lambda tx: tx.events.append(make.event()))
    reader = sqlite3.connect(tmp_path / "data" / FILE_NAME, isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM events").fetchone() == (1,)
    await store.write(lambda tx: tx.events.append(make.event()))
    assert reader.execute("SELECT count(*) FROM events").fetchone() == (1,)
    assert await store.reads.event_bounds() == (1, 2)
    reader.close()


async def test_a_sequence_is_never_used_again(store, make, tmp_path):
    run = make.execution(state=ExecutionState.RUNNING, lease=1)
    await store.write(lambda tx: tx.executions.insert(run))
    await store.write(lambda tx: [tx.events.append(make.event()) for _ in range(5)])
    await store.write(lambda tx: tx.logs.append(run.id, [make.log()] * 5, lease=1))
    pruner = sqlite3.connect(tmp_path / "data" / FILE_NAME, isolation_level=None)
    pruner.execute("DELETE FROM events")
    pruner.execute("DELETE FROM logs")
    pruner.close()
    assert await store.reads.event_bounds() == (6, 5)
    assert await store.write(lambda tx: tx.events.append(make.event())) == 6
    await store.write(lambda tx: tx.logs.append(run.id, [make.log()], lease=1))
    assert [one.sequence for one in await store.reads.logs_after(run.id, 0, limit=9)] == [6]


async def test_what_another_process_wrote_is_seen(store, make, tmp_path):
    """Nobody should, but somebody will mend a row by hand; what the writer remembers of agents gives way."""
    await store.write(lambda tx: tx.agents.insert(make.agent()))
    assert (await store.write(lambda tx: tx.agents.get("digest"))).state_reason == ""
    shell = sqlite3.connect(tmp_path / "data" / FILE_NAME, isolation_level=None)
    shell.execute("UPDATE agents SET state_reason = 'by hand'")
    shell.close()
    assert (await store.write(lambda tx: tx.agents.get("digest"))).state_reason == "by hand"
