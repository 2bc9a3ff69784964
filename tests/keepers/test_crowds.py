"""A crowd that is due at one instant: its times are computed ahead, and each of it still fires by itself."""

from datetime import UTC, datetime, timedelta

from nightcrew.agent import agent, cron
from nightcrew.keepers.foresight import CROWD
from nightcrew.services.once import Request
from nightcrew.testing.box import Box

START = datetime(2026, 1, 1, tzinfo=UTC)


def crowd(count):
    """Agents that are due at the same minutes."""
    made = []
    for number in range(count):

        @agent(id=f"a{number}", triggers=[cron("*/10 * * * *")])
        async def run() -> None: ...

        run.__name__ = f"run_{number}"
        made.append(run)
    return made


async def test_a_crowd_fires_at_its_instant_each_time():
    async with Box(*crowd(CROWD + 10)) as box:
        foreseen = []
        taken = box.engine.scheduler._foresight.take

        def take(keys):
            found = taken(keys)
            foreseen.extend(found)
            return found

        box.engine.scheduler._foresight.take = take
        await box.advance(minutes=25)
        assert len(foreseen) == 2 * (CROWD + 10)
        fires = await box.fires()
        assert sorted({one.actual_time for one in fires}) == [START + timedelta(minutes=n) for n in (10, 20)]
        assert len(fires) == 2 * (CROWD + 10)


async def test_what_changed_after_it_was_foreseen_fires_as_it_is_now():
    async with Box(*crowd(CROWD + 10)) as box:
        await box.advance(minutes=9, seconds=59.5)
        triggers = [{"id": "cron", "schedule": {"cron": {"expression": "*/11 * * * *"}}}]
        await box.services.agents.update(
            "a7",
            {"spec": {"triggers": triggers}},
            paths=["spec.triggers"],
            etag="",
            request=Request(method="test"),
        )
        await box.advance(minutes=2)
        assert [one.nominal_time.minute for one in await box.fires("a7")] == [11]
        assert [one.nominal_time.minute for one in await box.fires("a8")] == [10]


async def test_a_store_that_fails_while_times_are_computed_ahead_delays_nobody(failing):
    async with Box(*crowd(CROWD + 10)) as box:
        await box.advance(minutes=9, seconds=58.5)
        async with failing(box.engine.store):
            await box.advance(1.2)
        await box.advance(minutes=2)
        fires = await box.fires()
        assert {one.actual_time for one in fires} == {START + timedelta(minutes=10)}
        assert len(fires) == CROWD + 10
        assert all(one.restarts == 0 for one in box.engine.components())
