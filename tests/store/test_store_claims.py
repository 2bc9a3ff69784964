"""Claims in any store: who starts next, what a claim changes, and that a long backlog costs no more."""

import random
import time
from dataclasses import replace

from nightcrew.domain.execution import BY_PEOPLE, ExecutionState, TriggerKind, TriggerRef

S = ExecutionState


async def claim(store, make, *, limit=1, people_only=False, seconds=100, agent_id="digest"):
    return await store.write(
        lambda tx: tx.executions.claim(agent_id, limit=limit, people_only=people_only, now=make.at(seconds))
    )


async def claim_all(store, make, **how):
    """The ids in the order of claims, until a claim gives none."""
    got: list[str] = []
    while batch := await claim(store, make, **how):
        got += [one.id for one in batch]
        assert len(got) == len(set(got)), "claimed twice"
    return got


async def test_a_claim_changes_what_it_says(store, make):
    execution = make.execution(priority=2, labels={"a": "b"}, input='{"x":1}')
    await store.write(lambda tx: tx.executions.insert(execution))
    (claimed,) = await claim(store, make)
    assert claimed == replace(
        execution, state=S.RUNNING, lease=1, attempt=1, started=True, start_time=make.at(100)
    )
    assert await store.reads.execution(execution.id) == claimed
    assert await claim(store, make) == []


async def test_nothing_to_claim(store, make):
    states = [s for s in S if s != S.QUEUED]
    await store.write(lambda tx: [tx.executions.insert(make.execution(state=s)) for s in states])
    await store.write(lambda tx: tx.executions.insert(make.execution(cancel_requested=True)))
    await store.write(lambda tx: tx.executions.insert(make.execution(cancel_requested=True, started=True)))
    await store.write(lambda tx: tx.executions.insert(make.execution("neighbour")))
    assert await claim(store, make, limit=10) == []
    assert await claim(store, make, limit=10, people_only=True) == []
    assert await claim(store, make, limit=0, agent_id="neighbour") == []
    assert len(await claim(store, make, limit=1, agent_id="neighbour")) == 1


async def test_order_requeued_then_priority_then_creation(store, make):
    dice = random.Random(7)
    rows = [make.execution(priority=dice.randrange(-1, 3), started=dice.random() < 0.3) for _ in range(60)]
    await store.write(lambda tx: [tx.executions.insert(one) for one in rows])
    want = [one.id for one in sorted(rows, key=lambda one: (not one.started, -one.priority, one.create_time))]
    assert await claim_all(store, make, limit=7) == want


async def test_a_held_agent_starts_only_runs_and_what_people_asked_for(store, make):
    kinds = [one for one in TriggerKind if one is not TriggerKind.RESIDENT]  # which have a claim of their own
    rows = [
        make.execution(trigger=TriggerRef(kind=kinds[n % len(kinds)]), started=n % 5 == 0, priority=n % 3)
        for n in range(70)
    ]
    await store.write(lambda tx: [tx.executions.insert(one) for one in rows])
    may = [one for one in rows if one.started or one.trigger.kind in BY_PEOPLE]
    want = [one.id for one in sorted(may, key=lambda one: (not one.started, -one.priority, one.create_time))]
    assert await claim_all(store, make, limit=4, people_only=True) == want
    assert len(await claim(store, make, limit=100)) == len(rows) - len(may)


async def test_what_has_ended_is_no_longer_asked_for(store, make):
    execution = make.execution(trigger=TriggerRef(kind=TriggerKind.MANUAL))
    await store.write(lambda tx: tx.executions.insert(execution))
    await store.write(lambda tx: tx.executions.end_idle(execution.id, state=S.CANCELLED, now=make.at()))
    assert await claim(store, make, people_only=True) == []


async def test_a_long_backlog_costs_no_more(store, make):
    """With the backlog walked at each claim this takes a hundred times as long."""
    template = make.execution()
    many = [replace(template, id=f"{n:08}") for n in range(20_000)]
    await store.write(lambda tx: [tx.executions.insert(one) for one in many])
    await store.write(lambda tx: tx.executions.insert(make.execution("short")))

    def claims(tx, agent_id):
        began = time.perf_counter()
        for _ in range(200):
            tx.executions.claim(agent_id, limit=1, people_only=True, now=make.at())
            tx.executions.occupancy(agent_id, cap=10)
            tx.executions.agents_with_work()
        return time.perf_counter() - began

    short = min([await store.write(lambda tx: claims(tx, "short")) for _ in range(3)])
    long = min([await store.write(lambda tx: claims(tx, "digest")) for _ in range(3)])
    assert long < short * 10 + 0.05
    assert [one.id for one in await claim(store, make, limit=2)] == ["00000000", "00000001"]
