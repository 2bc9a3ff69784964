"""Skips: a time that was named in advance does not fire, has its row, and nothing else changes."""

from datetime import timedelta
from uuid import uuid4

import pytest

from nightcrew.agent import agent, every
from nightcrew.domain.errors import FailedPrecondition, InvalidArgument, NotFound
from nightcrew.domain.fire import FireOutcome
from nightcrew.domain.lifecycle.agent import AgentEvent
from nightcrew.domain.spec.agent import Manifest
from nightcrew.domain.values import decode
from nightcrew.services.once import Request
from nightcrew.services.skips import NominalTime
from nightcrew.testing.box import Box

MINUTE = timedelta(minutes=1)


@agent(triggers=[every(minutes=1)])
async def minutely() -> int:
    return 1


@agent(triggers=[every(minutes=1, catch_up="all")])
async def all_of_them() -> int:
    return 1


@agent(triggers=[every(minutes=1, max_fires=2)])
async def twice() -> int:
    return 1


@agent(triggers=[every(minutes=10, jitter=300)])
async def late() -> int:
    return 1


class Skipping:
    """A box with shorthands; times are minutes since its clock began."""

    def __init__(self, box, agent_id):
        self.box, self.id = box, agent_id
        self.start = box.clock.now()

    def named(self, minute, trigger="interval"):
        return NominalTime(
            agent_id=self.id, trigger_id=trigger, nominal_time=self.start + timedelta(minutes=minute)
        )

    async def skip(self, minute, *, reason="", request_id="", trigger="interval"):
        request = Request(method="skip", request_id=request_id, digest=f"{minute}")
        return await self.box.services.skips.skip(self.named(minute, trigger), reason=reason, request=request)

    async def unskip(self, minute, *, request_id=""):
        request = Request(method="unskip", request_id=request_id, digest=f"{minute}")
        await self.box.services.skips.unskip(self.named(minute), request=request)

    async def ledger(self):
        """(first minute, last minute, count, outcome) of every row."""
        return [
            (
                self.minute(one.nominal_time),
                self.minute(one.last_nominal_time),
                one.count,
                str(one.outcome)[8:],
            )
            for one in await self.box.fires(self.id)
        ]

    def minute(self, time):
        return round((time - self.start) / MINUTE)

    async def outcomes(self):
        return [outcome for *_, outcome in await self.ledger()]

    async def command(self, event):
        await self.box.services.agents.command(event, self.id, reason="", request=Request(method="test"))
        await self.box.settle()


async def test_a_skipped_time_does_not_fire_and_the_others_do():
    async with Box(minutely) as box:
        it = Skipping(box, "minutely")
        row = await it.skip(2, reason="a holiday")
        assert (row.nominal_time, row.outcome) == (it.named(2).nominal_time, FireOutcome.SKIPPED_BY_REQUEST)
        assert await it.ledger() == []
        await box.advance(minutes=3)
        assert await it.outcomes() == ["STARTED", "SKIPPED_BY_REQUEST", "STARTED"]
        (skipped,) = [one for one in await box.fires() if one.outcome is FireOutcome.SKIPPED_BY_REQUEST]
        assert (skipped.reason, skipped.execution_id) == ("a holiday", "")
        assert len(await box.executions()) == 2


async def test_previews_and_the_next_fire_know_of_it():
    async with Box(minutely) as box:
        it = Skipping(box, "minutely")
        await it.skip(1, reason="why")
        await it.skip(2)
        previewed = await box.services.schedules.preview_saved("minutely", "interval", after=None, count=3)
        assert [one.note for one in previewed] == ["skipped by request: why", "skipped by request", ""]
        _, status = await box.services.status.of("minutely")
        assert [it.minute(one.time) for one in status.next_fires] == [3]
        await it.unskip(1)
        _, status = await box.services.status.of("minutely")
        assert [it.minute(one.time) for one in status.next_fires] == [1]


async def test_taken_back_it_fires():
    async with Box(minutely) as box:
        it = Skipping(box, "minutely")
        await it.skip(1)
        await it.skip(1, reason="said twice")
        await it.unskip(1)
        with pytest.raises(NotFound, match="2026-01-01T00:01:00Z"):
            await it.unskip(1)
        await box.advance(minutes=1)
        assert await it.outcomes() == ["STARTED"]


async def test_what_cannot_be_skipped_is_refused():
    async with Box(minutely) as box:
        it = Skipping(box, "minutely")
        with pytest.raises(InvalidArgument, match=r"nominal_time: .*00:01:00Z and .*00:02:00Z"):
            await it.skip(1.5)
        with pytest.raises(NotFound, match="trigger 'minutely/nothing'"):
            await it.skip(1, trigger="nothing")
        await box.advance(minutes=1)
        for minute in (0, 1, -5):
            with pytest.raises(FailedPrecondition) as caught:
                await it.skip(minute)
            assert caught.value.code == "fire_decided"
        await it.skip(2)
        await box.advance(minutes=1)
        with pytest.raises(FailedPrecondition, match="became SKIPPED_BY_REQUEST") as caught:
            await it.unskip(2)
        assert caught.value.code == "fire_decided"
        await it.skip(3)
        with pytest.raises(InvalidArgument, match="request_id"):
            await it.skip(3, request_id="no uuid")


