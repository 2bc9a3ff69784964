"""The hour's soak in small: mixed load, a kill, a dead worker, a drain and a locked file, and a whole history."""

from tests.harness.blows import DRAIN, KILL, LOCK, WORKER
from tests.harness.chaos import show
from tests.harness.mixed import mixed


async def test_mixed_load_under_some_blows(up, agents):
    crew = up(agents("crew"), agents("mixed"), flags=["--drain", "1"]).start()
    blows = [KILL, WORKER, LOCK, DRAIN]
    report = await mixed(crew, crew.paths[0].parent, seconds=60, blows=blows, seed=5, pause=0.05)
    show(report.lines())
    assert sum(report.dealt.values()) == len(blows)
    assert len(report.history.signalled) > 3
    assert len(report.history.steps) > 50
