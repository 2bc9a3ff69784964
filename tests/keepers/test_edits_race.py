"""Edits and commands of schedules that fire, while the scheduler is late: each time is fired by the version that stood.

The clock's timers are late here, as real ones are, so that edits come between a time and the look at it.
"""

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from nightcrew.agent import agent, every
from nightcrew.domain.execution import ExecutionState
from nightcrew.domain.fire import FireOutcome
from nightcrew.domain.lifecycle.agent import AgentEvent
from nightcrew.services.once import Request
from nightcrew.testing.box import Box
from nightcrew.testing.clock import ManualClock

START = datetime(2026, 1, 1, tzinfo=UTC)
BY_TEST = Request(method="test")


class LateClock(ManualClock):
    """A clock whose timers fire up to so many seconds late."""

    def __init__(self, seed, *, late):
        super().__init__()
        self.late = late
        self._dice = random.Random(seed)

    def call_later(self, seconds, callback):
        return super().call_later(seconds + self._dice.random() * self.late, callback)


def versioned(**options):
    """An agent whose trigger's input says which version of it fired."""

    @agent(id="digest", triggers=[every(seconds=0.1, input={"version": 0})], **options)
    async def run(version: int): ...

    return run


async def edit(box, version, *, every="0.1s", **more):
    trigger = {"id": "interval", "input": {"version": version}, "schedule": {"interval": {"every": every}}}
    trigger["schedule"] |= more
    await box.services.agents.update(
        "digest", {"spec": {"triggers": [trigger]}}, paths=["spec.triggers"], etag="", request=BY_TEST
    )


async def command(box, event):
    await box.services.agents.command(event, "digest", reason="", request=BY_TEST)


def seconds_after(time):
    return round((time - START).total_seconds(), 3)


async def ledger(box):
    """(seconds, outcome, version of the execution) of each row."""
    ran = {one.id: one for one in await box.executions("digest")}
    return [
        (
            seconds_after(row.nominal_time),
            row.outcome.removeprefix("OUTCOME_"),
            ran[row.execution_id].input if row.execution_id else "",
        )
        for row in await box.fires("digest")
    ]


