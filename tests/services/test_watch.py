"""Watches read by tokens: whatever is torn off and resumed, nothing is missed, nothing told twice, and an end ends it."""

import asyncio
import contextlib
import random

import pytest

from nightcrew.agent import Retry, agent
from nightcrew.crew.bus import Signal
from nightcrew.domain.errors import InvalidArgument, NotFound, Unavailable
from nightcrew.domain.event import Event
from nightcrew.domain.execution import ExecutionState
from nightcrew.domain.lifecycle.agent import AgentEvent
from nightcrew.services.once import Request
from nightcrew.services.watch_items import AgentSelection, Gap, Heartbeat, Logged, Snapshot
from nightcrew.testing.box import Box

BY_TEST = Request(method="test")


@agent(retry=Retry(max_attempts=3, initial_backoff=1, jitter=False))
async def talks(ctx, words: int = 3):
    for number in range(words):
        word = f"{ctx.attempt}.{number}"
        ctx.log.info(word)
        if number % 2:
            await asyncio.sleep(0)
    if ctx.attempt < 2:
        raise OSError("once more")
    return "done"


@agent(max_concurrency=0)
async def quick(ctx, n: int = 0):
    word = f"n {n}"
    ctx.log.info(word)
    return n


class Watcher:
    """Reads a watch, tears it off at random, goes on from the last token, and writes down what it was told."""

    def __init__(self, open_, dice, *, tear=0.3):
        self.open, self.dice, self.tear = open_, dice, tear
        self.items, self.token, self.torn = [], "", 0

    async def run(self, *, until=None):
        while True:
            stream = self.open(self.token)
            async with contextlib.aclosing(stream):
                async for batch in stream:
                    self.items += batch.items
                    self.token = batch.resume_token
                    if until is not None and until(self.items):
                        return
                    if self.dice.random() < self.tear:
                        self.torn += 1
                        break
                else:
                    return
            for _ in range(self.dice.randrange(5)):
                await asyncio.sleep(0)

    def events(self):
        return [one.sequence for one in self.items if isinstance(one, Event)]

    def logs(self):
        return [one.entry.message for one in self.items if isinstance(one, Logged)]


def execution_watch(box, execution_id, *, closing=None):
    return lambda token: box.services.watch.execution(
        execution_id, include_snapshot=False, resume_token=token, closing=closing or Signal()
    )


def agents_watch(box, *, closing=None, snapshot=False, **selection):
    return lambda token: box.services.watch.agents(
        AgentSelection(**selection),
        include_snapshot=snapshot,
        resume_token=token,
        closing=closing or Signal(),
    )


async def all_events(box):
    found, sequence = [], 0
    while events := await box.engine.store.reads.events_after(sequence, limit=1000):
        found += events
        sequence = events[-1].sequence
    return found


@pytest.mark.parametrize("seed", range(10))
async def test_watching_an_execution_misses_and_repeats_nothing_and_ends_with_it(tmp_path, seed):
    dice = random.Random(seed)
    async with Box(talks, quick, folder=tmp_path) as box:
        box.engine.commits.claiming = False
        run = await box.trigger("talks", {"words": dice.choice([0, 3, 40])})
        begin = (await box.engine.store.reads.event_bounds())[1]
        watchers = [Watcher(execution_watch(box, run.id), dice) for _ in range(4)]
        tasks = [asyncio.create_task(one.run()) for one in watchers]
        await box.settle()
        box.engine.commits.claiming = True
        box.engine.directory.work("talks")
        for number in range(20):
            await box.trigger("quick", {"n": number})  # others' events and entries are none of theirs
        assert (await box.ended(run.id)).state is ExecutionState.SUCCEEDED
        late = Watcher(execution_watch(box, run.id), dice, tear=0)
        tasks.append(asyncio.create_task(late.run()))
        await asyncio.wait_for(asyncio.gather(*tasks), 20)
        mine = [one.sequence for one in await all_events(box) if one.execution_id == run.id]
        said = [one.message for one in await box.logs(run.id)]
        for watcher in watchers:
            assert watcher.events() == [one for one in mine if one > begin]
            assert watcher.logs() == said
            assert isinstance(watcher.items[0], Snapshot)
            assert sum(isinstance(one, Snapshot) for one in watcher.items) == 1
        # Who comes after the end sees how it is and what it said, and the stream ends.
        assert (late.events(), late.logs()) == ([], said)
        assert late.items[0].of.state is ExecutionState.SUCCEEDED
        assert sum(one.torn for one in watchers) > 0


