"""Two thousand webhooks in ten seconds from fifty connections, the runtime killed three times; again and again."""

import pytest
from tests.harness.hooks import TOKEN, storm


@pytest.mark.parametrize("seed", range(5))
async def test_two_thousand_webhooks_in_ten_seconds(up, agents, figures, seed):
    crew = up(agents("hooked"), env=TOKEN).start()
    report = await storm(crew, count=2000, seconds=10, connections=50, kills=3, seed=seed)
    figures(report.lines())
    assert report.torn > 0
