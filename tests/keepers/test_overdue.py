"""Fires that are overdue: a schedule that has silently stopped shows in its agent's status."""

import pytest

from nightcrew.agent import agent, every
from nightcrew.domain.lifecycle.agent import AgentEvent
from nightcrew.services.once import Request
from nightcrew.testing.box import Box


@agent(triggers=[every(seconds=30), every(minutes=2), every(seconds=20, max_fires=2)])
async def ticking() -> None: ...


async def overdue(box):
    _, status = await box.services.status.of("ticking")
    return status.overdue_count


@pytest.mark.parametrize("hold", [None, AgentEvent.PAUSE])
async def test_what_nobody_looks_at_is_counted_after_a_minute(hold):
    async with Box(ticking) as box:
        await box.advance(minutes=5)
        assert await overdue(box) == 0
        box.engine.scheduler.pause()
        await box.advance(seconds=60)
        assert await overdue(box) == 0
        await box.advance(minutes=4)
        # Of the minutes 5 to 9: eight of the first schedule, at 6 and 8 of the second, none of the exhausted one.
        assert await overdue(box) == 10
        if hold is not None:
            await box.services.agents.command(hold, "ticking", reason="", request=Request(method="test"))
            assert await overdue(box) == 0
