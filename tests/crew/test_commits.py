"""What follows a commit: nothing before it, nothing without it, each wake-up once; and the signals themselves."""

import asyncio
import random

import pytest

from nightcrew.crew.bus import Bus, Endings, Signal
from nightcrew.crew.commits import After, Commits
from nightcrew.domain.errors import CommitUnknown, NotFound
from nightcrew.domain.event import NewEvent


def noted(after):
    after.work.append("a")
    after.changed.append("b")
    after.cancels.append("c")
    after.kills.append("e1")
    after.ended.append("e2")
    after.schedules.append("a")
    after.timers = after.logs = True


async def test_what_was_noted_follows_the_commit(desk):
    def unit(tx, after):
        noted(after)
        after.append(tx, NewEvent(type="t", source="/s", time=desk.now))
        return "done"

    before = {name: getattr(desk.bus, name).version for name in ("events", "logs", "timers", "schedules")}
    with desk.bus.endings.expect("e2") as ended:
        assert await desk.commits.run(unit) == "done"
        assert ended.done()
    assert desk.notebook.take() == [("work", "a"), ("changed", "b"), ("cancel", "c"), ("kill", "e1")]
    assert desk.bus.take_schedules() == {"a"}
    for name, version in before.items():
        assert getattr(desk.bus, name).version == version + 1, name


async def test_a_unit_that_fails_tells_nobody(desk):
    def unit(_tx, after):
        noted(after)
        raise NotFound("agent", "a")

    with pytest.raises(NotFound):
        await desk.commits.run(unit)
    assert desk.notebook.take() == []
    assert desk.bus.timers.version == 0


async def test_a_unit_that_is_run_again_notes_afresh(desk):
    """A neighbour that fails after it wrote makes the batch run again: what the first try noted is forgotten."""
    tries = []

    def good(tx, after):
        tries.append(1)
        after.work.append(f"try {len(tries)}")
        after.append(tx, NewEvent(type="t", source="/s", time=desk.now))

    def bad(tx, after):
        after.append(tx, NewEvent(type="t", source="/s", time=desk.now))
        raise NotFound("agent", "a")

    results = await asyncio.gather(desk.commits.run(good), desk.commits.run(bad), return_exceptions=True)
    assert [type(one) for one in results] == [type(None), NotFound]
    assert desk.notebook.take() == [("work", f"try {len(tries)}")]
    assert len(tries) >= 2
    assert len(await desk.events()) == 1


async def test_a_quiet_unit_pokes_nobody(desk):
    await desk.commits.run(lambda _tx, _after: None)
    assert [desk.bus.events.version, desk.bus.logs.version, desk.bus.timers.version] == [0, 0, 0]


class Doubtful:
    """A store whose commits take place, and which can't say so (ports.store.Store.write)."""

    def __init__(self, store):
        self.store = store

    async def write(self, unit):
        await self.store.write(unit)
        raise CommitUnknown("the disk did not answer")


async def test_a_commit_in_doubt_wakes_all_who_look_at_tables(desk):
    bus = Bus()
    with pytest.raises(CommitUnknown):
        await Commits(Doubtful(desk.store), bus, desk.ids).run(lambda _tx, after: noted(after))
    assert [bus.events.version, bus.logs.version, bus.timers.version] == [1, 1, 1]


def test_claiming_is_on_unless_it_was_said():
    assert After(str).claiming
    assert not After(str, claiming=False).claiming


async def test_a_signal_loses_no_poke_between_the_look_and_the_wait():
    signal = Signal()
    version = signal.version
    signal.poke()
    await asyncio.wait_for(signal.wait_past(version), 5)
    waits = [asyncio.create_task(signal.wait_past(signal.version)) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(one.done() for one in waits)
    waits[0].cancel()
    signal.poke()
    await asyncio.wait_for(asyncio.gather(*waits[1:]), 5)
    assert not signal._waiters


@pytest.mark.parametrize("seed", range(20))
async def test_a_signal_wakes_everyone_in_any_interleaving(seed):
    """Watchers look, then wait; a writer writes, then pokes: everyone sees everything in the end."""
    dice = random.Random(seed)
    signal, written, seen = Signal(), 0, [0] * 5

    async def watch(index):
        while seen[index] < 50:
            version = signal.version
            seen[index] = written
            for _ in range(dice.randrange(3)):
                await asyncio.sleep(0)
            if seen[index] < 50:
                await signal.wait_past(version)

    watchers = [asyncio.create_task(watch(index)) for index in range(5)]
    for _ in range(50):
        written += 1
        signal.poke()
        for _ in range(dice.randrange(4)):
            await asyncio.sleep(0)
    await asyncio.wait_for(asyncio.gather(*watchers), 5)
    assert seen == [50] * 5


async def test_endings_wake_only_those_who_wait_for_them_and_keep_nothing():
    endings = Endings()
    with endings.expect("a") as first, endings.expect("a") as second, endings.expect("b") as other:
        endings.ring("a")
        endings.ring("nobody waits")
        assert (first.done(), second.done(), other.done()) == (True, True, False)
    assert not endings._waiters


async def test_schedules_touched_are_taken_once():
    bus = Bus()
    bus.touch_schedules(["a", "b"])
    bus.touch_schedules(["b", "c"])
    assert bus.schedules.version == 2
    assert bus.take_schedules() == {"a", "b", "c"}
    assert bus.take_schedules() == set()
