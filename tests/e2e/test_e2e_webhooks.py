"""Webhooks over kill -9: every 202 has its execution, and each delivery exactly one."""

from tests.harness.chaos import show
from tests.harness.hooks import TOKEN, storm


async def test_webhooks_while_the_runtime_is_killed(up, agents):
    crew = up(agents("hooked"), env=TOKEN).start()
    report = await storm(crew, count=800, seconds=5, connections=50, kills=2, seed=7)
    show(report.lines())
    assert report.torn > 0, "a kill that met no sender shows nothing"
