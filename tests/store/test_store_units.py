"""Units of work in any store: all or nothing, one's fault is not another's, cancelled callers, open and close."""

import asyncio

import pytest

from nightcrew.domain.errors import AlreadyExists, FailedPrecondition, StoreError
from nightcrew.domain.page import ListQuery


async def count(store):
    return len((await store.reads.agents(ListQuery(page_size=1000))).items)


def fails_before(make):
    def unit(tx):
        raise FailedPrecondition("not now")

    return unit, FailedPrecondition


def fails_after(make):
    def unit(tx):
        tx.agents.insert(make.agent("half"))
        tx.set_meta("half", "1")
        raise LookupError("after a change")

    return unit, LookupError


def conflicts(make):
    def unit(tx):
        tx.set_meta("half", "1")
        tx.agents.insert(make.agent("agent-0"))

    return unit, AlreadyExists


def stops(make):
    def unit(tx):
        tx.set_meta("half", "1")
        next(iter(()))

    return unit, RuntimeError


def exits(make):
    def unit(tx):
        tx.set_meta("half", "1")
        raise SystemExit(3)

    return unit, RuntimeError


FAULTS = [fails_before, fails_after, conflicts, stops, exits]


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_unit_that_fails_fails_alone(store, make, fault):
    await store.write(lambda tx: tx.agents.insert(make.agent("agent-0")))
    bad, error = fault(make)
    units = [lambda tx, n=n: tx.agents.insert(make.agent(f"agent-{n}")) or n for n in range(1, 50)]
    for place in (0, 20, 40, len(units) + 3):
        units.insert(place, bad)
    results = await asyncio.gather(*(store.write(unit) for unit in units), return_exceptions=True)
    assert [one for one in results if isinstance(one, int)] == list(range(1, 50))
    assert [type(one) for one in results if not isinstance(one, int)] == [error] * 4
    assert await count(store) == 50
    assert await store.write(lambda tx: tx.meta("half")) is None
    assert await store.write(lambda tx: tx.agents.get("half")) is None


async def test_what_was_read_before_a_fault_is_read_anew(store, make):
    """A unit that changed an agent and failed must not leave its version in anyone's memory."""
    await store.write(lambda tx: tx.agents.insert(make.agent()))

    def bad(tx):
        tx.agents.save(make.agent(revision=2, state_reason="never"), revision=1)
        assert tx.agents.get("digest").state_reason == "never"
        raise LookupError

    results = await asyncio.gather(
        store.write(lambda tx: tx.agents.get("digest")),
        store.write(bad),
        store.write(lambda tx: tx.agents.get("digest")),
        return_exceptions=True,
    )
    assert results[0] == results[2] == make.agent()
    assert await store.write(lambda tx: tx.agents.get("digest")) == make.agent()


async def test_units_run_one_after_another(store):
    def add(tx):
        number = int(tx.meta("n") or 0) + 1
        tx.set_meta("n", str(number))
        return number

    results = await asyncio.gather(*(store.write(add) for _ in range(3000)))
    assert sorted(results) == list(range(1, 3001))
    assert await store.write(lambda tx: tx.meta("n")) == "3000"


async def test_what_was_answered_can_be_read_at_once(store, make):
    async def caller(name):
        await store.write(lambda tx: tx.agents.insert(make.agent(name)))
        assert await store.reads.agent(name) is not None

    await asyncio.gather(*(caller(f"agent-{n}") for n in range(100)))


async def test_a_cancelled_caller_breaks_nothing(store, make):
    tasks = [
        asyncio.create_task(store.write(lambda tx, n=n: tx.agents.insert(make.agent(f"agent-{n:03}"))))
        for n in range(300)
    ]
    for turn in range(10):
        await asyncio.sleep(0)
        for task in tasks[turn::20]:
            task.cancel()
    async with asyncio.timeout(30):
        results = await asyncio.gather(*tasks, return_exceptions=True)
    kept = {one.id for one in (await store.reads.agents(ListQuery(page_size=1000))).items}
    answered = {f"agent-{n:03}" for n, result in enumerate(results) if result is None}
    assert answered <= kept
    assert len(answered) >= 150
    assert all(isinstance(one, asyncio.CancelledError) for one in results if one is not None)
    await store.write(lambda tx: tx.agents.insert(make.agent("later")))


async def test_a_store_that_is_not_open_says_so(make_store, make):
    store = make_store()
    for _ in range(2):
        with pytest.raises(StoreError, match="not open"):
            await store.write(lambda tx: tx.meta("x"))
        with pytest.raises(StoreError, match="not open"):
            await store.reads.agent("x")
        await store.open()
        with pytest.raises(StoreError, match="open already"):
            await store.open()
        await store.close()
        await store.close()


async def test_close_commits_what_has_come(make_store, make):
    store = make_store()
    await store.open()
    tasks = [
        asyncio.create_task(store.write(lambda tx, n=n: tx.agents.insert(make.agent(f"agent-{n}"))))
        for n in range(2500)
    ]
    await asyncio.sleep(0)
    closing = asyncio.create_task(store.close())
    await asyncio.sleep(0)
    with pytest.raises(StoreError, match="not open"):
        await store.write(lambda tx: tx.agents.insert(make.agent("late")))
    await asyncio.gather(*tasks, closing)

    await store.open()
    assert (await store.reads.store_figures()).agent_counts[make.agent().state] == 2500
    await store.close()


async def test_it_is_all_there_after_reopening(make_store, make):
    store = make_store()
    await store.open()
    incarnation = store.incarnation
    assert incarnation
    await store.write(lambda tx: tx.events.append(make.event()))
    await store.write(lambda tx: tx.agents.insert(make.agent()))
    await store.close()

    again = make_store()
    await again.open()
    assert again.incarnation == incarnation
    assert await again.reads.agent("digest") == make.agent()
    assert await again.write(lambda tx: tx.events.append(make.event())) == 2
    await again.close()
