"""The event log and the logs of executions, in any store: order, bounds, and sequences never used twice."""

from dataclasses import asdict

import pytest

from nightcrew.domain.event import Event
from nightcrew.domain.execution import ExecutionState
from nightcrew.domain.log import LogStream, Severity


async def test_an_event_comes_back_as_it_went_in(store, make):
    full = make.event(
        id="mine",
        subject="s",
        data='{"a":"ü"}',
        agent_id="digest",
        execution_id="x",
        cause_sequence=7,
        actor="me",
        extensions={"traceparent": "00"},
    )
    sequence = await store.write(lambda tx: tx.events.append(full))
    (event,) = await store.reads.events_after(0, limit=10)
    assert event == Event(**asdict(full), sequence=sequence)


async def test_the_runtimes_own_events_are_named_by_their_sequence(store, make):
    sequences = await store.write(lambda tx: [tx.events.append(make.event()) for _ in range(2)])
    events = await store.reads.events_after(0, limit=10)
    assert [one.id for one in events] == [str(one) for one in sequences]


async def test_bounds_of_an_empty_log(store):
    assert await store.reads.event_bounds() == (1, 0)
    assert await store.reads.events_after(0, limit=10) == []
    assert (await store.reads.store_figures()).sequence == 0


async def test_ten_thousand_events_in_order_each_once(store, make):
    for _ in range(10):
        await store.write(lambda tx: [tx.events.append(make.event(data=str(n))) for n in range(1000)])
    seen, after = [], 0
    while page := await store.reads.events_after(after, limit=333):
        assert len(page) <= 333
        seen += page
        after = page[-1].sequence
    assert [one.sequence for one in seen] == list(range(1, 10_001))
    assert [one.data for one in seen] == [str(n) for n in range(1000)] * 10
    assert await store.reads.event_bounds() == (1, 10_000)
    assert (await store.reads.store_figures()).sequence == 10_000


async def test_a_unit_that_failed_leaves_no_event(store, make):
    def unit(tx):
        tx.events.append(make.event())
        raise LookupError

    with pytest.raises(LookupError):
        await store.write(unit)
    assert await store.reads.events_after(0, limit=10) == []


async def test_logs_belong_to_a_run(store, make):
    run = make.execution(state=ExecutionState.RUNNING, lease=2)
    other = make.execution(state=ExecutionState.RUNNING, lease=1)
    await store.write(lambda tx: [tx.executions.insert(one) for one in (run, other)])
    entries = [
        make.log("one"),
        make.log(
            "two",
            time=make.at(0.5),
            severity=Severity.ERROR,
            stream=LogStream.TOKEN,
            fields={"a": [1, None], "ü": {"b": 1.5}},
        ),
    ]
    assert await store.write(lambda tx: tx.logs.append(run.id, entries, lease=2))
    assert await store.write(lambda tx: tx.logs.append(other.id, [make.log("theirs")], lease=1))
    assert await store.write(lambda tx: tx.logs.append(run.id, [make.log("three")], lease=2))
    assert not await store.write(lambda tx: tx.logs.append(run.id, [make.log("late")], lease=1))
    assert not await store.write(lambda tx: tx.logs.append("nobody", [make.log("late")], lease=1))

    kept = await store.reads.logs_after(run.id, 0, limit=10)
    assert [one.message for one in kept] == ["one", "two", "three"]
    assert [one.execution_id for one in kept] == [run.id] * 3
    two = {k: v for k, v in asdict(kept[1]).items() if k not in {"execution_id", "sequence"}}
    assert two == asdict(entries[1])
    assert kept[0].sequence < kept[1].sequence < kept[2].sequence
    assert await store.reads.logs_after(run.id, kept[0].sequence, limit=1) == [kept[1]]
    assert await store.reads.logs_after("nobody", 0, limit=10) == []
