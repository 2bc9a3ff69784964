"""The ledger, the cursors, remembered answers and facts, in any store."""

from dataclasses import replace

import pytest

from nightcrew.domain.fire import FireOutcome, ScheduleCursor
from nightcrew.domain.page import ListQuery
from nightcrew.ports.requests import Remembered


async def ledger(store):
    return (await store.reads.fires(ListQuery(page_size=1000))).items


async def record(store, *fires):
    return await store.write(lambda tx: [tx.fires.record(one) for one in fires])


async def test_a_nominal_time_has_one_row(store, make):
    fire = make.fire(
        60, outcome=FireOutcome.SKIPPED_OVERLAP, reason="why", execution_id="x", actual_time=make.at(61)
    )
    others = make.fire(60, trigger_id="cron-2"), make.fire(60, agent_id="neighbour")
    assert await record(store, fire, *others) == [True, True, True]
    assert await record(store, replace(fire, outcome=FireOutcome.STARTED)) == [False]
    assert fire in await ledger(store)
    assert len(await ledger(store)) == 3


async def test_a_counted_row_covers_all_its_times(store, make):
    run = make.fire(60, 300, count=5, outcome=FireOutcome.NOT_ACTIVE)
    assert await record(store, run) == [True]
    within = [make.fire(60), make.fire(61), make.fire(180), make.fire(300)]
    across = [
        make.fire(0, 60, count=2),
        make.fire(300, 400, count=2),
        make.fire(0, 900, count=9),
        make.fire(90, 99),
    ]
    assert await record(store, *within, *across) == [False] * 8
    assert await ledger(store) == [run]
    assert await record(store, make.fire(0, 59, count=2), make.fire(301), make.fire(302, 400)) == [True] * 3


async def test_resolve_replaces_exactly_that_row(store, make):
    buffered = make.fire(60, outcome=FireOutcome.BUFFERED, execution_id="x")
    counted = make.fire(120, 300, count=3, outcome=FireOutcome.NOT_ACTIVE)
    await record(store, buffered, counted)
    started = replace(buffered, outcome=FireOutcome.STARTED, actual_time=make.at(99), reason="room")

    async def resolve(fire):
        return await store.write(
            lambda tx: tx.fires.resolve(fire.agent_id, fire.trigger_id, fire.nominal_time, fire=fire)
        )

    assert await resolve(started)
    assert not await resolve(make.fire(61))
    assert not await resolve(make.fire(120))
    assert not await resolve(make.fire(60, trigger_id="cron-2"))
    assert await ledger(store) == [counted, started]
    with pytest.raises(ValueError, match="same nominal time"):
        await store.write(lambda tx: tx.fires.resolve("digest", "cron", make.at(60), fire=make.fire(61)))


async def test_cursors(store, make):
    first = ScheduleCursor(agent_id="digest", trigger_id="a", cursor=make.at(0.000001))
    second = ScheduleCursor(
        agent_id="digest",
        trigger_id="b",
        cursor=make.at(1),
        next_time=make.at(2),
        exhausted=True,
        fires=3,
        generation=4,
    )
    await store.write(lambda tx: [tx.fires.set_cursor(one) for one in (second, first)])
    assert await store.write(lambda tx: tx.fires.cursor("digest", "b")) == second
    assert await store.write(lambda tx: tx.fires.cursor("digest", "c")) is None
    assert await store.write(lambda tx: tx.fires.cursors("digest")) == [first, second]
    found = await store.write(lambda tx: tx.fires.cursors_of(["nobody", "digest"]))
    assert found == {("digest", "a"): first, ("digest", "b"): second}
    moved = replace(first, cursor=make.at(60), next_time=make.at(120))
    await store.write(lambda tx: tx.fires.set_cursor(moved))
    await store.write(lambda tx: tx.fires.drop_cursor("digest", "b"))
    assert await store.reads.cursors(["digest", "nobody"]) == {"digest": [moved], "nobody": []}


async def test_answers_are_found_while_they_count(store, make):
    def answer(seconds, request_id="r", text="{}"):
        return Remembered(
            caller="me",
            method="Trigger",
            request_id=request_id,
            digest="d",
            answer=text,
            time=make.at(seconds),
        )

    async def find(request_id="r", since=0, caller="me", method="Trigger"):
        return await store.write(
            lambda tx: tx.requests.find(caller, method, request_id, since=make.at(since))
        )

    await store.write(lambda tx: tx.requests.remember(answer(10)))
    assert await find() == answer(10)
    assert await find(since=10) == answer(10)
    assert await find(since=10.000001) is None
    assert await find(caller="you") is None
    assert await find(method="Stop") is None
    await store.write(lambda tx: tx.requests.remember(answer(20, text='"new"')))
    assert await find(since=15) == answer(20, text='"new"')

    await store.write(lambda tx: [tx.requests.remember(answer(n, f"r{n}")) for n in range(30, 40)])

    async def forget(limit):
        return await store.write(lambda tx: tx.requests.forget(before=make.at(35), limit=limit))

    assert [await forget(4), await forget(4), await forget(4)] == [4, 2, 0]
    assert [n for n in range(30, 40) if await find(f"r{n}")] == [35, 36, 37, 38, 39]


async def test_facts(store):
    assert await store.write(lambda tx: tx.meta("fact")) is None
    await store.write(lambda tx: tx.set_meta("fact", "1"))
    await store.write(lambda tx: tx.set_meta("fact", "2"))
    assert await store.write(lambda tx: tx.meta("fact")) == "2"
