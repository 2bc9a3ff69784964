"""kill -9 of the runtime under load: nothing answered is lost, nothing happens twice, watchers miss nothing."""

from tests.harness.blows import DIE_IN_START, KILL, WORKER
from tests.harness.chaos import chaos, show


async def test_three_kills_under_load(up, agents):
    path = agents("crew")
    crew = up(path).start()
    report = await chaos(crew, path, blows=[KILL, WORKER, DIE_IN_START, KILL], seed=7)
    show(report.lines())
    assert report.answered > 100
    assert report.interruptions > 0, "a kill that met no run shows nothing"
