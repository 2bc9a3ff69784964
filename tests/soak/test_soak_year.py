"""A year of virtual time: 200 random schedules through pauses, edits, restarts and clocks that are set, all seeded."""

import time

import pytest
from tests.harness.lives import Crowd

AGENTS, DAYS = 20, 365


@pytest.mark.parametrize("seed", range(10))
async def test_a_year_of_twenty_schedules(seed, tmp_path, figures):
    """One outcome for every nominal time while an agent was there. In the years of odd seeds clocks are set back, too."""
    begun = time.monotonic()
    crowd = Crowd(seed, agents=AGENTS, days=DAYS, folder=tmp_path, back=seed % 2 == 1)
    lived = await crowd.live()
    figures([f"{lived}", f"{time.monotonic() - begun:.0f} s for {AGENTS} schedules over {DAYS} days"])
    assert lived.times > 10_000