@pytest.mark.parametrize("words", [0, 2500])
async def test_a_watcher_that_was_away_for_the_end_is_told_of_it(tmp_path, words):
    async with Box(talks, quick, folder=tmp_path) as box:
        box.engine.commits.claiming = False
        run = await box.trigger("talks", {"words": words})
        stream = execution_watch(box, run.id)("")
        first = await anext(stream)
        await stream.aclose()
        box.engine.commits.claiming = True
        box.engine.directory.work("talks")
        # Much happens to others before it ends: its end is not in the first portion that is read.
        await asyncio.gather(*(box.trigger("quick") for _ in range(400)))
        await box.ended(run.id)
        watcher = Watcher(execution_watch(box, run.id), random.Random(1), tear=0)
        watcher.token = first.resume_token
        await asyncio.wait_for(watcher.run(), 20)
        assert len(watcher.logs()) == 2 * words
        kinds = [one.type.rsplit(".", 1)[1] for one in watcher.items if isinstance(one, Event)]
        assert kinds == ["started", "retrying", "queued", "started", "succeeded"]


@pytest.mark.parametrize("seed", range(6))
async def test_watching_agents_misses_and_repeats_nothing(tmp_path, seed):
    dice = random.Random(seed)
    async with Box(talks, quick, folder=tmp_path) as box:
        begin = (await box.engine.store.reads.event_bounds())[1]

        def last(items):
            return any(isinstance(one, Event) and one.type == "nightcrew.agent.stopped" for one in items)

        both = Watcher(agents_watch(box), dice)
        one = Watcher(agents_watch(box, ids=frozenset({"quick"})), dice)
        tasks = [asyncio.create_task(watcher.run(until=last)) for watcher in (both, one)]
        await box.settle()
        for number in range(60):
            await box.trigger(dice.choice(["talks", "quick"]), {})
            if number % 20 == 0:
                await box.services.agents.command(AgentEvent.PAUSE, "talks", reason="", request=BY_TEST)
                await box.services.agents.command(AgentEvent.RESUME, "talks", reason="", request=BY_TEST)
        await box.services.agents.command(AgentEvent.STOP, "quick", reason="", request=BY_TEST)
        await asyncio.wait_for(asyncio.gather(*tasks), 20)
        log = [event for event in await all_events(box) if event.sequence > begin]
        stopped = next(event.sequence for event in log if event.type == "nightcrew.agent.stopped")
        mine = [event.sequence for event in log if event.agent_id == "quick" and event.sequence <= stopped]
        assert one.events() == mine
        assert [s for s in both.events() if s <= stopped] == [
            e.sequence for e in log if e.sequence <= stopped
        ]


async def test_a_heartbeat_comes_when_nothing_else_does_and_its_token_goes_on(tmp_path):
    async with Box(quick, folder=tmp_path) as box:
        stream = agents_watch(box)("")
        # The token it begins with comes at once: one that is torn off before the first event misses nothing.
        assert [type(one) for one in (await asyncio.wait_for(anext(stream), 5)).items] == [Heartbeat]
        first = asyncio.create_task(anext(stream))
        await box.advance(14.9)
        assert not first.done()
        await box.advance(0.2)
        batch = await asyncio.wait_for(first, 5)
        assert [type(one) for one in batch.items] == [Heartbeat]
        await stream.aclose()
        await box.run("quick")
        again = agents_watch(box)(batch.resume_token)
        found = await asyncio.wait_for(anext(again), 5)
        assert found.items[0].type == "nightcrew.execution.queued"
        await again.aclose()