async def test_a_repeated_request_gets_the_first_answer_even_when_it_is_due():
    async with Box(minutely) as box:
        it, request_id, other = Skipping(box, "minutely"), str(uuid4()), str(uuid4())
        first = await it.skip(2, reason="once", request_id=request_id)
        await it.skip(3)
        await it.unskip(3, request_id=other)
        await box.advance(minutes=4)
        again = await it.skip(2, request_id=request_id)
        assert (again.nominal_time, again.outcome, again.reason) == (
            first.nominal_time,
            first.outcome,
            "once",
        )
        await it.unskip(3, request_id=other)
        with pytest.raises(InvalidArgument, match="used for another request"):
            await it.skip(9, request_id=request_id)


async def test_a_time_that_is_due_later_by_jitter_can_be_skipped_until_then():
    async with Box(late) as box:
        it = Skipping(box, "late")
        await box.advance(minutes=10)
        assert await it.ledger() == []
        await it.skip(10)
        await box.advance(minutes=5)
        assert await it.outcomes() == ["SKIPPED_BY_REQUEST"]


async def test_a_skipped_time_does_not_count_for_max_fires():
    async with Box(twice) as box:
        it = Skipping(box, "twice")
        await it.skip(1)
        await box.advance(minutes=9)
        assert await it.outcomes() == ["SKIPPED_BY_REQUEST", "STARTED", "STARTED"]


async def test_another_schedule_starts_without_skips_and_the_same_one_keeps_them():
    async with Box(minutely) as box:
        it = Skipping(box, "minutely")
        await it.skip(2)
        await it.skip(3)
        now = await box.agent("minutely")
        spec = now.spec.to_json()
        update = box.services.agents.update

        async def change(**trigger):
            triggers = [{**spec["triggers"][0], **trigger}]
            await update(
                "minutely",
                {"spec": {**spec, "triggers": triggers}},
                paths=["spec.triggers"],
                etag="",
                request=Request(method="test"),
            )
            await box.settle()

        await change(input={"a": 1})
        await box.advance(minutes=2)
        assert await it.outcomes() == ["STARTED", "SKIPPED_BY_REQUEST"]
        await change(schedule={"interval": {"every": "30s"}})
        await change()
        await box.advance(minutes=1)
        assert (await it.outcomes())[-1] == "STARTED"
        assert Manifest.parse({"spec": spec}).spec == (await box.agent("minutely")).spec


async def test_in_an_outage_and_while_the_agent_is_not_active_it_has_its_row_too(tmp_path):
    async with Box(minutely, folder=tmp_path) as box:
        it, clock = Skipping(box, "minutely"), box.clock
        await it.skip(2)
        await it.skip(5)
        await it.skip(8)
        await it.command(AgentEvent.PAUSE)
        await box.advance(minutes=3.5)
        await it.command(AgentEvent.RESUME)
        await box.settle()
    await clock.advance(300)
    async with Box(minutely, folder=tmp_path, clock=clock) as box:
        it.box = box
        assert await it.ledger() == [
            (1, 1, 1, "NOT_ACTIVE"),
            (2, 2, 1, "SKIPPED_BY_REQUEST"),
            (3, 3, 1, "NOT_ACTIVE"),
            (4, 4, 1, "MISSED_CATCH_UP"),
            (5, 5, 1, "SKIPPED_BY_REQUEST"),
            (6, 6, 1, "MISSED_CATCH_UP"),
            # The last one was to be left out: the one before it makes the outage good.
            (7, 7, 1, "STARTED"),
            (8, 8, 1, "SKIPPED_BY_REQUEST"),
        ]
        missed = [
            one
            for one in await box.engine.store.reads.events_after(0, limit=1000)
            if one.type == "nightcrew.fire.missed"
        ]
        (data,) = [decode(one.data) for one in missed]
        assert (data["nominal_time"], data["last_nominal_time"]) == (
            "2026-01-01T00:04:00Z",
            "2026-01-01T00:06:00Z",
        )
        assert data["count"] == 2


async def test_an_agent_in_all_mode_catches_up_all_but_that(tmp_path):
    async with Box(all_of_them, folder=tmp_path) as box:
        it, clock = Skipping(box, "all-of-them"), box.clock
        await it.skip(2)
    await clock.advance(190)
    async with Box(all_of_them, folder=tmp_path, clock=clock) as box:
        it.box = box
        await box.advance(seconds=1)
        assert await it.outcomes() == ["STARTED", "SKIPPED_BY_REQUEST", "STARTED"]
