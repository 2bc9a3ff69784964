"""The log writer: entries are gathered, written in order under their lease, kept while the store fails, and bounded."""

import asyncio

import pytest

from nightcrew.crew.log_writer import GATHER, MAX_PENDING, LogWriter
from nightcrew.domain.errors import StoreError
from nightcrew.domain.log import LogStream, NewLogEntry, Severity


@pytest.fixture
async def writer(desk):
    await desk.agent(max_concurrency=0)
    await desk.admit("a", "one", "two")
    return LogWriter(desk.commits, desk.clock)


def entries(desk, *messages):
    return [NewLogEntry(time=desk.now, message=message) for message in messages]


async def said(desk, name="one"):
    return [one.message for one in await desk.store.reads.logs_after(name, 0, limit=100_000)]


async def test_a_moments_entries_of_all_runs_are_one_unit(writer, desk):
    one, two = writer.open("one", 1), writer.open("two", 1)
    version = desk.bus.logs.version
    one.write(entries(desk, "1", "2"))
    two.write(entries(desk, "3"))
    one.write(entries(desk, "4"))
    commits = desk.store.commits
    await writer.flush()
    assert desk.store.commits == commits + 1
    assert (await said(desk), await said(desk, "two")) == (["1", "2", "4"], ["3"])
    assert desk.bus.logs.version == version + 1
    await writer.flush()  # there is nothing more
    assert desk.store.commits == commits + 1


async def test_entries_of_a_lost_lease_are_dropped(writer, desk):
    late = writer.open("one", 7)
    late.write(entries(desk, "late"))
    version = desk.bus.logs.version
    await writer.flush()
    assert await said(desk) == []
    assert desk.bus.logs.version == version


async def test_what_the_store_refused_is_kept_in_its_order(writer, desk, failing):
    log = writer.open("one", 1)
    log.write(entries(desk, "1"))
    await desk.store.close()
    await desk.store.open()  # with the short patience
    async with failing(desk.store):
        writing = asyncio.create_task(writer.flush())
        await asyncio.sleep(0)
        log.write(entries(desk, "2"))
        with pytest.raises(StoreError):
            await writing
        log.write(entries(desk, "3"))
        with pytest.raises(StoreError):
            await writer.flush()
    await writer.flush()
    assert await said(desk) == ["1", "2", "3"]


async def test_serving_writes_after_a_moment_and_goes_on_after_a_failure(writer, desk, failing):
    await desk.store.close()
    await desk.store.open()
    ready = asyncio.Event()
    life = asyncio.create_task(writer.serve(ready.set))
    await ready.wait()
    log = writer.open("one", 1)

    async def turn(seconds):
        await desk.clock.advance(seconds)
        while desk.store.busy:
            await asyncio.sleep(0.001)
        await desk.clock.settle()

    log.write(entries(desk, "1"))
    await turn(GATHER / 2)
    assert await said(desk) == []
    await turn(GATHER / 2)
    assert await said(desk) == ["1"]
    async with failing(desk.store):
        log.write(entries(desk, "2"))
        await turn(GATHER)
    await turn(1)
    await turn(GATHER)
    assert await said(desk) == ["1", "2"]
    life.cancel()
    await asyncio.gather(life, return_exceptions=True)


async def test_what_is_taken_with_the_outcome_is_not_written_twice(writer, desk):
    log = writer.open("one", 1)
    log.write(entries(desk, "1"))
    taken = log.take()
    await writer.flush()
    assert await said(desk) == []
    log.put_back(taken)
    log.write(entries(desk, "2"))
    assert [one.message for one in log.take()] == ["1", "2"]
    log.put_back([])
    assert log.take() == []


async def test_what_comes_faster_than_it_can_be_written_is_counted_and_named(writer, desk):
    log = writer.open("one", 1)
    log.write(entries(desk, *["x"] * (MAX_PENDING - 1)))
    log.write(entries(desk, "fits", "too much"))
    log.write(entries(desk, "too much"))
    await writer.flush()
    found = await desk.store.reads.logs_after("one", 0, limit=100_000)
    assert len(found) == MAX_PENDING + 1
    assert found[-2].message == "fits"
    mark = found[-1]
    assert mark.message.startswith("2 log entries left out")
    assert (mark.severity, mark.stream) == (Severity.WARNING, LogStream.LOG)
    log.write(entries(desk, "after"))
    assert [one.message for one in log.take()] == ["after"]