@pytest.mark.parametrize("seed", range(4))
async def test_an_edit_fires_what_is_due_by_the_version_that_stood(seed, tmp_path):
    """Two edits a second of two schedules that share every other time, looked at up to 0.4 s late."""
    dice = random.Random(seed)
    async with Box(versioned(overlap="buffer_all"), folder=tmp_path, clock=LateClock(seed, late=0.4)) as box:
        stands = [(START, 0, 100)]
        for version in range(1, 40):
            await box.advance(dice.uniform(0.05, 0.9))
            step = dice.choice([100, 200, 150])
            await edit(box, version, every=f"{step / 1000}s")
            stands.append((box.clock.now(), version, step))
            answered = {one.id for one in await box.executions("digest")}
            await box.settle()
            for one in await box.executions("digest"):
                assert one.id in answered or one.agent_generation == version + 1, "an old version fired"
        box.clock.late = 0
        await box.advance(2)
        end = box.clock.now()
        expected = [
            (seconds_after(time), "STARTED", f'{{"version":{version}}}')
            for (since, version, step), (until, *_) in pairwise([*stands, (end, 0, 0)])
            for number in range(1000 * 60 // step)
            if since < (time := START + timedelta(milliseconds=number * step)) <= until
        ]
        assert await ledger(box) == expected
        executions = await box.executions("digest")
        assert {one.state for one in executions} == {ExecutionState.SUCCEEDED}
        assert len(executions) == len(expected)


@pytest.mark.parametrize("event", [AgentEvent.PAUSE, AgentEvent.STOP])
async def test_a_command_is_done_after_what_was_due_before_it(event, tmp_path, failing):
    async with Box(versioned(overlap="buffer_all"), folder=tmp_path) as box:
        await box.advance(0.25)
        async with failing(box.engine.store):
            await box.advance(0.3)
        await command(box, event)
        await box.settle()
        await box.advance(1)
        start = AgentEvent.RESUME if event is AgentEvent.PAUSE else AgentEvent.START
        await command(box, start)
        await box.advance(0.1)
        rows = [
            (seconds_after(one.nominal_time), one.outcome, one.count) for one in await box.fires("digest")
        ]
        given = FireOutcome.STARTED if event is AgentEvent.PAUSE else FireOutcome.BUFFER_DROPPED
        assert rows == [
            (0.1, FireOutcome.STARTED, 1),
            (0.2, FireOutcome.STARTED, 1),
            (0.3, given, 1),
            (0.4, given, 1),
            (0.5, given, 1),
            (0.6, FireOutcome.NOT_ACTIVE, 10),
            (1.6, FireOutcome.STARTED, 1),
        ]
        # What a pause finds due has been started or waits for the end of the pause; a stop starts nothing.
        started = [one for one in await box.executions("digest") if one.started]
        assert len(started) == (6 if event is AgentEvent.PAUSE else 3)


async def test_a_stop_starts_nothing_that_was_due(tmp_path, failing):
    ran = []

    @agent(id="digest", triggers=[every(seconds=1)])
    async def digest():
        ran.append(1)

    async with Box(digest, folder=tmp_path) as box:
        await box.advance(0.5)
        async with failing(box.engine.store):
            await box.advance(1)
        await command(box, AgentEvent.STOP)
        await box.settle()
        (only,) = await box.executions("digest")
        assert (only.state, only.started, ran) == (ExecutionState.CANCELLED, False, [])


async def test_more_than_one_transaction_should_hold_is_told_as_missed(tmp_path):
    """Half an hour of ten a second that nobody looked at, and then an edit."""
    async with Box(versioned(overlap="skip"), folder=tmp_path, clock=LateClock(0, late=1e9)) as box:
        await box.advance(1800)
        before = len(await box.fires("digest"))
        await edit(box, 1, every="0.2s")
        rows = await box.fires("digest")
        assert sum(one.count for one in rows) == 18_000
        assert (rows[-1].outcome, rows[-1].count) == (FireOutcome.MISSED_CATCH_UP, 18_000 - before - 10_000)


@pytest.mark.parametrize("more", [{"max_fires": 1000}, {"time_zone": "Europe/Berlin"}])
async def test_a_time_that_is_due_after_the_edit_is_the_new_versions(more, tmp_path):
    """It lies before the edit, but its jitter reaches past it: what is due decides, and it is not lost."""
    hourly = {"every": "3600s", "jitter": "3600s"}
    async with Box(versioned(), folder=tmp_path) as box:
        await edit(box, 1, **hourly)
        await box.advance(hours=24)
        times = [one.nominal_time for one in await box.fires("digest")]
        for version in range(2, 50):
            await box.advance(minutes=30)
            await edit(box, version, **hourly, start_time=f"2025-01-01T00:00:{version:02}Z", **more)
        await box.advance(hours=2)
        rows = await box.fires("digest")
        assert [one.nominal_time for one in rows][: len(times)] == times
        assert [seconds_after(one.nominal_time) for one in rows] == [3600 * hour for hour in range(len(rows))]
        assert {one.outcome for one in rows} == {FireOutcome.STARTED}
        assert rows[-1].nominal_time >= box.clock.now() - timedelta(hours=2)


@pytest.mark.parametrize(("catch_up", "ran"), [("none", []), ("latest", [4]), ("all", [2, 3, 4])])
async def test_a_file_that_changed_in_an_outage_leaves_what_was_missed_to_the_old_rules(
    catch_up, ran, tmp_path
):
    """What was due before the edit is the old version's, its catch-up too; what runs it is there today."""
    times = []

    def digest(trigger):
        @agent(id="digest", triggers=[trigger])
        async def digest(ctx):
            times.append(seconds_after(ctx.trigger.nominal_time) / 3600)

        return digest

    hourly = {"catch_up": catch_up, "overlap": "buffer_all"}
    async with Box(digest(every(hours=1, **hourly)), folder=tmp_path) as box:
        await box.advance(hours=1.5)
    clock = ManualClock(START + timedelta(hours=4.25))
    async with Box(digest(every(hours=1, phase=1800, **hourly)), folder=tmp_path, clock=clock) as box:
        assert times == [1, *ran]
        await box.advance(hours=1)
        assert times == [1, *ran, 4.5]
        rows = await box.fires("digest")
        assert sum(one.count for one in rows) == 5
        assert {one.agent_generation for one in await box.executions("digest")} == {1, 2}


async def test_an_edit_mends_a_schedule_that_can_not_be_planned(tmp_path):
    async with Box(versioned(), folder=tmp_path, clock=LateClock(0, late=1e9)) as box:
        await box.advance(5)

        def spoil(tx):
            tx._execute(
                'UPDATE agents SET spec = replace(spec, \'"interval":{"every"\','
                ' \'"time_zone":"Mars/Base","interval":{"every"\')'
            )
            tx.undone()

        await box.engine.store.write(spoil)
        assert (await box.agent("digest")).spec.triggers[0].schedule.time_zone == "Mars/Base"
        await command(box, AgentEvent.PAUSE)
        await edit(box, 1, every="0.2s")
        await command(box, AgentEvent.RESUME)
        box.clock.late = 0
        await box.advance(0.3)
        assert [seconds_after(one.nominal_time) for one in await box.fires("digest")] == [5.2]