async def test_a_token_of_what_is_no_longer_kept_gives_a_gap_then_what_is_there(tmp_path):
    async with Box(quick, folder=tmp_path) as box:
        stream = agents_watch(box)("")
        pending = asyncio.create_task(anext(stream))
        await box.run("quick")
        token = (await asyncio.wait_for(pending, 5)).resume_token
        await stream.aclose()
        for _ in range(5):
            await box.run("quick")
        oldest, newest = await box.engine.store.reads.event_bounds()
        await box.engine.store.write(
            lambda tx: tx._execute("DELETE FROM events WHERE sequence <= ?", (newest - 3,)) and None
        )
        again = agents_watch(box)(token)
        gap = (await asyncio.wait_for(anext(again), 5)).items
        assert [type(one) for one in gap] == [Gap]
        assert gap[0].to_sequence == newest - 3
        events = (await asyncio.wait_for(anext(again), 5)).items
        assert [one.sequence for one in events] == [newest - 2, newest - 1, newest]
        await again.aclose()
        assert oldest == 1


async def test_a_token_of_another_history_is_a_gap_and_no_token_a_fault(tmp_path):
    async with Box(quick, folder=tmp_path / "one") as box:
        stream = agents_watch(box)("")
        pending = asyncio.create_task(anext(stream))
        await box.run("quick")
        token = (await asyncio.wait_for(pending, 5)).resume_token
        await stream.aclose()
    async with Box(quick, folder=tmp_path / "two", seed=2) as box:
        other = agents_watch(box)(token)
        assert isinstance((await asyncio.wait_for(anext(other), 5)).items[0], Gap)
        await other.aclose()
        for bad in ("no token", "e30", "8J+YgA"):
            with pytest.raises(InvalidArgument) as caught:
                await anext(agents_watch(box)(bad))
            assert caught.value.violations[0].field == "resume_token"
        with pytest.raises(NotFound):
            await anext(execution_watch(box, "nobody")(""))


async def test_tokens_survive_a_restart(tmp_path):
    async with Box(quick, folder=tmp_path) as box:
        stream = agents_watch(box)("")
        await asyncio.wait_for(anext(stream), 5)  # the token it begins with
        pending = asyncio.create_task(anext(stream))
        await box.run("quick")
        batch = await asyncio.wait_for(pending, 5)
        await stream.aclose()
        seen = [one.sequence for one in batch.items]
    async with Box(quick, folder=tmp_path) as box:
        await box.run("quick")
        again = Watcher(agents_watch(box), random.Random(3), tear=0)
        again.token = batch.resume_token
        newest = (await box.engine.store.reads.event_bounds())[1]
        await asyncio.wait_for(again.run(until=lambda items: items[-1].sequence == newest), 10)
        log = [one.sequence for one in await all_events(box)]
        assert seen + again.events() == [one for one in log if one >= seen[0]]


async def test_streams_end_when_the_server_closes(tmp_path):
    async with Box(quick, talks, folder=tmp_path) as box:
        box.engine.commits.claiming = False
        run = await box.trigger("talks")
        closings = Signal(), Signal()
        streams = (
            agents_watch(box, closing=closings[0])(""),
            execution_watch(box, run.id, closing=closings[1])(""),
        )
        for stream, closing in zip(streams, closings, strict=True):

            async def drained(stream=stream):
                async for _ in stream:
                    pass

            task = asyncio.create_task(drained())
            await box.settle()
            assert not task.done()
            closing.poke()
            with pytest.raises(Unavailable):
                await asyncio.wait_for(task, 5)
