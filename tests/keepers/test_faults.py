"""One schedule that can't be planned and a store that fails for ten seconds: every other goes on, what failed is made good."""

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from nightcrew.agent import agent, every
from nightcrew.domain.agent import AgentState
from nightcrew.domain.fire import FireOutcome
from nightcrew.testing.box import Box

START = datetime(2026, 1, 1, tzinfo=UTC)
CREW = 30


def ticking(name):
    """An agent that fires each second."""

    @agent(id=name, triggers=[every(seconds=1, overlap="buffer_all")])
    async def run() -> None: ...

    run.__name__ = name.replace("-", "_")
    return run


def locked(store, failing):
    """Another process holds the file."""
    return failing(store)


@asynccontextmanager
async def full(store, _failing):
    """The disk is full: SQLite gets no page more."""
    await store.write(lambda tx: tx._execute("PRAGMA max_page_count = 1").fetchone())
    yield
    await store.write(lambda tx: tx._execute("PRAGMA max_page_count = 1000000").fetchone())


def spoil(tx):
    """As time zone data that no longer knows a zone would have it: what was right once can't be planned now."""
    tx._execute(
        'UPDATE agents SET spec = replace(spec, \'"interval":{"every"\','
        ' \'"time_zone":"Mars/Base","interval":{"every"\') WHERE id = \'bad\''
    )
    tx.undone()


@pytest.mark.parametrize("fault", [locked, full])
async def test_every_other_schedule_goes_on_and_what_failed_is_made_good(fault, tmp_path, failing):
    crew = [ticking(f"good-{number}") for number in range(CREW)]
    async with Box(ticking("bad"), *crew, folder=tmp_path) as box:
        await box.advance(2.5)
        await box.engine.store.write(spoil)
        await box.advance(1)
        bad = await box.agent("bad")
        assert bad.state is AgentState.ERROR
        assert bad.state_reason.startswith("schedule_error: interval: time_zone: must be a time zone")
        async with fault(box.engine.store, failing):
            await box.advance(10)
            before = {
                one.agent_id for one in await box.fires() if one.nominal_time > START + timedelta(seconds=4)
            }
            assert len(before) < CREW, "the store did not fail"
        await box.advance(5)
        rows = await box.fires()
        for number in range(CREW):
            mine = [one for one in rows if one.agent_id == f"good-{number}"]
            # It was awake all the while: what was due is late, not missed.
            assert [one.nominal_time for one in mine] == [START + timedelta(seconds=n) for n in range(1, 19)]
            assert {(one.outcome, one.count) for one in mine} == {(FireOutcome.STARTED, 1)}
        assert len([one for one in rows if one.agent_id == "bad"]) == 2
        assert (await box.agent("bad")) == bad
        assert all(one.restarts == 0 for one in box.engine.components())
