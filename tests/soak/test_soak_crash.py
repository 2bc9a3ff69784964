"""Blows under load: twenty kills -9, and whatever else can befall a runtime."""

import random

import pytest
from tests.harness.blows import ALL, DIE_IN_START, KILL
from tests.harness.chaos import chaos


@pytest.mark.parametrize("seed", [11, 12])
async def test_twenty_kills_under_load(up, agents, figures, seed):
    path = agents("crew")
    crew = up(path).start()
    report = await chaos(crew, path, blows=[KILL] * 16 + [DIE_IN_START] * 4, seed=seed, clients=8)
    figures(report.lines())
    assert report.answered > 1000
    assert report.interruptions > 50


async def test_everything_that_can_befall_it(up, agents, figures):
    path = agents("crew")
    crew = up(path, flags=["--drain", "0.5"]).start()
    blows = list(ALL) * 6
    random.Random(5).shuffle(blows)
    report = await chaos(crew, path, blows=blows, seed=21, clients=4)
    figures(report.lines())
    assert report.answered > 500
