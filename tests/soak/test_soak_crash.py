"""kill -9 of the runtime under load, twenty times over."""

import pytest
from tests.harness.chaos import chaos


@pytest.mark.parametrize("seed", [11, 12])
async def test_twenty_kills_under_load(up, agents, figures, seed):
    path = agents("crew")
    crew = up(path).start()
    report = await chaos(crew, path, kills=20, seed=seed, clients=8)
    figures(report.lines())
    assert report.answered > 1000
    assert report.interruptions > 50
